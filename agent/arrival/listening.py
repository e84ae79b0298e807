"""Does the radio still hear, or is it only quiet? Scanners fall silent without any error.

What is normal is learned: the longest silence of late, which fades over two minutes. A radio that
reports every packet is doubted after 5 s, one that reports once a scan cycle (10.5 s) after half a
minute.

A canary shortens that to 4.5 s, whatever was learned before: for 15 s something was heard without a
pause of more than 1.5 s, and it was loud until the end. Who rides away from a beacon hears it fade;
a loud one that ends within a tenth of a second, and everything else with it, is a scanner that
stands still.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import exp

FIRST_GAP_S = 10.5  # BlueZ with duplicate filtering: a report per beacon and scan cycle
FADE_S = 120.0
FACTOR = 3.0
LIMIT_MIN_S = 5.0
LIMIT_MAX_S = 120.0

CANARY_LIMIT_S = 4.5
CANARY_S = 15.0
CANARY_GAP_S = CANARY_LIMIT_S / FACTOR
CANARY_PACKETS = 30
LOUD_DBM = -82  # 13 dB above what a receiver can hear: it does not fade within a second
LOUD_S = 2.0


@dataclass(slots=True)
class Listening:
    last: float  # monotonic s of the last advert of anyone, or of the opening
    _longest: float = FIRST_GAP_S
    _seconds: deque[_Second] = field(default_factory=deque)  # those of CANARY_S with a packet

    def heard(self, t: float, rssi: int = -127) -> None:
        gap = max(0.0, t - self.last)
        faded = self._longest * exp(-gap / FADE_S)
        self._longest = max(faded, min(gap, LIMIT_MAX_S / FACTOR))
        self.last = max(self.last, t)
        if not self._seconds or t - self._seconds[-1].t >= 1.0:
            self._seconds.append(_Second(t))
        self._seconds[-1].add(gap, rssi)
        while self._seconds[0].t <= t - CANARY_S:
            self._seconds.popleft()

    @property
    def canary(self) -> bool:
        """Whether something was heard at packet rate, and loud, until the last moment."""
        if not self._seconds or self.last - self._seconds[0].t < CANARY_S - 2 * CANARY_GAP_S:
            return False
        ends = (second.loudest for second in self._seconds if self.last - second.t < LOUD_S)
        return (
            max(second.gap for second in self._seconds) <= CANARY_GAP_S
            and sum(second.packets for second in self._seconds) >= CANARY_PACKETS
            and max(ends) >= LOUD_DBM
        )

    @property
    def limit(self) -> float:
        """Seconds of silence after which the radio is not believed."""
        learned = min(LIMIT_MAX_S, max(LIMIT_MIN_S, FACTOR * self._longest))
        return min(learned, CANARY_LIMIT_S) if self.canary else learned

    def deaf(self, now: float) -> bool:
        return now - self.last > self.limit


@dataclass(slots=True)
class _Second:
    """What was heard in one second."""

    t: float  # its beginning
    packets: int = 0
    gap: float = 0.0  # the longest before one of its packets
    loudest: int = -127

    def add(self, gap: float, rssi: int) -> None:
        self.packets += 1
        self.gap = max(self.gap, gap)
        self.loudest = max(self.loudest, rssi)
