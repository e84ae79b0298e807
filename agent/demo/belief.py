"""Where the server believes the rider is, and how far that is from the truth. Pure.

Between two positions the server extrapolates at constant velocity, as the contract says. The newest
fix counts, not the newest arrival: a backlog fills the track in, it never moves the belief back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from agent.contract.events import Position

EARTH_M = 6_371_008.8  # mean radius, IUGG
LATE_S = 5.0  # a position that arrives later than this came out of a backlog


def offset(lat: float, lon: float, east_m: float, north_m: float) -> tuple[float, float]:
    """The point that many metres away; good to centimetres over a few kilometres."""
    north = math.degrees(north_m / EARTH_M)
    east = math.degrees(east_m / (EARTH_M * math.cos(math.radians(lat))))
    return lat + north, lon + east


def distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Metres between two near points (equirectangular)."""
    north = math.radians(b[0] - a[0])
    east = math.radians(b[1] - a[1]) * math.cos(math.radians((a[0] + b[0]) / 2))
    return EARTH_M * math.hypot(north, east)


@dataclass(slots=True)
class Belief:
    """What the back end thinks of one rider."""

    newest: Position | None = None
    _lost_ms: int = 0
    fresh: bool = False  # a position of this connection has come; until then nothing is claimed

    def lost(self, now_ms: int) -> None:
        """The broker says that the device is gone: from here on nothing is extrapolated."""
        self.fresh = False
        self._lost_ms = now_ms

    def hear(self, position: Position, *, late: bool) -> None:
        if self.newest is None or position.fix_t >= self.newest.fix_t:
            self.newest = position
            self.fresh = self.fresh or not late

    def at(self, now_ms: int) -> tuple[float, float] | None:
        """Latitude and longitude, extrapolated to `now_ms`, or to when the device was lost."""
        if self.newest is None:
            return None
        until = now_ms if self.fresh else min(now_ms, self._lost_ms)
        here, age_s = self.newest, max(0.0, (until - self.newest.fix_t) / 1000)
        if not here.speed or here.course is None:
            return here.lat, here.lon
        way, course = here.speed * age_s, math.radians(here.course)
        return offset(here.lat, here.lon, way * math.sin(course), way * math.cos(course))


@dataclass(slots=True)
class Spread:
    """Many measurements (metres, seconds), kept as counts of tenths."""

    _tenths: dict[int, int] = field(default_factory=dict)
    worst: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        tenth = round(value * 10)
        self._tenths[tenth] = self._tenths.get(tenth, 0) + 1
        self.worst = max(self.worst, value)
        self.count += 1

    def percentile(self, share: float) -> float:
        """The smallest value that `share` of all measurements do not exceed."""
        wanted, seen = share * self.count, 0
        for tenth in sorted(self._tenths):
            seen += self._tenths[tenth]
            if seen >= wanted:
                return tenth / 10
        return 0.0
