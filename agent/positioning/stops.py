"""Does the rider move or stand? With hysteresis, so that noise at a red light starts no ride."""

from __future__ import annotations

from dataclasses import dataclass

from agent.positioning.geodesy import distance_m

STILL_MS = 0.5
STILL_S = 3.0
MOVING_MS = 1.2
MOVING_TIMES = 2
LEFT_M = 10.0


@dataclass(slots=True)
class Stops:
    """Stops after 3 s under 0.5 m/s; goes on when twice over 1.2 m/s, or 10 m from the stop."""

    moving: bool = True
    _slow_since: float | None = None
    _fast: int = 0
    _at: tuple[float, float] = (0.0, 0.0)

    def react(self, t: float, lat: float, lon: float, speed: float) -> bool:
        """Whether the rider moves at `t` (s), by the estimated place and speed (m/s)."""
        if self.moving:
            if speed >= STILL_MS:
                self._slow_since = None
            elif self._slow_since is None:
                self._slow_since = t
            elif t - self._slow_since >= STILL_S:
                self.moving, self._fast, self._at = False, 0, (lat, lon)
        else:
            self._fast = self._fast + 1 if speed > MOVING_MS else 0
            if self._fast >= MOVING_TIMES or distance_m(*self._at, lat, lon) > LEFT_M:
                self.moving, self._slow_since = True, None
        return self.moving
