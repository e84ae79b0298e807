"""A ride told in hindsight: the fewest smoothed points, each with the velocity to the next.

Nobody follows a rider live while the link is down, so what is told of that time may wait for what
came after it. The estimates of some minutes are smoothed, simplified to the fewest points that are
within `eps_m` of all of them, and told with the mean velocity to the next point: a server that
extrapolates as it always does is then on the straight line between the two.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from agent.positioning.geodesy import offset_m, speed_course
from agent.positioning.kalman import State
from agent.positioning.reporting import Reason, Report
from agent.positioning.simplify import GAP_S, Point, simplify
from agent.positioning.smoother import smooth
from agent.positioning.tracker import Estimate
from drivers.base import Fix

SPARE = 0.95  # of the limit for the line; the rest is for rounding a long way's velocity
STOP_S = 60.0  # a shorter stop is a traffic light
CHUNK_S = 900.0  # told at a time: longer saves nothing any more
FIXES_MAX = 2000  # ... or so many: a fast receiver fills memory sooner


@dataclass(slots=True)
class Trace:
    """Collects estimates; `told` makes reports of them."""

    _track: list[tuple[Estimate, State]] = field(default_factory=list)
    _marks: dict[float, Reason] = field(default_factory=dict)

    def add(self, estimate: Estimate, state: State) -> None:
        """The newest estimate, with the filter's state after it; see `full`."""
        self._track.append((estimate, state))

    def mark(self, t: float, reason: Reason) -> None:
        """What happened at this estimate must be told with its place."""
        self._marks[t] = reason

    @property
    def empty(self) -> bool:
        return not self._track

    @property
    def full(self) -> bool:
        """Whether it is time to tell it and to begin another one."""
        track = self._track
        return len(track) >= FIXES_MAX or (
            len(track) > 1 and track[-1][0].t - track[0][0].t >= CHUNK_S
        )

    @property
    def span(self) -> tuple[float, float]:
        """Of what was collected, which must be something."""
        return self._track[0][0].t, self._track[-1][0].t

    def told(self, eps_m: float, moments: Collection[float] = ()) -> list[tuple[Report, Fix]]:
        """In order, each with the fix at its time; the first and the last are among them.

        `moments`: something happened then, so where the rider was nearest to it is kept.
        """
        track = smooth(self._track)
        keep = [i for i, estimate in enumerate(track) if estimate.t in self._marks]
        keep += _nearest([estimate.t for estimate in track], moments)
        points = [Point(estimate.t, estimate.lat, estimate.lon) for estimate in track]
        kept = simplify(points, SPARE * eps_m, [*keep, *_stops(track)])
        reports = []
        for n, i in enumerate(kept):
            there = track[kept[n + 1]] if n + 1 < len(kept) else None
            if there is not None and track[i + 1].t - track[i].t > GAP_S:
                there = None  # nobody knows the way
            reports.append((self._report(track[i], there), track[i].fix))
        return reports

    def _report(self, here: Estimate, there: Estimate | None) -> Report:
        speed, course = here.speed, here.course
        if there is not None:
            dt = there.t - here.t
            east, north = offset_m(here.lat, here.lon, there.lat, there.lon)
            speed, course = speed_course(east / dt, north / dt)
        speed = round(speed, 2)
        return Report(
            here.t,
            round(here.lat, 7),
            round(here.lon, 7),
            speed,
            round(course, 1) % 360 if course is not None and speed > 0 else None,
            round(here.acc, 1),
            self._marks.get(here.t, "trace"),
        )


def _nearest(times: Sequence[float], moments: Collection[float]) -> list[int]:
    """The index of the time next to each moment, if there is one within reach."""
    found = []
    for moment in moments:
        behind = bisect_left(times, moment)
        beside = [i for i in (behind - 1, behind) if 0 <= i < len(times)]
        nearest = min(beside, key=lambda i: abs(times[i] - moment), default=None)
        if nearest is not None and abs(times[nearest] - moment) <= GAP_S:
            found.append(nearest)
    return found


def _stops(track: Sequence[Estimate]) -> list[int]:
    """Where a long stop began and ended."""
    found: list[int] = []
    since: int | None = None
    for i, estimate in enumerate(track):
        if not estimate.moving:
            since = i if since is None else since
        elif since is not None:
            if estimate.t - track[since].t >= STOP_S:
                found += [since, i]
            since = None
    return found
