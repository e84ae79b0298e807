"""What a track looks like in hindsight: each estimate corrected by what came after it.

The live filter knows only what was before a fix. What waits to be sent can be run backwards, too:
Rauch, Tung, Striebel: Maximum likelihood estimates of linear dynamic systems (1965). Where the
filter began anew (a gap, a receiver that found back) so does the backward pass: nobody knows the
motion across.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

from agent.positioning.doppler import STILL_MS
from agent.positioning.geodesy import moved, offset_m, speed_course
from agent.positioning.kalman import State
from agent.positioning.tracker import RADIUS_68, Estimate


@dataclass(slots=True)
class _Hindsight:
    """The smoothed state of the fix after the one at hand."""

    lat: float
    lon: float
    vx: float
    vy: float
    pp: float
    pv: float
    vv: float

    def step_back(self, now: State, dt: float, acceleration: float) -> _Hindsight:
        """The smoothed state at `now`, `dt` seconds before this one."""
        q = acceleration * acceleration
        pp = now.pp + dt * (2 * now.pv + dt * now.vv) + q * dt**3 / 3  # as predicted there
        pv = now.pv + dt * now.vv + q * dt * dt / 2
        vv = now.vv + q * dt
        det = pp * vv - pv * pv
        a, b, c, d = now.pp + dt * now.pv, now.pv, now.pv + dt * now.vv, now.vv  # P F'
        gpp, gpv = (a * vv - b * pv) / det, (b * pp - a * pv) / det
        gvp, gvv = (c * vv - d * pv) / det, (d * pp - c * pv) / det
        ahead = moved(now.lat, now.lon, now.vx * dt, now.vy * dt)
        east, north = offset_m(*ahead, self.lat, self.lon)
        x, y = self.vx - now.vx, self.vy - now.vy
        lat, lon = moved(now.lat, now.lon, gpp * east + gpv * x, gpp * north + gpv * y)
        dpp, dpv, dvv = self.pp - pp, self.pv - pv, self.vv - vv
        return _Hindsight(
            lat,
            lon,
            now.vx + gvp * east + gvv * x,
            now.vy + gvp * north + gvv * y,
            now.pp + gpp * gpp * dpp + 2 * gpp * gpv * dpv + gpv * gpv * dvv,
            now.pv + gpp * gvp * dpp + (gpp * gvv + gpv * gvp) * dpv + gpv * gvv * dvv,
            now.vv + gvp * gvp * dpp + 2 * gvp * gvv * dpv + gvv * gvv * dvv,
        )


def smooth(track: Sequence[tuple[Estimate, State]]) -> list[Estimate]:
    """The estimates of a track in order, each with the filter's state after it, in hindsight."""
    smoothed: list[Estimate] = []
    after: _Hindsight | None = None
    later: State | None = None
    for estimate, now in reversed(track):
        if after is None or later is None or later.driven is None:
            after = _Hindsight(*now[1:8])
        else:
            after = after.step_back(now, later.t - now.t, later.driven)
        smoothed.append(_corrected(estimate, after))
        later = now
    smoothed.reverse()
    return smoothed


def _corrected(estimate: Estimate, seen: _Hindsight) -> Estimate:
    speed, course = speed_course(seen.vx, seen.vy) if estimate.moving else (0.0, 0.0)
    return replace(
        estimate,
        lat=seen.lat,
        lon=seen.lon,
        speed=speed,
        course=course if speed >= STILL_MS else None,
        acc=RADIUS_68 * sqrt(max(seen.pp, 0.0)),
    )
