"""What a receiver's own velocity proves about its positions, and whether it may be believed.

A velocity is measured by Doppler shift, apart from the position: it is good to centimetres a second
where reflections put the position off by tens of metres. So it tells a reflection from a step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import hypot

from agent.positioning.geodesy import offset_m, velocity
from agent.positioning.resting import Resting
from drivers.base import Fix

STILL_MS = 0.5
STEADY_S = 1.9  # of steps that went as the velocity said
STEADY_M = 3.0  # ... each within so much, if it took a second; a shorter one within less
STEP_MIN_S = 0.3
STEADY_MS = 2.0  # slower than this proves nothing
GAP_S = 5.0
PLACES_GAP_S = 1.5  # after more than this a step may be a reflection or the beginning of a ride
CONTRADICTED_S = 30.0  # over which steps and velocity are compared
CONTRADICTED_MS = 1.5  # a difference that lasts: the velocity is not measured
STRAY_M = 20.0  # the most that one step may contradict


def doppler(fix: Fix) -> tuple[float, float] | None:
    """East and north speed as the receiver measured it; at rest no course is needed."""
    if fix.speed is None:
        return None
    if fix.course is not None:
        return velocity(fix.speed, fix.course)
    return (0.0, 0.0) if fix.speed < STILL_MS else None


@dataclass(frozen=True, slots=True)
class Motion:
    """What the last steps show of a receiver."""

    velocity: tuple[float, float] | None  # m/s east and north, where it is believed
    steady: bool  # it has moved as its own velocity says: what it says it has measured
    resting: bool  # it has measured that it does not move, or its places show it


@dataclass(slots=True)
class Steps:
    """Feed it every fix."""

    _t: float = float("-inf")
    _lat: float = 0.0
    _lon: float = 0.0
    _v: tuple[float, float] = (0.0, 0.0)
    _still: bool = False
    _steady: float = 0.0  # s
    _east: float = 0.0  # m/s by which the steps contradict the velocity, on average
    _north: float = 0.0
    _places: Resting = field(default_factory=Resting)  # of a receiver that states no speed

    def react(self, fix: Fix, expected: tuple[float, float]) -> Motion:
        """`expected` is the velocity to go by where the receiver states none, m/s."""
        assert fix.lat is not None
        assert fix.lon is not None
        stated = doppler(fix)
        v = stated or expected
        still = fix.speed is not None and fix.speed < STILL_MS
        dt = fix.t - self._t
        if dt > PLACES_GAP_S or fix.speed is not None:
            self._places.forget()
        if dt > GAP_S:
            self._steady, resting = 0.0, False
        else:
            east, north = offset_m(self._lat, self._lon, fix.lat, fix.lon)
            east -= (v[0] + self._v[0]) / 2 * dt
            north -= (v[1] + self._v[1]) / 2 * dt
            alike = hypot(east, north) < STEADY_M * min(max(dt, STEP_MIN_S), 1.0)
            self._steady = self._steady + dt if alike and hypot(*v) > STEADY_MS else 0.0
            if stated is not None:
                self._contradict(east, north, dt)
            resting = still and self._still
        self._t, self._lat, self._lon, self._v, self._still = fix.t, fix.lat, fix.lon, v, still
        if hypot(self._east, self._north) > CONTRADICTED_MS:
            return Motion(None, steady=False, resting=False)
        if fix.speed is None:
            return self._by_places(fix.t, fix.lat, fix.lon)
        return Motion(stated, self._steady >= STEADY_S, resting)

    def _by_places(self, t: float, lat: float, lon: float) -> Motion:
        if self._places.react(t, lat, lon):
            return Motion((0.0, 0.0), steady=False, resting=True)
        leaving = self._places.leaving
        return Motion(leaving, self._steady >= STEADY_S or leaving is not None, resting=False)

    def _contradict(self, east: float, north: float, dt: float) -> None:
        share = min(1.0, STRAY_M / max(hypot(east, north), 1e-3)) / CONTRADICTED_S
        keep = 1 - min(dt / CONTRADICTED_S, 1.0)
        self._east = self._east * keep + east * share
        self._north = self._north * keep + north * share
