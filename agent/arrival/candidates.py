"""Which places can the rider be at, at all? What is not a candidate is not even listened to.

Own beacons only, shops with a live order only, and only within 150 m of their fence. What is not
known excludes nothing: no list of orders, no position, no fence.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from agent.arrival.geofence import Geofence, Located
from agent.arrival.places import BeaconRule, Place


def candidates(
    places: Iterable[Place],
    *,
    namespaces: Sequence[str] = (),
    shops: Collection[str] | None = None,
    fences: Mapping[str, Geofence] | None = None,
    where: Located | None = None,
) -> list[Place]:
    """The places that remain, each with the beacons that remain.

    `namespaces`: beginnings of identities that are ours, such as `ibeacon:UUID/`; none: every
    identity. `shops`: ids of places with a live order; None: not known. `fences` by place. `where`:
    a fresh position; the fence gives way to its accuracy.
    """
    found = []
    for place in places:
        fence = (fences or {}).get(place.id)
        too_far = where is not None and fence is not None and fence.excludes(where)
        rules = [rule for rule in place.beacon if _ours(rule, namespaces)]
        if rules and not too_far and (shops is None or place.id in shops):
            found.append(Place(id=place.id, floor=place.floor, beacon=rules))
    return found


def _ours(rule: BeaconRule, namespaces: Sequence[str]) -> bool:
    """A rule by address alone names one device: somebody chose it."""
    return rule.identity is None or not namespaces or rule.identity.startswith(tuple(namespaces))
