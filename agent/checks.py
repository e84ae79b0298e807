"""What can be checked of a device without asking its agent: the doctor's and the page's checks."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.config import Config
from agent.core.clock import SystemClock
from agent.uplink import words
from agent.uplink.dial import Dialler
from agent.uplink.values import LinkSettings

DISK_LOW = 0.1  # of the file system


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    ok: bool
    text: str


def all_of(config: Config) -> list[Finding]:
    """Blocks for some seconds where a broker does not answer."""
    return [finding for check in CHECKS.values() for finding in check(config)]


def _config(config: Config) -> Iterator[Finding]:
    yield Finding("config", True, f"good, for a {config.role} {config.device.id}")


def _disk(config: Config) -> Iterator[Finding]:
    folder = Path(config.store.path).parent
    if not folder.is_dir():
        yield Finding("disk", False, f"{folder} does not exist → create it for the agent's user")
        return
    usage = shutil.disk_usage(folder)
    share = usage.free / usage.total
    text = f"{usage.free >> 20} MB free ({share:.0%}) in {folder}"
    yield Finding("disk", share > DISK_LOW, text + ("" if share > DISK_LOW else " → free space"))


def _clock(config: Config) -> Iterator[Finding]:
    quality = SystemClock(trusted=config.device.clock == "trusted").quality()
    text = {
        "ntp": "set by NTP",
        "gps": "set by GPS",
        "rtc": "from the battery clock, not synchronised → check that NTP can reach its servers",
        "none": "not set since the start; events are dated later → check the network or GPS",
    }[quality]
    yield Finding("clock", quality != "none", text)


def _broker(config: Config) -> Iterator[Finding]:
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


CHECKS: dict[str, Callable[[Config], Iterator[Finding]]] = {
    "config": _config,
    "disk": _disk,
    "clock": _clock,
    "broker": _broker,
}
