r"""Wi-Fi access points around, as NetworkManager last heard them (`nmcli device wifi list`).

Terse output: one access point a line, `:` between the fields, `\` before what separates nothing:

    BSSID:SIGNAL:CHAN:SSID      24\:A4\:3C\:01\:02\:03:82:6:caf\\e

A network whose name ends in `_nomap` wants not to be used for locating anybody, and is not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from drivers.base import AccessPoint, Clock, Driver, Sighting, Surroundings
from drivers.surroundings.tool import run

MOST = 20  # the loudest; more say no more about the place
_FIELD = re.compile(r"((?:[^:\\]|\\.)*)(?::|$)")
_BSSID = re.compile(r"[0-9A-F]{2}(?::[0-9A-F]{2}){5}")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tool: str = "nmcli"


def parse(text: str, rejected: Counter[str]) -> tuple[AccessPoint, ...]:
    """The loudest access points first; lines that are none are counted."""
    found = []
    for line in text.splitlines():
        fields = [re.sub(r"\\(.)", r"\1", field) for field in _FIELD.findall(line)]
        bssid, signal, channel, ssid = (*fields, "", "", "", "")[:4]
        if not _BSSID.fullmatch(bssid) or not signal.isdecimal() or int(signal) > 100:
            rejected["wifi_line"] += 1
        elif ssid.endswith("_nomap"):
            rejected["wifi_nomap"] += 1
        else:
            number = int(channel) if channel.isdecimal() and len(channel) < 4 else None
            found.append(AccessPoint(bssid, int(signal), number))
    return tuple(sorted(found, key=lambda point: -point.signal)[:MOST])


class Neighbours:
    """A `Surroundings` that asks NetworkManager."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.rejected: Counter[str] = Counter()
        self._clock = clock
        self._command = [settings.tool, "-t", "-f", "BSSID,SIGNAL,CHAN,SSID",
                         "device", "wifi", "list", "--rescan", "auto"]  # fmt: skip

    async def look(self) -> Sighting:
        text = await run(self._command, "network-manager")
        return Sighting(self._clock.monotonic(), wifi=parse(text, self.rejected))


@asynccontextmanager
async def open_neighbours(settings: Settings, clock: Clock) -> AsyncIterator[Surroundings]:
    yield Neighbours(settings, clock)


DRIVER = Driver(
    name="nmcli",
    summary="Wi-Fi access points around, through NetworkManager.",
    settings=Settings,
    open=open_neighbours,
)
