"""Circular fences around shops: entered and left once, however much fixes wander on the edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from agent.positioning.geodesy import distance_m

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


@dataclass(frozen=True, slots=True)
class Circle:
    id: str
    lat: float
    lon: float
    radius_m: float


@dataclass(frozen=True, slots=True)
class Crossing:
    fence: str
    event: Literal["enter", "leave"]
    t: float  # monotonic s of the first fix beyond the line
    distance_m: float  # from the centre, at that fix


@dataclass(slots=True)
class Geofence:
    """One fence. Starts outside: a rider who boots up inside enters."""

    circle: Circle
    inside: bool = False
    _first: tuple[float, float] | None = None  # t, distance of the first fix beyond the line
    _fixes: int = 0

    def see(self, estimate: Located) -> Crossing | None:
        """A fix less sure than the fence is wide says nothing."""
        if estimate.acc is not None and estimate.acc > self.circle.radius_m:
            return None
        distance = self.distance(estimate)
        line = self.circle.radius_m + (HYSTERESIS_M if self.inside else 0.0)
        if (distance <= line) == self.inside:
            self._first, self._fixes = None, 0
            return None
        self._first = self._first or (estimate.t, distance)
        self._fixes += 1
        t, first_distance = self._first
        if self._fixes < CONFIRM_FIXES or estimate.t - t < CONFIRM_S:
            return None
        self.inside = not self.inside
        self._first, self._fixes = None, 0
        event: Literal["enter", "leave"] = "enter" if self.inside else "leave"
        return Crossing(self.circle.id, event, t, first_distance)

    def distance(self, estimate: Located) -> float:
        return distance_m(self.circle.lat, self.circle.lon, estimate.lat, estimate.lon)

    def excludes(self, estimate: Located) -> bool:
        """So far away that a beacon of this place must be another's, or a copy."""
        doubt = 2 * (self.circle.radius_m if estimate.acc is None else estimate.acc)
        return self.distance(estimate) - doubt > self.circle.radius_m + FAR_M
