"""`doctor`: checks from the outside, one line each: what is wrong and what to do."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.cli import common
from agent.config import Config
from agent.contract.errors import NotRunning
from agent.core.clock import SystemClock
from agent.uplink import words
from agent.uplink.dial import Dialler
from agent.uplink.values import LinkSettings

CONNECT_S = 5.0
DISK_LOW = 0.1  # of the file system


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    ok: bool
    text: str


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


def _config(config: Config, _arguments: argparse.Namespace) -> Iterator[Finding]:
    yield Finding("config", True, f"good, for a {config.role} {config.device.id}")


def _disk(config: Config, _arguments: argparse.Namespace) -> Iterator[Finding]:
    folder = Path(config.store.path).parent
    if not folder.is_dir():
        yield Finding("disk", False, f"{folder} does not exist → create it for the agent's user")
        return
    usage = shutil.disk_usage(folder)
    share = usage.free / usage.total
    text = f"{usage.free >> 20} MB free ({share:.0%}) in {folder}"
    yield Finding("disk", share > DISK_LOW, text + ("" if share > DISK_LOW else " → free space"))


def _clock(config: Config, _arguments: argparse.Namespace) -> Iterator[Finding]:
    quality = SystemClock(trusted=config.device.clock == "trusted").quality()
    text = {
        "ntp": "set by NTP",
        "gps": "set by GPS",
        "rtc": "from the battery clock, not synchronised → check that NTP can reach its servers",
        "none": "not set since the start; events are dated later → check the network or GPS",
    }[quality]
    yield Finding("clock", quality != "none", text)


def _broker(config: Config, _arguments: argparse.Namespace) -> Iterator[Finding]:
    clock = SystemClock(trusted=config.device.clock == "trusted")
    for url in (config.uplink.url, *config.uplink.fallbacks):
        try:
            asyncio.run(_reach(config, url))
        except (OSError, ValueError) as error:
            why = str(error)
            if isinstance(error, OSError):
                clock_set = clock.quality() != "none"
                why = words.network_fault(error, clock.wall(), clock_set=clock_set)
            text = f"{url} cannot be used: {why} → check cable, Wi-Fi and address"
            yield Finding("broker", False, text)
        else:
            yield Finding("broker", True, f"{url} answers")


async def _reach(config: Config, url: str) -> None:
    """As the agent connects, as far as TLS."""
    uplink = config.uplink
    files = (Path(file) if file else None for file in (uplink.ca, uplink.cert, uplink.key))
    ca, cert, key = files
    settings = LinkSettings(url, config.device.id, ca=ca, cert=cert, key=key)
    (await Dialler(settings).dial(url)).close()


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
    "config": _config,
    "disk": _disk,
    "clock": _clock,
    "broker": _broker,
    "agent": _agent,
}
