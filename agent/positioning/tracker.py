"""Fix in, estimate out: gate, filter and stops in a row, for the service and for replays alike."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from agent.positioning.gate import Gate
from agent.positioning.geodesy import speed_course
from agent.positioning.kalman import Filter, State, Verdict
from agent.positioning.stops import STILL_MS, Stops
from drivers.base import Fix

RADIUS_68 = 1.51  # radius that holds 68 % of a circular normal distribution of sigma 1 an axis


@dataclass(frozen=True, slots=True)
class Estimate:
    """Where the rider is, as well as we know."""

    t: float  # monotonic s
    lat: float  # degrees WGS-84
    lon: float
    speed: float  # m/s, 0 at a stop
    course: float | None  # degrees from true north, None when too slow to tell
    acc: float  # m, 68 %, by the filter's covariance
    moving: bool
    verdict: Verdict  # on the fix: published as it is, filtered, or rejected and predicted
    fix: Fix


@dataclass(slots=True)
class Tracker:
    """Feed it every fix in order; None where a fix says nothing."""

    gate: Gate = field(default_factory=Gate)
    _filter: Filter = field(default_factory=Filter)
    _stops: Stops = field(default_factory=Stops)

    @property
    def rejected(self) -> Counter[str]:
        return self.gate.rejected

    @property
    def state(self) -> State:
        """What the filter knew after the last estimate, for the smoother."""
        return self._filter.state

    def react(self, fix: Fix) -> Estimate | None:
        admitted = self.gate.admit(fix)
        if admitted is None:
            return None
        state = self._filter
        verdict = state.update(admitted)
        if verdict == "rejected":
            self.gate.rejected["outlier"] += 1
        lat, lon = state.lat, state.lon
        if verdict == "raw":
            assert admitted.lat is not None
            assert admitted.lon is not None
            lat, lon = admitted.lat, admitted.lon
        moving = self._stops.react(admitted.t, lat, lon, state.speed)
        speed, course = speed_course(state.vx, state.vy) if moving else (0.0, 0.0)
        return Estimate(
            admitted.t,
            lat,
            lon,
            speed,
            course if speed >= STILL_MS else None,
            RADIUS_68 * state.sigma,
            moving,
            verdict,
            fix,
        )
