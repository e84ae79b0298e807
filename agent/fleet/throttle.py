"""How many commands a device takes: a bucket of tokens; pure.

A flood from a back end that went mad must not keep the printers from their tickets. What sounds or
prints costs more, because paper, people and the printer's time are what a flood would eat.
"""

from __future__ import annotations

from dataclasses import dataclass

BURST = 120.0  # what a device that was offline for long may find waiting for it
PER_S = 2.0
PAPER = 6  # tokens of what prints or sounds: 20 at once, then one in 3 s
ANSWERED, ANSWERED_PER_S = 10.0, 1 / 6  # of those that are turned away; the rest is counted


@dataclass(slots=True)
class Bucket:
    """`take` at rising times `t` (monotonic s)."""

    burst: float = BURST
    per_s: float = PER_S
    _left: float | None = None
    _at: float = 0.0

    def take(self, t: float, cost: float = 1.0) -> bool:
        """Whether there was as much; if not, nothing is taken."""
        before = self.burst if self._left is None else self._left
        left = min(self.burst, before + max(0.0, t - self._at) * self.per_s)
        self._at = max(t, self._at)
        self._left = left - cost if left >= cost else left
        return left >= cost
