"""`doctor`: checks from the outside, one line each: what is wrong, since when, what to do."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict

from agent import checks
from agent.checks import CHECKS, Finding
from agent.cli import common
from agent.cli.fixes import Fixer
from agent.config import Config
from agent.contract.errors import NotRunning

CONNECT_S = 5.0
AGENT = "agent"  # the check that asks the running agent


def main(arguments: argparse.Namespace) -> int:
    """0 when all is well, or was set right."""
    loaded = common.load(arguments)  # a bad configuration ends here, with its list
    wanted = [name.strip() for only in arguments.only for name in only.split(",")]
    names = [*CHECKS, AGENT]
    if unknown := [name for name in wanted if name not in names]:
        words = common.words(arguments)
        common.complain(
            words.say(
                "there is no check {name}; there are {names}",
                name=common.plain(unknown[0]),
                names=", ".join(names),
            )
        )
        return 2
    findings = list(_findings(loaded.config, arguments, wanted or names))
    if arguments.json:
        print(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2))
    else:
        _tell(findings, arguments)
    if arguments.fix:
        fixer = Fixer(arguments, loaded.config)
        findings = [finding for finding in findings if not fixer.mend(finding)]
    return 0 if all(finding.ok for finding in findings) else 1


def _findings(config: Config, arguments: argparse.Namespace, names: list[str]) -> Iterator[Finding]:
    for name in names:
        if name == AGENT:
            yield from _agent(config, arguments)
        else:
            yield from checks.named(name)(config)


def _tell(findings: list[Finding], arguments: argparse.Namespace) -> None:
    words = common.words(arguments)
    for finding in findings:
        line = common.plain(words.of(finding.text))
        if finding.since is not None:
            line += words.say(" (since {time} UTC)", time=common.utc(finding.since))
        print(f"{'✓' if finding.ok else '✗'} {finding.check}: {line}")
    bad = [finding for finding in findings if not finding.ok]
    if not bad:
        print(words.say("all is well"))
    elif not arguments.fix and any(finding.fix for finding in bad):
        print(words.say("some of it can be set right here: edge-agent doctor --fix"))


def _agent(config: Config, arguments: argparse.Namespace) -> Iterator[Finding]:
    """How it sees itself: the link, the printers, every condition."""
    try:
        status = common.ask(arguments, "status", timeout_s=CONNECT_S)
    except NotRunning as error:
        yield Finding(AGENT, False, f"{error} → systemctl status edge-agent")
        from agent.checks.devices import reachable

        yield from reachable(config)
        return
    yield Finding(AGENT, True, f"runs, version {status['agent']}")
    link = status["link"]
    text = "connected" if link["up"] else "not connected; everything is kept"
    yield Finding("link", link["up"], text, since=link["since"])
    for condition in status["health"]:
        yield Finding(
            condition["code"],
            condition["severity"] == "info",
            condition["text"],
            since=condition["since"],
        )
    for printer in status["printers"]:
        if printer["state"] == "held":
            text = (
                f"printer {printer['name']} holds {printer['waiting']} tickets for a person's word"
                f" → edge-agent printer resume {printer['name']}"
            )
            yield Finding("printers", False, text, fix="resume", about=printer["name"])
