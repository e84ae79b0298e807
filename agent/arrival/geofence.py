"""Fences around shops: entered and left once, however much fixes wander on the edge.

A fence is a circle or a polygon. It is asked with every fix, so at 1 Hz.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import hypot, pi, sqrt
from typing import Literal, Protocol

from agent.positioning.geodesy import distance_m, offset_m

HYSTERESIS_M = 15.0
CONFIRM_FIXES = 2
CONFIRM_S = 1.0  # between the first and the last of them; fixes of one moment share their error
FAR_M = 150.0  # beyond the fence: a beacon of that shop cannot be heard


class Located(Protocol):
    """Where the rider is: degrees WGS-84, metres (68 %), m/s, monotonic seconds."""

    @property
    def t(self) -> float: ...
    @property
    def lat(self) -> float: ...
    @property
    def lon(self) -> float: ...
    @property
    def acc(self) -> float | None: ...
    @property
    def speed(self) -> float | None: ...


class Shape(Protocol):
    """Metres everywhere. `dwell_s`: who stays so long dwells; None: nobody does."""

    @property
    def id(self) -> str: ...
    @property
    def dwell_s(self) -> float | None: ...
    @property
    def radius_m(self) -> float:
        """Of a circle of the same area: how sure a fix must be to say anything."""
        ...

    def distance_m(self, lat: float, lon: float) -> float:
        """From the centre."""
        ...

    def outside_m(self, lat: float, lon: float) -> float:
        """From the edge; negative inside."""
        ...


@dataclass(frozen=True, slots=True)
class Circle:
    id: str
    lat: float
    lon: float
    radius_m: float
    dwell_s: float | None = None

    def distance_m(self, lat: float, lon: float) -> float:
        return distance_m(self.lat, self.lon, lat, lon)

    def outside_m(self, lat: float, lon: float) -> float:
        return self.distance_m(lat, lon) - self.radius_m


@dataclass(frozen=True, slots=True)
class Polygon:
    """Three corners or more (lat, lon), in order, the first not repeated; edges are straight lines
    of the local plane, which is good to a few kilometres."""

    id: str
    corners: tuple[tuple[float, float], ...]
    dwell_s: float | None = None

    @property
    def radius_m(self) -> float:
        twice = sum(ax * by - bx * ay for (ax, ay), (bx, by) in self._edges(*self.corners[0]))
        return sqrt(abs(twice) / 2 / pi)

    def distance_m(self, lat: float, lon: float) -> float:
        lat0, lon0 = self.corners[0]
        offsets = [offset_m(lat0, lon0, *corner) for corner in self.corners]
        east, north = offset_m(lat0, lon0, lat, lon)
        n = len(offsets)
        return hypot(east - sum(x for x, _ in offsets) / n, north - sum(y for _, y in offsets) / n)

    def outside_m(self, lat: float, lon: float) -> float:
        inside, nearest = False, float("inf")
        for (ax, ay), (bx, by) in self._edges(lat, lon):
            nearest = min(nearest, _to_segment(ax, ay, bx, by))
            if (ay > 0) != (by > 0) and ax + (bx - ax) * ay / (ay - by) > 0:
                inside = not inside  # the edge crosses the ray to the east
        return -nearest if inside else nearest

    def _edges(
        self, lat: float, lon: float
    ) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
        """Both ends of each, in metres from this place."""
        offsets = [offset_m(lat, lon, *corner) for corner in self.corners]
        return pairwise([*offsets, offsets[0]])


def _to_segment(ax: float, ay: float, bx: float, by: float) -> float:
    """Metres from the origin."""
    dx, dy = bx - ax, by - ay
    square = dx * dx + dy * dy
    share = min(max(-(ax * dx + ay * dy) / square, 0.0), 1.0) if square else 0.0
    return hypot(ax + share * dx, ay + share * dy)


@dataclass(frozen=True, slots=True)
class Crossing:
    fence: str
    event: Literal["enter", "leave", "dwell"]
    t: float  # monotonic s of the first fix beyond the line, or at which the dwelling was long
    distance_m: float  # from the centre, at that fix


@dataclass(slots=True)
class Geofence:
    """One fence. Starts outside: a rider who boots up inside enters.

    outside -- 2 fixes inside, 1 s apart --> inside -- 2 fixes 15 m beyond --> outside
    inside -- since `dwell_s` --> dwell, once for each time inside
    """

    shape: Shape
    inside: bool = False
    _first: tuple[float, float] | None = None  # t, distance of the first fix beyond the line
    _fixes: int = 0
    _since: float | None = None  # inside since; None: nobody waits for it any more

    def see(self, estimate: Located) -> Crossing | None:
        """A fix less sure than the fence is wide says nothing."""
        if estimate.acc is not None and estimate.acc > self.shape.radius_m:
            return None
        outside = self.shape.outside_m(estimate.lat, estimate.lon)
        if (outside <= (HYSTERESIS_M if self.inside else 0.0)) == self.inside:
            self._first, self._fixes = None, 0
            return self._dwell(estimate)
        self._first = self._first or (estimate.t, self.distance(estimate))
        self._fixes += 1
        t, first_distance = self._first
        if self._fixes < CONFIRM_FIXES or estimate.t - t < CONFIRM_S:
            return None
        self.inside = not self.inside
        self._first, self._fixes = None, 0
        self._since = t if self.inside else None
        event: Literal["enter", "leave"] = "enter" if self.inside else "leave"
        return Crossing(self.shape.id, event, t, first_distance)

    def _dwell(self, estimate: Located) -> Crossing | None:
        dwell_s = self.shape.dwell_s
        if dwell_s is None or self._since is None or estimate.t - self._since < dwell_s:
            return None
        self._since = None
        return Crossing(self.shape.id, "dwell", estimate.t, self.distance(estimate))

    def distance(self, estimate: Located) -> float:
        return self.shape.distance_m(estimate.lat, estimate.lon)

    def excludes(self, estimate: Located) -> bool:
        """So far away that a beacon of this place must be another's, or a copy."""
        doubt = 2 * (self.shape.radius_m if estimate.acc is None else estimate.acc)
        return self.shape.outside_m(estimate.lat, estimate.lon) - doubt > FAR_M
