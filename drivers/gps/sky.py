"""What GSV sentences and gpsd say of single satellites, and the last lines that came. Pure.

    $GPGSV,3,1,11,03,03,111,00,04,15,270,00,06,01,010,00,13,06,292,00*74
           | | |  +- four times: number, elevation (degrees), azimuth (degrees), C/N0 (dB-Hz)
           | | +- in view
           | +- of this sentence
           +- sentences

Source: NMEA 0183 as gpsd's protocol notes describe it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from drivers.base import Satellite

LINES = 20
LINE_CHARS = 256
MOST = 120  # satellites; a receiver of every system sees about 50
FRESH_S = 6.0  # receivers that say GSV seldom say it every five seconds


class Sky:
    """As a receiver draws it, sentence by sentence."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, Satellite]] = {}

    def hear(self, fields: Sequence[str], t: float) -> None:
        """The fields of a GSV, the first of which is `GPGSV` or the like."""
        talker = fields[0][:2]
        for n in range(4, len(fields) - 3, 4):
            number, elevation, azimuth, strength = (_whole(text) for text in fields[n : n + 4])
            if number is None or elevation is None or azimuth is None:
                continue
            found = Satellite(f"{talker} {number}", min(elevation, 90), azimuth % 360, strength)
            if found.name in self._seen or len(self._seen) < MOST:
                self._seen[found.name] = (t, found)

    def satellites(self, t: float) -> tuple[Satellite, ...]:
        """Those of the last seconds."""
        self._seen = {name: kept for name, kept in self._seen.items() if t - kept[0] <= FRESH_S}
        return tuple(found for _, found in self._seen.values())


class Last:
    """The last lines, as they came."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque(maxlen=LINES)

    def hear(self, line: bytes) -> None:
        self._lines.append(line[:LINE_CHARS])

    def lines(self) -> tuple[str, ...]:
        """Oldest first; control bytes as `?`."""
        return tuple(_printable(line) for line in self._lines)


def of_gpsd(satellites: Iterable[Any]) -> tuple[Satellite, ...]:
    """The `satellites` of a SKY report; those without a direction are left out."""
    found = []
    for one in satellites:
        elevation, azimuth, strength = one.get("el"), one.get("az"), one.get("ss")
        if elevation is None or azimuth is None or not 0 <= elevation <= 90:
            continue
        name = str(one.get("PRN", "?"))
        used = bool(one.get("used"))
        found.append(Satellite(name, round(elevation), round(azimuth) % 360, strength, used))
    return tuple(found[:MOST])


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 3 else None


def _printable(line: bytes) -> str:
    text = line.decode("ascii", "replace").rstrip("\r\n")
    return "".join(letter if letter.isprintable() else "?" for letter in text)
