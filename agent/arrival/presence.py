"""Is the rider at a place? Decided beacon by beacon, from how loud each is.

    bar = enter_rssi - 1.5 dB, and a fifth of what the loudest rival is above its own enter_rssi

    outside --p75 >= bar, 2 packets; or 2 loud ones-----------------> inside  (strong)
    inside  --p75 below bar - 2.5 dB, adding up to 10 dB s----------> outside (weak)
            --after 2 min: below bar - 8 dB, adding up to 600 dB s--> outside (weak)
    inside  --silent for max(10 s, after 2 min 60 s, 8 intervals)---> outside (silent)
    inside  --the scanner cannot hear-------------------------------> unknown
    unknown --p75 >= bar - 2.5 dB-----------------------------------> inside
    unknown --weak or silent, as above------------------------------> outside

The 75th percentile over 5 s forgives packets lost in a body's shadow; two packets 8 dB above
enter_rssi within a second need not wait for it. Leaving is a sequential test (a cumulative sum,
Page 1954): far below counts for more than a little below, and what comes back takes away from it.
A rival is a beacon of another place: who stands at the neighbour's is less likely to be here. The
percentile lags, so an enter is dated to the first packet of its window that would have kept the
rider inside, and a departure to half a window before it began to show.

Who left after a long stay and is back within a quarter of an hour stays on: a false exit must not
be followed by a burst of them. A long stay ends like a short one when something else says that the
rider is elsewhere.

A place is inside while one of its beacons is, and `arrived` once that has lasted 10 s and it leads
the others (`contest.py`). Time here is that of the last advert heard from anyone: while the radio
hears nothing, no time passes, so that its silence is never taken for a departure.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal, NamedTuple

WINDOW_S = 5.0
WINDOW_INTERVALS = 2.5  # the window of a slow beacon, so that two packets fit
PACKETS = 2
# enter_rssi is surveyed with 3 s; 5 s wander less, so that less of a margin keeps passers-by out.
ENTER_DB = -1.5
RIVAL = 0.2  # dB of the bar per dB of the rival's margin
FAST_DB = 8.0
FAST_S = 1.0
SILENCE_INTERVALS = 8
DWELL_S = 10.0
SETTLED_S = 120.0
RETURN_S = 900.0

# No beacon advertises faster (Bluetooth Core, advInterval): closer ones are one packet told twice.
MIN_GAP_S = 0.02
MAX_GAP_S = 30.0  # longer is an absence, not an interval
HISTORY = 512  # packets kept of a beacon
STEP_S = 1.0  # what a single judgement may count for, when the radio paused


class Leaving(NamedTuple):
    """How far p75 must be below the bar, and what that must add up to, to leave; or how long it
    must be silent."""

    hysteresis_db: float
    weakness_dbs: float  # dB times seconds, at a window of 5 s
    silence_s: float


FRESH = Leaving(2.5, 10.0, 10.0)
SETTLED = Leaving(8.0, 600.0, 60.0)

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
    level: Level | None = None  # as last measured; None when nothing was heard in the window
    _packets: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=HISTORY))
    _gaps: deque[float] = field(default_factory=lambda: deque(maxlen=16))
    _last: float | None = None
    _judged: float | None = None
    _weakness: float = 0.0  # dB s
    _weak_since: float | None = None
    _returns_until: float = -math.inf

    @property
    def interval(self) -> float:
        """Seconds between packets, as learned; 1 s before."""
        return median(self._gaps) if self._gaps else 1.0

    @property
    def silence_limit(self) -> float:
        return max(FRESH.silence_s, SILENCE_INTERVALS * self.interval)

    @property
    def window(self) -> float:
        return max(WINDOW_S, WINDOW_INTERVALS * self.interval)

    @property
    def margin(self) -> float:
        """How far above enter_rssi, dB; far below it when nothing was heard."""
        return -127.0 if self.level is None else self.level.p75 - self.enter_rssi

    def leaving(self, now: float, *, elsewhere: bool = False) -> Leaving:
        """A rider who has been there for long, or is back soon, must be missed for longer, unless
        something else says that they are elsewhere."""
        if self.inside is False or elsewhere:
            return FRESH
        stayed = now - self.since if self.inside else 0.0
        return SETTLED if stayed >= SETTLED_S or self.since < self._returns_until else FRESH

    def hear(self, t: float, rssi: int) -> None:
        if self._last is not None and t - self._last < MIN_GAP_S:
            return
        if self._last is not None and t - self._last <= MAX_GAP_S:
            self._gaps.append(t - self._last)
        self._last = t
        self._packets.append((t, rssi))

    def measure(self, now: float) -> float:
        """Sum up the window before `now`; its margin."""
        start, recent = now - self.window, now - max(FAST_S, WINDOW_INTERVALS * self.interval)
        while self._packets and self._packets[0][0] <= start:
            self._packets.popleft()
        window = sorted(rssi for _, rssi in self._packets)
        if not window:
            self.level = None
            return self.margin
        last = sorted(rssi for t, rssi in self._packets if t > recent)
        second = last[-2] if len(last) > 1 else -127
        self.level = Level(percentile75(window), second, len(window))
        return self.margin

    def forget(self) -> None:
        """The scanner is deaf: judge anew when it hears again."""
        if self._judged is not None and self.leaving(self._judged) is SETTLED:
            self._returns_until = math.inf
        self._packets.clear()
        self._last = self._judged = self.level = None
        self._be_strong()
        if self.inside:
            self.inside = None

    def resume(self, t: float) -> None:
        """The scanner hears again: silence counts from here."""
        if self.inside is None:
            self.since = t
            self._returns_until = min(self._returns_until, t + RETURN_S)

    def judge(self, now: float, rival: float = 0.0, *, elsewhere: bool = False) -> None:
        """After `measure(now)`. `rival`: dB that the loudest other place is above its threshold.
        `elsewhere`: the GPS, the floor or another place speaks against this one."""
        step = 0.0 if self._judged is None else min(now - self._judged, STEP_S)
        self._judged = now
        raised = RIVAL * max(0.0, rival)
        bar = self.enter_rssi + ENTER_DB + raised
        if self.inside is not True and self._strong(bar, raised):
            self._become(True, self._crossed(now, bar), "strong")
        elif self.inside is not False:
            self._judge_leaving(now, self.leaving(now, elsewhere=elsewhere), bar, step)

    def audible(self, now: float) -> bool:
        """Heard within its silence limit."""
        return self._last is not None and now - self._last <= self.silence_limit

    def weakening(self) -> bool:
        """Inside, but perhaps about to leave."""
        return self._weak_since is not None

    def _strong(self, bar: float, raised: float) -> bool:
        if self.level is None:
            return False
        # Who was there needs less to be there still.
        needed = bar - FRESH.hysteresis_db if self.inside is None else bar
        enough = self.level.packets >= PACKETS and self.level.p75 >= needed
        return enough or self.level.second >= self.enter_rssi + FAST_DB + raised

    def _crossed(self, now: float, bar: float) -> float:
        """When it was entered: the first packet of the window that is no sign of leaving."""
        loud = (t for t, rssi in self._packets if rssi >= bar - FRESH.hysteresis_db)
        return max(self.since, next(loud, now))

    def _judge_leaving(self, now: float, leaving: Leaving, bar: float, step: float) -> None:
        if self.level is not None:
            self._weigh(now, bar - leaving.hysteresis_db - self.level.p75, step)
            if self._weak_since is not None and self._weakness >= leaving.weakness_dbs:
                left = max(self.since, self._weak_since - self.window / 2)
                self._leave(now, leaving, left, "weak")
                return
        heard = self.since if self._last is None else self._last
        if now - heard > max(self.silence_limit, leaving.silence_s):
            self._leave(now, leaving, heard, "silent")

    def _leave(self, now: float, leaving: Leaving, since: float, cause: Cause) -> None:
        if leaving is SETTLED:
            self._returns_until = now + RETURN_S
        self._become(False, since, cause)

    def _weigh(self, now: float, below: float, step: float) -> None:
        self._weakness = max(0.0, self._weakness + below * step * WINDOW_S / self.window)
        if below > 0:
            self._weak_since = now if self._weak_since is None else self._weak_since
        elif self._weakness <= 0:
            self._be_strong()

    def _be_strong(self) -> None:
        self._weakness, self._weak_since = 0.0, None

    def _become(self, inside: bool, t: float, cause: Cause) -> None:  # noqa: FBT001 - the state
        self.inside, self.since, self.cause = inside, t, cause
        self._be_strong()


def percentile75(ordered: Sequence[int]) -> float:
    """The 75th percentile with linear interpolation (Hyndman and Fan, type 7)."""
    whole, rest = divmod(3 * (len(ordered) - 1), 4)
    above = ordered[min(whole + 1, len(ordered) - 1)]
    return ordered[whole] + (above - ordered[whole]) * rest / 4
