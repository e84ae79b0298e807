"""Does the radio still hear, or is it only quiet? Scanners fall silent without any error.

What is normal is learned: the longest silence of late, which fades over two minutes. A radio that
reports every packet is doubted after 5 s, one that reports once a scan cycle (10.5 s) after half a
minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

FIRST_GAP_S = 10.5  # BlueZ with duplicate filtering: a report per beacon and scan cycle
FADE_S = 120.0
FACTOR = 3.0
LIMIT_MIN_S = 5.0
LIMIT_MAX_S = 120.0


@dataclass(slots=True)
class Listening:
    last: float  # monotonic s of the last advert of anyone, or of the opening
    _longest: float = FIRST_GAP_S

    def heard(self, t: float) -> None:
        gap = max(0.0, t - self.last)
        faded = self._longest * exp(-gap / FADE_S)
        self._longest = max(faded, min(gap, LIMIT_MAX_S / FACTOR))
        self.last = max(self.last, t)

    @property
    def limit(self) -> float:
        """Seconds of silence after which the radio is not believed."""
        return min(LIMIT_MAX_S, max(LIMIT_MIN_S, FACTOR * self._longest))

    def deaf(self, now: float) -> bool:
        return now - self.last > self.limit
