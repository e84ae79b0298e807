"""Which floor of a mall: naive Bayes over (address, RSSI bin), carried from window to window.

Of the five loudest known addresses of the last 10 s, each floor gets (counts from the model, with
half of the neighbouring bins)

    log likelihood = 0.5 sum over addresses of log((near + 0.05) / (windows on that floor + 1))

Quieter ones are mostly leaks through floors and atria, and beacons heard together are not
independent: hence five, and the factor 0.5. What was believed 10 s ago is the prior, a tenth of it
spread over all floors, because riders take lifts. No floor is named up to a probability of 0.5, nor
when no known address was heard for three windows, nor by a model of one floor only.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

STEP_S = 1.0
LOUDEST = 5
TEMPER = 0.5
CHANGE = 0.1  # share of the belief that a window spreads over all floors
NEIGHBOUR = 0.5
PRIOR_COUNT = 0.05
ABSTAIN_UP_TO = 0.5
STALE_WINDOWS = 3
HISTORY = 4096  # adverts of known addresses kept for the window

Count = Annotated[int, msgspec.Meta(ge=0)]


class FloorModel(msgspec.Struct, frozen=True):
    """Fingerprint of a building: address -> floor -> in how many windows its loudest advert fell
    in each RSSI bin. An edge belongs to the bin above it."""

    window_s: Annotated[float, msgspec.Meta(gt=0, le=120)]
    bin_edges_dbm: Annotated[list[float], msgspec.Meta(min_length=1, max_length=50)]
    windows: Annotated[dict[str, Count], msgspec.Meta(min_length=1, max_length=200)]
    beacons: dict[str, dict[str, list[Count]]]

    def problems(self) -> list[str]:
        """What the types do not say."""
        bins = len(self.bin_edges_dbm) + 1
        wrong = [
            f"beacon {address}: floor {floor!r} needs {bins} counts and an entry in `windows`"
            for address, floors in self.beacons.items()
            for floor, counts in floors.items()
            if len(counts) != bins or floor not in self.windows
        ]
        if sorted(self.bin_edges_dbm) != self.bin_edges_dbm:
            wrong.append("bin_edges_dbm: must rise")
        return wrong


def bin_of(model: FloorModel, rssi: float) -> int:
    return bisect_right(model.bin_edges_dbm, rssi)


@dataclass(frozen=True, slots=True)
class FloorAnswer:
    floor: str
    confidence: float  # probability as the model sees it


@dataclass(slots=True)
class FloorFilter:
    """The belief, second by second. A step starts from the belief of one window before, so that
    no advert is counted twice."""

    model: FloorModel
    _heard: deque[tuple[float, str, int]] = field(default_factory=lambda: deque(maxlen=HISTORY))
    _beliefs: deque[tuple[float, Mapping[str, float]]] = field(default_factory=deque)
    _next: float | None = None
    _last: float = -math.inf  # when a known address was heard

    def hear(self, t: float, address: str, rssi: int) -> None:
        if address in self.model.beacons:
            self._heard.append((t, address, rssi))
            self._last = t

    def forget(self) -> None:
        """The scanner was deaf."""
        self._heard.clear()
        self._beliefs.clear()
        self._next = None
        self._last = -math.inf

    def judge(self, now: float) -> FloorAnswer | None:
        """The floor at `now`, or None when nobody can tell."""
        window = self.model.window_s
        if self._next is None or now >= self._next:
            self._next = now + STEP_S
            while self._heard and self._heard[0][0] <= now - window:
                self._heard.popleft()
            while len(self._beliefs) > 1 and self._beliefs[1][0] <= now - window + STEP_S / 2:
                self._beliefs.popleft()
            self._beliefs.append((now, self._step(now)))
        floor, share = max(self._beliefs[-1][1].items(), key=lambda item: item[1])
        alone = len(self.model.windows) < 2  # nothing to tell it from
        stale = now - self._last > STALE_WINDOWS * window
        return (
            None if stale or alone or share <= ABSTAIN_UP_TO + 1e-9 else FloorAnswer(floor, share)
        )

    def _step(self, now: float) -> Mapping[str, float]:
        scores = {floor: math.log(p) for floor, p in self._prior(now).items()}
        for address, rssi in self._loudest():
            for floor, score in self._log_likelihood(address, rssi).items():
                scores[floor] += TEMPER * score
        top = max(scores.values())
        weights = {floor: math.exp(score - top) for floor, score in scores.items()}
        total = sum(weights.values())
        return {floor: max(weight / total, 1e-12) for floor, weight in weights.items()}

    def _prior(self, now: float) -> Mapping[str, float]:
        floors = self.model.windows
        if not self._beliefs or self._beliefs[0][0] > now - self.model.window_s + STEP_S / 2:
            return dict.fromkeys(floors, 1 / len(floors))
        t, belief = self._beliefs[0]
        keep = (1 - CHANGE) ** ((now - t) / self.model.window_s)
        return {floor: keep * belief[floor] + (1 - keep) / len(floors) for floor in floors}

    def _loudest(self) -> list[tuple[str, int]]:
        levels: dict[str, int] = {}
        for _, address, rssi in self._heard:
            levels[address] = max(levels.get(address, rssi), rssi)
        return sorted(levels.items(), key=lambda item: -item[1])[:LOUDEST]

    def _log_likelihood(self, address: str, rssi: int) -> dict[str, float]:
        """By floor."""
        at = bin_of(self.model, rssi)
        floors = self.model.beacons[address]
        scores = {}
        for floor, windows in self.model.windows.items():
            below, here, above = (
                (0, *floors[floor], 0)[at : at + 3] if floor in floors else (0, 0, 0)
            )
            near = here + NEIGHBOUR * (below + above)
            scores[floor] = math.log((near + PRIOR_COUNT) / (windows + 1))
        return scores
