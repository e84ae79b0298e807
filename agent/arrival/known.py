"""Whose beacons matter today: those of the shops, or of the couriers, that live orders name.

An order carries the key of the other side's beacon, so that each recognises the other without a
network. What is only known by a key appears to the policies under a name that does not change:
`key:` and the place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agent.arrival.geofence import Circle, Shape
from agent.arrival.places import BeaconRule, Place, Places
from agent.arrival.rotating import Roster
from agent.contract.orders import Order
from drivers.base import Advert

ENTER_RSSI = -75.0  # dBm; of a beacon of -59 dBm at 1 m some 10 m away, at n = 1.6
RADIUS_M = 100.0
COURIER = "rider:"
NAMED = 20  # orders in the evidence
PLACES = 500  # as many as one device can be said to have to do with


# An order that is not over, the other side's key, which no document keeps, and whether it was
# picked up.
Live = tuple[Order, bytes | None, bool]


@dataclass(frozen=True)
class Known:
    """All by the id of the place; a courier's is `rider:` and their id."""

    places: Sequence[Place] = ()
    fences: Sequence[Shape] = ()
    orders: Mapping[str, Sequence[str]] = field(default_factory=dict)
    roster: Roster = field(default_factory=lambda: Roster({}))
    waiting: Mapping[str, str] = field(default_factory=dict)  # order -> where it is to be picked up
    picked_up: Mapping[str, str] = field(default_factory=dict)  # order -> where it was

    def named(self, advert: Advert, unix_s: float) -> Advert:
        """The advert under its owner's name, when the owner is known."""
        owner = advert.identity and self.roster.owner(advert.identity, unix_s)
        return replace(advert, identity=f"key:{owner}") if owner else advert


def shops(live: Iterable[Live]) -> Known:
    """What a rider has to do with; a later order says more than an earlier one."""
    places, fences, keys = {}, {}, {}
    orders: dict[str, list[str]] = {}
    waiting: dict[str, str] = {}
    picked_up: dict[str, str] = {}
    for order, key, gone in live:
        shop = order.shop
        if shop is None or (shop.id not in orders and len(orders) >= PLACES):
            continue
        orders.setdefault(shop.id, []).append(order.order_id)
        (picked_up if gone else waiting)[order.order_id] = shop.id
        if shop.lat is not None and shop.lon is not None:
            fences[shop.id] = Circle(shop.id, shop.lat, shop.lon, shop.radius_m or RADIUS_M)
        if key is not None:
            keys[shop.id] = key
            places[shop.id] = _place(shop.id, shop.enter_rssi, shop.floor)
    found = _known(places, fences, orders, keys)
    return replace(found, waiting=waiting, picked_up=picked_up)


def couriers(live: Iterable[Live]) -> Known:
    """What a shop has to do with."""
    places, keys = {}, {}
    orders: dict[str, list[str]] = {}
    for order, key, _ in live:
        if order.courier is None or order.courier.id is None or key is None:
            continue
        place = COURIER + order.courier.id
        if place not in orders and len(orders) >= PLACES:
            continue
        orders.setdefault(place, []).append(order.order_id)
        keys[place] = key
        places[place] = _place(place, None, None)
    return _known(places, {}, orders, keys)


def together(listed: Places, known: Known) -> list[Place]:
    """The places of the file and of the orders; the same one is recognised either way."""
    found = {place.id: place for place in listed.places}
    for place in known.places:
        old = found.get(place.id)
        if old is None:
            found[place.id] = place
        else:
            beacon = [*old.beacon, *place.beacon]
            found[place.id] = Place(id=old.id, floor=old.floor or place.floor, beacon=beacon)
    return list(found.values())


def _place(place: str, enter_rssi: float | None, floor: str | None) -> Place:
    level = ENTER_RSSI if enter_rssi is None else enter_rssi
    rule = BeaconRule(identity=f"key:{place}", enter_rssi=level)
    return Place(id=place, floor=floor, beacon=[rule])


def _known(
    places: Mapping[str, Place],
    fences: Mapping[str, Shape],
    orders: Mapping[str, list[str]],
    keys: Mapping[str, bytes],
) -> Known:
    named = {place: ids[-NAMED:] for place, ids in orders.items()}
    return Known(list(places.values()), list(fences.values()), named, Roster(keys))
