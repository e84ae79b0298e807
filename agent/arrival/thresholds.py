"""What confirmed pick-ups taught about where each place begins: kept from start to start.

Whoever picks an order up is at the shop. How loud its beacons were in the last minute moves the
threshold of the one that was loudest (`learning.py`); one that was not heard teaches nothing. Where
the survey says another level than the one that was learned from, learning begins anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from agent.arrival.learning import NEAR_S, REACH_DB, Learned
from agent.arrival.places import BeaconRule

KNOWN = 500  # beacons; what was learned longest ago is forgotten first
EVERY_S = 1.0


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of what is kept, and of what people are shown; levels in dBm."""

    place: str
    beacon: str
    surveyed: float
    enter_rssi: float
    pick_ups: int


Key = tuple[str, str]  # place, beacon


@dataclass(slots=True)
class Thresholds:
    _learned: dict[Key, Learned] = field(default_factory=dict)
    _levels: dict[Key, deque[tuple[float, float]]] = field(default_factory=dict)

    def enter_rssi(self, place: str, rule: BeaconRule) -> float:
        """As learned, or as surveyed."""
        return self._of(place, rule).enter_rssi

    def heard(self, place: str, rule: BeaconRule, t: float, p75: float) -> None:
        """Feed it places where a pick-up is expected."""
        levels = self._levels.setdefault((place, name(rule)), deque())
        if levels and t - levels[-1][0] < EVERY_S:
            levels[-1] = levels[-1][0], max(levels[-1][1], p75)
        else:
            levels.append((t, p75))
        while levels[0][0] < t - NEAR_S:
            levels.popleft()

    def picked_up(self, place: str, rules: Iterable[BeaconRule], now: float) -> Kept | None:
        """What became of the threshold of the loudest; None when none was heard nearby."""
        best: tuple[float, float, BeaconRule] | None = None
        for rule in rules:
            level = self._loudest((place, name(rule)), now)
            margin = level - self.enter_rssi(place, rule)
            if margin >= -REACH_DB and (best is None or margin > best[0]):
                best = margin, level, rule
        self.forget(place)
        if best is None:
            return None
        _, level, rule = best
        key = place, name(rule)
        learned = self._of(place, rule).picked_up(level)
        self._learned.pop(key, None)
        self._learned[key] = learned
        if len(self._learned) > KNOWN:
            del self._learned[next(iter(self._learned))]
        return _kept(key, learned)

    def forget(self, place: str) -> None:
        """How loud it was of late: no pick-up is expected there any more."""
        for key in [key for key in self._levels if key[0] == place]:
            del self._levels[key]

    def kept(self) -> list[Kept]:
        """The newest last."""
        return [_kept(key, learned) for key, learned in self._learned.items()]

    def recall(self, kept: Iterable[Kept]) -> None:
        """What an earlier start kept."""
        for line in kept:
            learned = Learned(line.surveyed, line.enter_rssi, line.pick_ups)
            self._learned[line.place, line.beacon] = learned

    def _of(self, place: str, rule: BeaconRule) -> Learned:
        learned = self._learned.get((place, name(rule)))
        if learned is None or learned.surveyed != rule.enter_rssi:
            return Learned.start(rule.enter_rssi)
        return learned

    def _loudest(self, key: Key, now: float) -> float:
        near = (level for t, level in self._levels.get(key, ()) if t >= now - NEAR_S)
        return max(near, default=-127.0)


def name(rule: BeaconRule) -> str:
    return rule.identity or rule.address or ""


def _kept(key: Key, learned: Learned) -> Kept:
    enter_rssi = round(learned.enter_rssi, 2)
    return Kept(*key, learned.surveyed, enter_rssi, learned.pick_ups)
