"""Which fixes may be believed at all, and when they were really taken.

Whether a fix fits the motion is the filter's question; see kalman.py.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from drivers.base import Fix

AGE_MAX_S = 2.0
STEP_MIN_S = 0.02  # no receiver is faster than 25 Hz, or this is the same epoch again
SAME_OFFSET_S = 0.3  # two late fixes that agree so well: the receiver's clock was set
SIGMA_MAX_M = 50.0  # a receiver that states more says that it does not know
DRIFT = 1e-4  # s/s that the machine's clock and the receiver's may drift apart, generously


@dataclass(slots=True)
class Gate:
    """Admits a fix, with `t` freed of the jitter of the line, or counts in `rejected` why not."""

    rejected: Counter[str] = field(default_factory=Counter)
    _t: float = float("-inf")  # of the newest admitted fix
    _offset: float | None = None  # monotonic minus UTC of the promptest fix
    _last_offset: float | None = None

    def admit(self, fix: Fix) -> Fix | None:
        cause, t = self._judge(fix)
        if cause is not None:
            self.rejected[cause] += 1
            return None
        self._t = t
        return replace(fix, t=t)

    def _judge(self, fix: Fix) -> tuple[str | None, float]:
        if fix.mode < 2 or fix.lat is None or fix.lon is None:
            return "no fix", fix.t
        if not (abs(fix.lat) < 90 and abs(fix.lon) <= 180):  # false for NaN, too
            return "impossible", fix.t
        if abs(fix.lat) < 1e-6 and abs(fix.lon) < 1e-6:
            return "null island", fix.t
        if fix.sigma is not None and not fix.sigma <= SIGMA_MAX_M:
            return "imprecise", fix.t
        t = self._taken(fix)
        if fix.t - t > AGE_MAX_S:
            return "late", t
        return ("repeated" if t < self._t + STEP_MIN_S else None), t

    def _taken(self, fix: Fix) -> float:
        """The monotonic second of the epoch: that of the promptest fix so far, plus UTC since."""
        if fix.utc is None:
            return fix.t
        offset = fix.t - fix.utc
        known, last, self._last_offset = self._offset, self._last_offset, offset
        if known is not None and fix.t > self._t:
            known += DRIFT * min(fix.t - self._t, AGE_MAX_S)
        agrees = last is not None and abs(offset - last) < SAME_OFFSET_S
        if known is None or offset < known or (offset - known > AGE_MAX_S and agrees):
            known = offset
        self._offset = known
        return fix.utc + known
