"""A constant-velocity Kalman filter over fixes: it judges them and repairs the bad ones.

Each axis is [position, velocity] driven by white acceleration noise; both axes have the same noise,
so they share one covariance. A receiver's Doppler velocity is measured as well as its position.
Bar-Shalom, Li, Kirubarajan: Estimation with Applications to Tracking and Navigation, chapter 6.

A modern receiver under an open sky is better than any filter of this kind, and in a street canyon
it is off by tens of metres. The filter therefore learns the noise from how far recent fixes lay
from where it expected them: while they are close, fixes are published as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, sqrt
from typing import Literal

from agent.positioning.geodesy import moved, offset_m, velocity
from drivers.base import Fix

Verdict = Literal["raw", "filtered", "rejected"]

ACCELERATION = 3.0  # m/s2, what riders do unforeseen
SIGMA_MIN_M, SIGMA_MAX_M = 2.0, 8.0  # position noise an axis; formal sigmas are far too small
SIGMA_PER_RMS = 1.5  # noise assumed for a metre of root mean square surprise
SIGMA_V = 0.4  # m/s, Doppler velocity noise an axis
MEMORY = 100  # fixes that the surprise is averaged over
CALM_M = 4.0  # root mean square surprise below which fixes are published as they are
SURPRISE_MAX_M = 12.0  # a fix farther off than this is not, whatever those before were like
OUTLIER_M = 30.0  # a farther one does not count as more surprise than this
NIS_DOUBT = 9.2  # chi-square, 2 degrees of freedom, 99 %: from here the fix is given less weight
NIS_REJECT = 16.0  # 99.97 %
REJECTS_MAX = 3
GAP_S = 5.0
STILL_MS = 0.5
UNKNOWN_V = 10.0  # m/s, when the first fix says nothing of its motion


@dataclass(slots=True)
class Filter:
    """`update` takes admitted fixes in order; lat, lon and vx, vy (east, north) are the state."""

    lat: float = 0.0
    lon: float = 0.0
    vx: float = 0.0
    vy: float = 0.0
    t: float = float("-inf")
    _pp: float = 0.0  # covariance: position, position-velocity, velocity
    _pv: float = 0.0
    _vv: float = 0.0
    _rejects: int = 0
    _surprise: float = 0.0  # m2, mean square

    def update(self, fix: Fix) -> Verdict:
        """Take a fix in. `raw`: as good as it stands; `rejected`: the state is the prediction."""
        assert fix.lat is not None
        assert fix.lon is not None
        dt = fix.t - self.t
        if dt > GAP_S or self._rejects >= REJECTS_MAX:
            self._restart(fix, fix.lat, fix.lon)
            return "raw"
        self._predict(dt)
        self.t = fix.t
        east, north = offset_m(self.lat, self.lon, fix.lat, fix.lon)
        square = east * east + north * north
        self._surprise += (min(square, OUTLIER_M * OUTLIER_M) - self._surprise) / MEMORY
        noise = self._noise()
        nis = square / (self._pp + noise)
        if nis > NIS_REJECT:
            self._rejects += 1
            return "rejected"
        self._rejects = 0
        if nis > NIS_DOUBT:
            noise = max(noise, square / NIS_DOUBT - self._pp)
        self._correct_position(east, north, noise)
        if (seen := doppler(fix)) is not None:
            self._correct_velocity(*seen)
        calm = self._surprise < CALM_M * CALM_M and square < SURPRISE_MAX_M * SURPRISE_MAX_M
        return "raw" if calm else "filtered"

    @property
    def sigma(self) -> float:
        """m, an axis."""
        return sqrt(self._pp)

    @property
    def speed(self) -> float:
        return hypot(self.vx, self.vy)

    def _noise(self) -> float:
        sigma = SIGMA_PER_RMS * sqrt(self._surprise)
        return min(max(sigma, SIGMA_MIN_M), SIGMA_MAX_M) ** 2

    def _restart(self, fix: Fix, lat: float, lon: float) -> None:
        self.t, self.lat, self.lon, self._rejects = fix.t, lat, lon, 0
        seen = doppler(fix)
        self.vx, self.vy = seen or (0.0, 0.0)
        self._pp, self._pv = self._noise(), 0.0
        self._vv = UNKNOWN_V * UNKNOWN_V if seen is None else SIGMA_V * SIGMA_V

    def _predict(self, dt: float) -> None:
        self.lat, self.lon = moved(self.lat, self.lon, self.vx * dt, self.vy * dt)
        q = ACCELERATION * ACCELERATION
        self._pp += dt * (2 * self._pv + dt * self._vv) + q * dt**3 / 3
        self._pv += dt * self._vv + q * dt * dt / 2
        self._vv += q * dt

    def _correct_position(self, east: float, north: float, noise: float) -> None:
        gain, gain_v = self._pp / (self._pp + noise), self._pv / (self._pp + noise)
        self.lat, self.lon = moved(self.lat, self.lon, gain * east, gain * north)
        self.vx += gain_v * east
        self.vy += gain_v * north
        self._vv -= gain_v * self._pv
        self._pv -= gain * self._pv
        self._pp -= gain * self._pp

    def _correct_velocity(self, vx: float, vy: float) -> None:
        total = self._vv + SIGMA_V * SIGMA_V
        gain, gain_p = self._vv / total, self._pv / total
        dx, dy = vx - self.vx, vy - self.vy
        self.lat, self.lon = moved(self.lat, self.lon, gain_p * dx, gain_p * dy)
        self.vx += gain * dx
        self.vy += gain * dy
        self._pp -= gain_p * self._pv
        self._pv -= gain * self._pv
        self._vv -= gain * self._vv


def doppler(fix: Fix) -> tuple[float, float] | None:
    """East and north speed as the receiver measured it; at rest no course is needed."""
    if fix.speed is None:
        return None
    if fix.course is not None:
        return velocity(fix.speed, fix.course)
    return (0.0, 0.0) if fix.speed < STILL_MS else None
