"""What to do with a radio that hears nothing: the gentlest first, and patience between.

    restart --6 s--> power --9 s--> reset --30 s--> restart --60 s--> power ... at most 300 s apart

Quickly like that only when a canary fell silent, or when the adapter refuses the scan: then it is
not the surroundings that are quiet. Else each pause is that of the patient: 30, 60, ... 300 s.
A rung that is not possible here is passed over at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.base import Rung

RUNGS: tuple[Rung, ...] = ("restart", "power", "reset")
QUICK_S = (6.0, 9.0)  # behind the first, the second
PATIENT_S, PATIENT_MAX_S = 30.0, 300.0


@dataclass(slots=True)
class Ladder:
    """`climb` says what to try, `due` whether it is time to; `heard` ends it."""

    rungs: Sequence[Rung] = RUNGS
    rung: Rung | None = None  # the last that was tried
    _tried: int = 0
    _wait_s: float = 0.0
    _t: float = 0.0
    _patient_s: float = PATIENT_S

    def due(self, now: float) -> bool:
        return now - self._t >= self._wait_s

    def climb(self, now: float, *, quick: bool) -> Rung:
        self.rung = self.rungs[self._tried % len(self.rungs)]
        self._t = now
        if quick and self._tried < len(QUICK_S):
            self._wait_s = QUICK_S[self._tried]
        else:
            self._wait_s = self._patient_s
            self._patient_s = min(2 * self._patient_s, PATIENT_MAX_S)
        self._tried += 1
        return self.rung

    def impossible(self) -> None:
        """What was to be tried cannot be done here: the next one is due at once."""
        if self.rung != self.rungs[-1]:
            self._wait_s = 0.0

    def heard(self) -> None:
        """The radio hears: whatever was done, it is over."""
        self.rung = None
        self._tried, self._wait_s, self._patient_s = 0, 0.0, PATIENT_S
