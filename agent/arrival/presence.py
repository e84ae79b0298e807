"""Is the rider at a place? Decided beacon by beacon, from how loud each is.

    outside --p75 >= enter_rssi, 2 packets------------------------> inside
    inside  --p75 < enter_rssi - 3.5 dB for 3 s, or - 7.5 dB------> outside  (weak)
            --after 90 s: - 6 dB for 10 s, or - 15 dB-------------> outside
    inside  --silent for max(10 s, 8 intervals)-------------------> outside  (silent)
    inside  --the scanner cannot hear-----------------------------> unknown
    unknown --p75 >= enter_rssi - 3.5 dB--------------------------> inside
    unknown --weak or silent, as above----------------------------> outside

The 75th percentile over 3 s forgives packets lost in a body's shadow; two packets 8 dB above the
threshold within a second need not wait for it. A place is inside while one of its beacons is, and
`arrived` once that has lasted 10 s. Time here is that of the last advert heard from anyone: while
the radio hears nothing, no time passes, so that its silence is never taken for a departure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal, NamedTuple

WINDOW_S = 3.0
WINDOW_INTERVALS = 2.5  # the window of a slow beacon, so that two packets fit
PACKETS = 2
FAST_DB = 8.0
FAST_S = 1.0
SILENCE_S = 10.0
SILENCE_INTERVALS = 8
DWELL_S = 10.0
SETTLED_S = 90.0

# No beacon advertises faster (Bluetooth Core, advInterval): closer ones are one packet told twice.
MIN_GAP_S = 0.02
MAX_GAP_S = 30.0  # longer is an absence, not an interval
HISTORY = 512  # packets kept of a beacon


class Leaving(NamedTuple):
    """How far p75 must be below enter_rssi, and for how long, to leave; `deep_db` at once."""

    hysteresis_db: float
    weak_s: float
    deep_db: float


FRESH = Leaving(3.5, 3.0, 7.5)
SETTLED = Leaving(6.0, 10.0, 15.0)

Cause = Literal["strong", "weak", "silent"]


@dataclass(frozen=True, slots=True)
class Level:
    """What the packets of the window say."""

    p75: float  # dBm
    second: float  # dBm, of the second loudest packet of the last second
    packets: int


@dataclass(slots=True)
class BeaconPresence:
    """One beacon. `inside` is None while nobody can tell."""

    enter_rssi: float  # dBm
    inside: bool | None = False
    since: float = 0.0  # when `inside` became so: its first crossing, not when it was decided
    cause: Cause | None = None
    _packets: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=HISTORY))
    _gaps: deque[float] = field(default_factory=lambda: deque(maxlen=16))
    _last: float | None = None
    _weak_since: float | None = None

    @property
    def interval(self) -> float:
        """Seconds between packets, as learned; 1 s before."""
        return median(self._gaps) if self._gaps else 1.0

    @property
    def silence_limit(self) -> float:
        return max(SILENCE_S, SILENCE_INTERVALS * self.interval)

    def leaving(self, now: float) -> Leaving:
        """A rider who has been there for long must be missed for longer."""
        return SETTLED if self.inside and now - self.since >= SETTLED_S else FRESH

    def hear(self, t: float, rssi: int) -> None:
        if self._last is not None and t - self._last < MIN_GAP_S:
            return
        if self._last is not None and t - self._last <= MAX_GAP_S:
            self._gaps.append(t - self._last)
        self._last = t
        self._packets.append((t, rssi))

    def level(self, now: float) -> Level | None:
        """None when nothing was heard in the window."""
        slow = WINDOW_INTERVALS * self.interval
        start, recent = now - max(WINDOW_S, slow), now - max(FAST_S, slow)
        window = sorted(rssi for t, rssi in self._packets if t > start)
        if not window:
            return None
        last = sorted(rssi for t, rssi in self._packets if t > recent)
        return Level(percentile75(window), last[-2] if len(last) > 1 else -127, len(window))

    def forget(self) -> None:
        """The scanner is deaf: judge anew when it hears again."""
        self._packets.clear()
        self._last = self._weak_since = None
        if self.inside:
            self.inside = None

    def resume(self, t: float) -> None:
        """The scanner hears again: silence counts from here."""
        if self.inside is None:
            self.since = t

    def judge(self, now: float) -> None:
        level = self.level(now)
        if self.inside is not True and level is not None and self._strong(level):
            self._become(True, self._last or now, "strong")
        elif self.inside is not False:
            self._judge_leaving(now, level)

    def _strong(self, level: Level) -> bool:
        needed = self.enter_rssi
        if self.inside is None:  # who was there needs less to be there still
            needed -= FRESH.hysteresis_db
        enough = level.packets >= PACKETS and level.p75 >= needed
        return enough or level.second >= self.enter_rssi + FAST_DB

    def _judge_leaving(self, now: float, level: Level | None) -> None:
        if level is not None:
            leaving, below = self.leaving(now), self.enter_rssi - level.p75
            if below <= leaving.hysteresis_db:
                self._weak_since = None
            else:
                self._weak_since = now if self._weak_since is None else self._weak_since
                deep = level.packets >= PACKETS and below > leaving.deep_db
                if deep or now - self._weak_since >= leaving.weak_s:
                    self._become(False, self._weak_since, "weak")
                    return
        heard = self.since if self._last is None else self._last
        if now - heard > self.silence_limit:
            self._become(False, heard, "silent")

    def audible(self, now: float) -> bool:
        """Heard within its silence limit."""
        return self._last is not None and now - self._last <= self.silence_limit

    def weakening(self) -> bool:
        """Inside, but perhaps about to leave."""
        return self._weak_since is not None

    def _become(self, inside: bool, t: float, cause: Cause) -> None:  # noqa: FBT001 - the state
        self.inside, self.since, self.cause, self._weak_since = inside, t, cause, None


def percentile75(ordered: Sequence[int]) -> float:
    """The 75th percentile with linear interpolation (Hyndman and Fan, type 7)."""
    whole, rest = divmod(3 * (len(ordered) - 1), 4)
    above = ordered[min(whole + 1, len(ordered) - 1)]
    return ordered[whole] + (above - ordered[whole]) * rest / 4
