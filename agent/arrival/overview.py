"""What the radio hears just now, for people who look; never for a decision."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from agent.arrival.places import Place
from agent.arrival.presence import percentile75
from drivers.base import Advert

WINDOW_S = 5.0
GONE_S = 30.0
KNOWN = 500  # addresses; the one not heard for longest is forgotten


@dataclass(frozen=True, slots=True)
class Row:
    address: str
    identity: str | None
    rssi: float  # dBm, 75th percentile of the last 5 s, or the last one heard
    packets: int
    interval_s: float | None
    age_s: float  # since the last
    place: str | None
    margin_db: float | None  # above the threshold of that place


@dataclass(slots=True)
class _Seen:
    identity: str | None = None
    packets: int = 0
    window: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=256))
    gaps: deque[float] = field(default_factory=lambda: deque(maxlen=16))


class Overview:
    def __init__(self, places: Sequence[Place] = ()) -> None:
        self._rules = [(place.id, rule) for place in places for rule in place.beacon]
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    def hear(self, advert: Advert) -> None:
        seen = self._seen.setdefault(advert.address, _Seen())
        self._seen.move_to_end(advert.address)
        if len(self._seen) > KNOWN:
            self._seen.popitem(last=False)
        if seen.window:
            seen.gaps.append(advert.t - seen.window[-1][0])
        seen.packets += 1
        seen.identity = advert.identity or seen.identity
        seen.window.append((advert.t, advert.rssi))

    def rows(self, now: float) -> list[Row]:
        """Those of the last half minute, the loudest first."""
        rows = [
            self._row(address, seen, now)
            for address, seen in self._seen.items()
            if now - seen.window[-1][0] <= GONE_S
        ]
        return sorted(rows, key=lambda row: -row.rssi)

    def _row(self, address: str, seen: _Seen, now: float) -> Row:
        window = sorted(rssi for t, rssi in seen.window if t > now - WINDOW_S)
        level = percentile75(window) if window else float(seen.window[-1][1])
        place = margin = None
        for name, rule in self._rules:
            if rule.address in {None, address} and rule.identity in {None, seen.identity}:
                place, margin = name, round(level - rule.enter_rssi, 1)
        age = round(now - seen.window[-1][0], 1)
        interval = round(median(seen.gaps), 2) if seen.gaps else None
        return Row(address, seen.identity, level, seen.packets, interval, age, place, margin)
