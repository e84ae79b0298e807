"""What an order may become here.

    received -> accepted -> ready -> picked_up -> closed
       |            |                    ^
       v            +--------------------+
    rejected                    any -> cancelled

The device's `stage` only moves along these arrows; the back end's `status` moves it too, because an
order may be accepted or cancelled elsewhere. Versions only rise: an older document changes nothing.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from agent.contract.orders import Customer, Order, Status

Stage = Literal["received", "accepted", "rejected", "ready", "picked_up", "closed", "cancelled"]
Action = Literal["accepted", "rejected", "ready", "picked_up"]
Owner = Literal["shop", "courier"]  # of a beacon

_RANK: dict[str, int] = {
    "received": 0,
    "accepted": 1,
    "rejected": 1,
    "ready": 2,
    "picked_up": 3,
    "closed": 4,
    "cancelled": 5,
}
_FROM: dict[Action, tuple[Stage, ...]] = {
    "accepted": ("received",),
    "rejected": ("received",),
    "ready": ("received", "accepted"),
    "picked_up": ("accepted", "ready"),
}
_BY_STATUS: dict[Status, Stage] = {
    "pending": "received",
    "preparing": "accepted",
    "ready": "ready",
    "delivering": "picked_up",
    "completed": "closed",
    "cancelled": "cancelled",
}


def after_action(stage: Stage, action: Action) -> Stage | None:
    """The stage after staff acted; the same stage when it was done already; None: not allowed."""
    if stage == action:
        return stage
    return action if stage in _FROM[action] else None


def after_document(stage: Stage | None, status: Status) -> Stage:
    """The stage after the back end spoke; what happened here is never undone by an older status."""
    told = _BY_STATUS[status]
    if stage is None:
        return told
    return told if _RANK[told] > _RANK[stage] else stage


def mask(order: Order) -> Order:
    """The order as it may be kept: phone and door numbers only hinted at."""
    changes: dict[str, object] = {}
    if order.customer is not None:
        changes["customer"] = Customer(
            name=order.customer.name,
            phone=_mask_phone(order.customer.phone),
            address=_mask_address(order.customer.address),
        )
    if order.courier is not None:
        changes["courier"] = msgspec.structs.replace(
            order.courier, phone=_mask_phone(order.courier.phone)
        )
    return msgspec.structs.replace(order, **changes)


def part_with_keys(order: Order) -> tuple[Order, dict[Owner, bytes]]:
    """The order without the keys of beacons, and those keys."""
    keys: dict[Owner, bytes] = {}
    changes: dict[str, object] = {}
    if order.shop is not None and order.shop.beacon_key is not None:
        keys["shop"] = bytes.fromhex(order.shop.beacon_key)
        changes["shop"] = msgspec.structs.replace(order.shop, beacon_key=None)
    if order.courier is not None and order.courier.beacon_key is not None:
        keys["courier"] = bytes.fromhex(order.courier.beacon_key)
        changes["courier"] = msgspec.structs.replace(order.courier, beacon_key=None)
    return msgspec.structs.replace(order, **changes), keys


def _mask_phone(phone: str | None) -> str | None:
    """The last four digits stay, which is how couriers and customers recognise an order."""
    if phone is None or "*" in phone:
        return phone
    keep = len(re.findall(r"\d", phone)) - 4
    count = iter(range(len(phone)))
    return re.sub(r"\d", lambda digit: "*" if next(count) < keep else digit[0], phone)


def _mask_address(address: str | None) -> str | None:
    """Street and house number stay; building, floor and door numbers do not."""
    if address is None or "*" in address:
        return address
    first = re.search(r"\d+", address)
    if first is None:
        return address
    return address[: first.end()] + re.sub(r"\d", "*", address[first.end() :])
