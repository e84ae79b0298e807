"""One identity at two distant places: a beacon that was copied, or configured twice.

A shop's beacon does not travel. An identity that is heard twice, farther apart than its radio
reaches, is sent by two devices, and nobody can tell which of them is the shop's. It is suspended:
nobody enters by it until hours after the last contradiction. A position that jumps once must not
cost a shop its beacon, so that a second contradiction some seconds later is needed.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from agent.arrival.geofence import Located
from agent.positioning.geodesy import distance_m

FAR_M = 300.0  # BLE carries some 100 m in the open: two listeners of one beacon are nearer
CONFIRM_S = 10.0
SUSPENDED_S = 4 * 3600.0
KNOWN = 256  # identities remembered; the one not heard for longest is forgotten


@dataclass(frozen=True, slots=True)
class Doubt:
    """What was found out, for a report."""

    identity: str
    t: float  # monotonic s of the second contradiction
    apart_m: float
    addresses: tuple[str, str]  # that sent it here and there; equal when the address was copied too


@dataclass(slots=True)
class _Sighting:
    address: str
    where: Located
    contradicted: float | None = None  # since when
    until: float | None = None  # suspended


@dataclass(slots=True)
class Clones:
    """Remembers where each identity was heard first. Feed it positions of the moment only."""

    _seen: OrderedDict[str, _Sighting] = field(default_factory=OrderedDict)

    def hear(self, identity: str, address: str, where: Located) -> Doubt | None:
        """A doubt when the identity becomes suspended, once. A position whose accuracy is unknown
        says nothing."""
        if where.acc is None:
            return None
        seen = self._seen.setdefault(identity, _Sighting(address, where))
        self._seen.move_to_end(identity)
        if len(self._seen) > KNOWN:
            self._seen.popitem(last=False)
        apart = distance_m(seen.where.lat, seen.where.lon, where.lat, where.lon)
        doubt_m = 2 * ((seen.where.acc or 0.0) + where.acc)  # 68 % each: twice them, to be sure
        if apart - doubt_m <= FAR_M:
            seen.contradicted = None
            return None
        if seen.contradicted is None:
            seen.contradicted = where.t
        if where.t - seen.contradicted < CONFIRM_S:
            return None
        told = self.suspended(identity, where.t)
        self._seen[identity] = _Sighting(address, where, until=where.t + SUSPENDED_S)
        pair = (seen.address, address)
        return None if told else Doubt(identity, where.t, round(apart, 1), pair)

    def suspended(self, identity: str, now: float) -> bool:
        seen = self._seen.get(identity)
        return seen is not None and seen.until is not None and now < seen.until

    def all_suspended(self, now: float) -> list[str]:
        return sorted(identity for identity in self._seen if self.suspended(identity, now))
