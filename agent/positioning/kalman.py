"""A constant-velocity Kalman filter over fixes: it judges them and repairs the bad ones.

Each axis is [position, velocity] driven by white acceleration noise; both axes have the same noise,
so they share one covariance. A receiver's Doppler velocity is measured as well as its position.
Bar-Shalom, Li, Kirubarajan: Estimation with Applications to Tracking and Navigation, chapter 6.

A modern receiver under an open sky is better than any filter of this kind, and in a street canyon
it is off by tens of metres. The filter therefore learns the noise from how far recent fixes lay
from where it expected them: while they are close, fixes are published as they are.

Reflections change with the place. Who moves gets a new error with every few metres, who stands
measures the same one again and again: the slower the rider, the less a fix is worth. For the same
reason a receiver that is steady at another place is believed only while it moves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import hypot, sqrt
from typing import Literal, NamedTuple

from agent.positioning.doppler import GAP_S, Steps
from agent.positioning.geodesy import moved, offset_m
from drivers.base import Fix

Verdict = Literal["raw", "filtered", "rejected"]

ACCELERATION = 3.0  # m/s2, what riders do unforeseen
REST = 0.1  # of that acceleration and of SIGMA_V, while the receiver measures no velocity
SIGMA_MIN_M, SIGMA_MAX_M = 2.0, 8.0  # position noise an axis; formal sigmas are far too small
SIGMA_PER_RMS = 1.0  # noise assumed for a metre of root mean square surprise
SIGMA_V = 0.4  # m/s, Doppler velocity noise an axis
MEMORY = 100  # fixes that the surprise is averaged over
CALM_M = 4.0  # root mean square surprise below which fixes are published as they are
SURPRISE_MAX_M = 12.0  # a fix farther off than this is not, whatever those before were like
SURPRISE_MAX_RESTING_M = 5.0
OUTLIER_M = 30.0  # a farther one does not count as more surprise than this
NIS_DOUBT = 2.0  # from here the weight falls as the distance grows: Huber's 1.345 sigma, squared
NIS_REJECT = 16.0  # chi-square, 2 degrees of freedom, 99.97 %
NIS_DOPPLER = 9.2  # 99 %; a velocity that says more is not believed
REJECTS_MAX = 8  # in a row; then a rider in motion is where they say
REJECTS_MAX_RESTING = 60  # nobody is carried away without a velocity
ALIKE_M = 5.0  # distance over which reflections stay alike
ALIKE_S = 20.0  # time over which they do at rest
UNKNOWN_M = 20.0  # m, of the first fix: a receiver that has just found back is still settling
UNKNOWN_V = 10.0  # m/s, when the first fix says nothing of its motion


class State(NamedTuple):
    """The filter after a fix; both axes have the same covariance."""

    t: float  # s
    lat: float
    lon: float
    vx: float  # m/s east
    vy: float  # ... north
    pp: float  # covariance: m2, m2/s, m2/s2
    pv: float
    vv: float
    driven: float | None  # m/s2 assumed since the fix before; None where the filter began anew


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
    _surprise: float = 0.0  # m2, mean square
    _rejects: int = 0  # in a row
    _driven: float | None = None
    _receiver: Steps = field(default_factory=Steps)

    def update(self, fix: Fix) -> Verdict:
        """Take a fix in. `raw`: as good as it stands; `rejected`: the state is the prediction."""
        assert fix.lat is not None
        assert fix.lon is not None
        dt = fix.t - self.t
        seen = self._receiver.react(fix, (self.vx, self.vy))
        if dt > GAP_S or self._rejects >= (REJECTS_MAX_RESTING if seen.resting else REJECTS_MAX):
            self._restart(fix, seen.velocity)
            return "raw"
        rest = REST if seen.resting else 1.0
        self._driven = ACCELERATION * rest
        self._predict(dt, self._driven)
        self.t = fix.t
        east, north = offset_m(self.lat, self.lon, fix.lat, fix.lon)
        square = east * east + north * north
        self._surprise += (min(square, OUTLIER_M * OUTLIER_M) - self._surprise) / MEMORY
        nis = square / (self._pp + self._noise())
        if seen.steady and nis > NIS_DOUBT:
            self._restart(fix, seen.velocity)
            return "raw"
        if nis > NIS_REJECT:
            self._rejects += 1
            return "rejected"
        self._rejects = 0
        way = dt * (hypot(*seen.velocity) if seen.velocity else self.speed)
        self._correct_position(east, north, self._worth(way, dt, square, nis))
        if seen.velocity is not None:
            self._correct_velocity(*seen.velocity, SIGMA_V * rest)
        most = SURPRISE_MAX_RESTING_M if seen.resting else SURPRISE_MAX_M
        return "raw" if self._surprise < CALM_M * CALM_M and square < most * most else "filtered"

    @property
    def state(self) -> State:
        position = (self.t, self.lat, self.lon, self.vx, self.vy)
        return State(*position, self._pp, self._pv, self._vv, self._driven)

    @property
    def sigma(self) -> float:
        """m, an axis."""
        return sqrt(self._pp)

    @property
    def speed(self) -> float:
        return hypot(self.vx, self.vy)

    def _noise(self) -> float:
        """m2, of a position on an axis."""
        sigma = SIGMA_PER_RMS * sqrt(self._surprise)
        return min(max(sigma, SIGMA_MIN_M), SIGMA_MAX_M) ** 2

    def _worth(self, way: float, dt: float, square: float, nis: float) -> float:
        """m2 to weigh a fix with after `way` metres: more for the same error again, or in doubt."""
        again = min(ALIKE_M / max(way, 1e-3), ALIKE_S / dt)
        noise = self._noise() * max(again, 1.0)
        return max(noise, square / NIS_DOUBT - self._pp) if nis > NIS_DOUBT else noise

    def _restart(self, fix: Fix, seen: tuple[float, float] | None) -> None:
        assert fix.lat is not None
        assert fix.lon is not None
        self.t, self.lat, self.lon, self._rejects = fix.t, fix.lat, fix.lon, 0
        self.vx, self.vy = seen or (0.0, 0.0)
        self._driven = None
        self._pp, self._pv = max(UNKNOWN_M, fix.sigma or 0.0) ** 2, 0.0
        self._vv = UNKNOWN_V * UNKNOWN_V if seen is None else SIGMA_V * SIGMA_V

    def _predict(self, dt: float, acceleration: float) -> None:
        self.lat, self.lon = moved(self.lat, self.lon, self.vx * dt, self.vy * dt)
        q = acceleration * acceleration
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

    def _correct_velocity(self, vx: float, vy: float, sigma: float) -> None:
        dx, dy = vx - self.vx, vy - self.vy
        noise = sigma * sigma
        total = self._vv + noise
        if dx * dx + dy * dy > NIS_DOPPLER * total:
            return
        gain, gain_p = self._vv / total, self._pv / total
        self.lat, self.lon = moved(self.lat, self.lon, gain_p * dx, gain_p * dy)
        self.vx += gain * dx
        self.vy += gain * dy
        self._pp -= gain_p * self._pv
        self._pv -= gain * self._pv
        self._vv -= gain * self._vv
