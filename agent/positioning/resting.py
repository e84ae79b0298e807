"""Whether a rider stands, by places alone: for receivers that state no speed.

Places of who stands wander slowly, and jump when a reflection comes or goes; those of who rides off
grow from second to second. So a displacement counts only as far as it does not come from one step.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from math import hypot

from agent.positioning.geodesy import offset_m

REST_S = 15.0  # within REST_M of one place for so long
REST_M = 5.0
LEAVE_S = 5.0  # over which a displacement is looked at
LEAVE_M = 3.0  # of it, without its greatest step
FIXES_MAX = 400  # 25 a second
FIXES_MIN = 6


@dataclass(slots=True)
class Resting:
    """Feed it every place in order; `leaving` is the velocity (m/s east, north) of who rides off,
    at the fix that shows it."""

    resting: bool = False
    leaving: tuple[float, float] | None = None
    _seen: deque[tuple[float, float, float]] = field(
        default_factory=lambda: deque(maxlen=FIXES_MAX)
    )

    def forget(self) -> None:
        """Nothing is known of the last seconds."""
        self.resting, self.leaving = False, None
        self._seen.clear()

    def react(self, t: float, lat: float, lon: float) -> bool:
        """Whether the rider stands at `t` (s)."""
        self._seen.append((t, lat, lon))
        while len(self._seen) > 1 and self._seen[1][0] <= t - REST_S:
            self._seen.popleft()
        self.leaving = None
        if self.resting:
            self.leaving = self._leaving()
            self.resting = self.leaving is None
        else:
            self.resting = self._stands()
        return self.resting

    def _stands(self) -> bool:
        t0, lat0, lon0 = self._seen[0]
        if len(self._seen) < FIXES_MIN or self._seen[-1][0] - t0 < REST_S:
            return False
        return all(hypot(*offset_m(lat0, lon0, lat, lon)) < REST_M for _, lat, lon in self._seen)

    def _leaving(self) -> tuple[float, float] | None:
        since = self._seen[-1][0] - LEAVE_S
        recent = [place for place in self._seen if place[0] >= since]
        steps = [offset_m(*before[1:], *after[1:]) for before, after in pairwise(recent)]
        if len(steps) < 2:
            return None
        east, north = sum(x for x, _ in steps), sum(y for _, y in steps)
        jump = max(steps, key=lambda step: hypot(*step))
        if min(hypot(east, north), hypot(east - jump[0], north - jump[1])) < LEAVE_M:
            return None  # and who jumped there and back has gone nowhere
        dt = recent[-1][0] - recent[-2][0]
        return steps[-1][0] / dt, steps[-1][1] / dt
