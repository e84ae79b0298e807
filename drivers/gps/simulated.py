"""A rider on a polyline, as a receiver would see it; it fails on command.

The ride is a CSV of `t,lat,lon`: seconds since the start and the place at that time, in between
evenly moved. Standing is the same place twice; lines that begin with # are notes. Where the rider
is depends on the wall clock alone, so a process that is started anew goes on with the same ride.
"""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from math import atan2, cos, degrees, floor, hypot, radians
from pathlib import Path
from random import Random
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from drivers.base import About, Clock, Driver, DriverError, Fix

METRES_PER_DEGREE = 111_195.0  # on a sphere of mean Earth radius
SILENCE_S = 3.0


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    track: str  # CSV of t,lat,lon
    started_at: float = 0.0  # unix s at which the ride began
    sigma_m: Annotated[float, Meta(ge=0)] = 1.0  # noise of each axis
    seed: int = 1
    loop: bool = True


class Truth(NamedTuple):
    """Where the rider really is: degrees, m/s, degrees from north (None at rest)."""

    lat: float
    lon: float
    speed: float
    course: float | None


class _Point(NamedTuple):
    t: float
    lat: float
    lon: float


def truth(settings: Settings) -> Callable[[float], Truth]:
    """The ride as a function of unix seconds; DriverError when the track cannot be read."""
    points = _read(Path(settings.track))
    times = [point.t for point in points]

    def at(wall: float) -> Truth:
        t = wall - settings.started_at
        if settings.loop:
            t = times[0] + (t - times[0]) % (times[-1] - times[0])
        return _between(points, bisect_right(times, t), t)

    return at


def _between(points: Sequence[_Point], after: int, t: float) -> Truth:
    """On the leg that ends at point number `after`; standing before the first and at the last."""
    if after == 0 or after == len(points):
        end = points[min(after, len(points) - 1)]
        return Truth(end.lat, end.lon, 0.0, None)
    a, b = points[after - 1], points[after]
    share, dt = (t - a.t) / (b.t - a.t), b.t - a.t
    north = (b.lat - a.lat) * METRES_PER_DEGREE
    east = (b.lon - a.lon) * METRES_PER_DEGREE * cos(radians(a.lat))
    lat, lon = a.lat + share * (b.lat - a.lat), a.lon + share * (b.lon - a.lon)
    speed = hypot(north, east) / dt
    return Truth(lat, lon, speed, degrees(atan2(east, north)) % 360 if speed else None)


def _read(path: Path) -> list[_Point]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            points = [
                _Point(float(row["t"]), float(row["lat"]), float(row["lon"]))
                for row in csv.DictReader(line for line in file if not line.startswith("#"))
            ]
    except OSError as error:
        raise DriverError(f"the ride {path} cannot be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DriverError(f"the ride {path} must be a CSV of t,lat,lon: {error}") from error
    if len(points) < 2 or any(b.t <= a.t for a, b in pairwise(points)):
        raise DriverError(f"the ride {path} needs two points or more, each later than the last")
    return points


class SimulatedReceiver:
    """One fix at each whole second of the ride, with the faults that were asked for."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.rejected: Counter[str] = Counter()
        self._settings = settings
        self._clock = clock
        self._at = truth(settings)
        self._unplugged = self._silent = self._blind = False
        self._jump_m = 0.0

    @property
    def about(self) -> About:
        return About(self._settings.track, in_view=12)

    def unplug(self) -> None:
        """The receiver is pulled out; only opening it anew helps."""
        self._unplugged = True

    def silence(self) -> None:
        """Still there, but says nothing any more."""
        self._silent = True

    def lose_fix(self, *, lost: bool = True) -> None:
        """It talks on without a position, as in a lift."""
        self._blind = lost

    def jump(self, metres: float) -> None:
        """Reflections put every fix this far to the north; 0 ends it."""
        self._jump_m = metres

    async def fixes(self) -> AsyncIterator[Fix]:
        while True:
            wall = self._clock.wall()
            second = floor(wall + 0.05) + 1  # a sleep may end a little early
            await self._clock.sleep(second - wall)
            if self._unplugged:
                raise DriverError("the simulated receiver was unplugged; plug it in again")
            if self._silent:
                await self._clock.sleep(SILENCE_S)
                raise DriverError(f"the simulated receiver has been silent for {SILENCE_S:.0f} s")
            yield self._fix(float(second))

    def _fix(self, wall: float) -> Fix:
        now = self._clock.monotonic()
        if self._blind:
            return Fix(now, 1, utc=wall)
        lat, lon, speed, course = self._at(wall)
        # The noise belongs to the second, so that the same ride is the same noise every time.
        noise = Random(f"{self._settings.seed} {wall:.0f}")  # noqa: S311 - not for secrets
        north = noise.gauss(0.0, self._settings.sigma_m) + self._jump_m
        east = noise.gauss(0.0, self._settings.sigma_m)
        return Fix(
            now,
            3,
            lat + north / METRES_PER_DEGREE,
            lon + east / (METRES_PER_DEGREE * cos(radians(lat))),
            speed,
            course,
            self._settings.sigma_m or None,
            hdop=0.9,
            satellites=12,
            utc=wall,
        )


@asynccontextmanager
async def open_receiver(settings: Settings, clock: Clock) -> AsyncIterator[SimulatedReceiver]:
    yield SimulatedReceiver(settings, clock)


DRIVER = Driver(
    name="simulated",
    summary="A rider on a polyline, with noise and with faults on command.",
    settings=Settings,
    open=open_receiver,
    made_up=True,
)
