"""`doctor`: checks from the outside, one line each: what is wrong and what to do."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict

from agent import checks
from agent.checks import Finding
from agent.cli import common
from agent.config import Config
from agent.contract.errors import NotRunning

CONNECT_S = 5.0


def main(arguments: argparse.Namespace) -> int:
    loaded = common.load(arguments)  # a bad configuration ends here, with its list
    findings = [
        finding
        for name, check in CHECKS.items()
        if arguments.only in (None, name)
        for finding in check(loaded.config, arguments)
    ]
    if not findings:
        common.complain(f"there is no check {arguments.only!r}; there are {', '.join(CHECKS)}")
        return 2

    def text(findings: list[Finding]) -> str:
        return "\n".join(
            f"{'✓' if f.ok else '✗'} {f.check}: {common.plain(f.text)}" for f in findings
        )

    if arguments.json:
        print(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2))
    else:
        print(text(findings))
    return 0 if all(finding.ok for finding in findings) else 1


def _alone(
    check: Callable[[Config], Iterator[Finding]],
) -> Callable[[Config, argparse.Namespace], Iterator[Finding]]:
    return lambda config, _arguments: check(config)


def _agent(_config: Config, arguments: argparse.Namespace) -> Iterator[Finding]:
    try:
        status = common.ask(arguments, "status", timeout_s=CONNECT_S)
    except NotRunning as error:
        yield Finding("agent", False, f"{error} → systemctl status edge-agent")
        return
    yield Finding("agent", True, f"runs, version {status['agent']}")
    up = status["link"]["up"]
    yield Finding("link", up, "connected" if up else "not connected; everything is kept")
    for condition in status["health"]:
        yield Finding(condition["code"], False, condition["text"])


CHECKS: dict[str, Callable[[Config, argparse.Namespace], Iterator[Finding]]] = {
    **{name: _alone(check) for name, check in checks.CHECKS.items()},
    "agent": _agent,
}
