"""Where "inside" begins for a beacon: found from a survey, kept right by confirmed pick-ups.

Survey: someone says for a while whether they are inside, and the threshold lies halfway between the
mean levels inside and outside (the linear discriminant of Fisher 1936, for spreads that are alike).
Means of half a minute wander by 1 to 2 dB; the level of the greatest F1, by 3 dB.

Pick-ups: whoever confirms a pick-up was at the place. The threshold follows the 5th percentile of
the levels of such moments with the steps of stochastic approximation (Robbins and Monro 1951): down
by 0.95 steps for a pick-up that would not have entered, up by 0.05 steps for one that would. No
single pick-up, wrong or not, moves it by more than a step, and all together by no more than 10 dB
from what was surveyed: a lie that is told often makes a zone wider or narrower, not global.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

from agent.arrival.presence import percentile75

SURVEY_WINDOW_S = 3.0
SURVEY_TICK_S = 0.25
MIN_MOMENTS = 8  # of each kind: two seconds
LOWEST_DBM, HIGHEST_DBM = -95, -40

NEAR_S = 60.0  # around a pick-up, its beacon is at its loudest
MISSED = 0.05  # share of pick-ups that may stay below the threshold
STEP_DB = 1.0
REACH_DB = 10.0


class Sample(NamedTuple):
    t: float  # s
    rssi: int  # dBm
    inside: bool  # as the surveyor said


def surveyed(samples: Sequence[Sample]) -> float | None:
    """`enter_rssi` in dBm, or None when too little was heard inside or outside. `samples` of one
    beacon, in time order."""
    moments = list(_moments(samples))
    inside = [level for level, said in moments if said]
    outside = [level for level, said in moments if not said]
    if min(len(inside), len(outside)) < MIN_MOMENTS:
        return None
    return (fmean(inside) + fmean(outside)) / 2


def stood(samples: Sequence[Sample]) -> float | None:
    """`enter_rssi` when nothing was heard outside: the level that 19 of 20 moments inside reach."""
    inside = sorted(level for level, said in _moments(samples) if said)
    return inside[len(inside) // 20] if len(inside) >= MIN_MOMENTS else None


def _moments(samples: Sequence[Sample]) -> Iterable[tuple[float, bool]]:
    """The level of the last 3 s, four times a second, and what the surveyor said."""
    if not samples:
        return
    first, last, now = 0, 0, samples[0].t
    while now <= samples[-1].t:
        while last < len(samples) and samples[last].t <= now:
            last += 1
        while first < last and samples[first].t <= now - SURVEY_WINDOW_S:
            first += 1
        if first < last:
            window = sorted(sample.rssi for sample in samples[first:last])
            yield percentile75(window), samples[last - 1].inside
        now += SURVEY_TICK_S


@dataclass(frozen=True, slots=True)
class Learned:
    """A threshold and what it may become."""

    surveyed: float  # dBm
    enter_rssi: float
    pick_ups: int = 0

    @classmethod
    def start(cls, surveyed: float) -> Learned:
        return cls(surveyed, surveyed)

    def picked_up(self, level: float) -> Learned:
        """After a confirmed pick-up. `level`: dBm, the loudest 75th percentile within NEAR_S."""
        step = -(1 - MISSED) if level < self.enter_rssi else MISSED
        low = max(LOWEST_DBM, self.surveyed - REACH_DB)
        high = min(HIGHEST_DBM, self.surveyed + REACH_DB)
        moved = min(max(self.enter_rssi + STEP_DB * step, low), high)
        return Learned(self.surveyed, moved, self.pick_ups + 1)
