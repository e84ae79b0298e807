"""What an order may become here: one table for what staff do and what the back end tells.

    received ---accepted---> accepted ---ready---> ready ---picked_up---> picked_up ---> closed
       |                                                                                   |
       +--rejected---> rejected                    any of them -----cancelled-----> cancelled

The back end's `status` (pending, preparing, ready, delivering, completed, cancelled) moves the
device's `stage` along the same arrows, because an order may be accepted or cancelled elsewhere.

Versions only rise: an older document changes nothing, nor does the same one again. Where staff and
the back end contradict each other the back end's newer word holds, and people are shown both: an
order that was accepted here and cancelled there is cancelled; one that was rejected here and
accepted there must be cooked. A status from before what was done here is no contradiction.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from agent.contract.orders import Customer, Order, Status

Stage = Literal["received", "accepted", "rejected", "ready", "picked_up", "closed", "cancelled"]
Action = Literal["accepted", "rejected", "ready", "picked_up"]
Owner = Literal["shop", "courier"]  # of a beacon

_ON: dict[Action | Status, Stage] = {
    "accepted": "accepted",
    "picked_up": "picked_up",
    "preparing": "accepted",
    "ready": "ready",
    "delivering": "picked_up",
    "completed": "closed",
    "cancelled": "cancelled",
    "rejected": "rejected",
    "pending": "received",
}
# Stage -> what staff may still do, what they need not do any more, and the statuses that move it.
_TABLE: dict[Stage, tuple[set[Action], set[Action], set[Status]]] = {
    "received": (
        {"accepted", "rejected", "ready"},
        set(),
        {"preparing", "ready", "delivering", "completed", "cancelled"},
    ),
    "accepted": (
        {"ready", "picked_up"},
        {"accepted"},
        {"ready", "delivering", "completed", "cancelled"},
    ),
    "ready": ({"picked_up"}, {"accepted", "ready"}, {"delivering", "completed", "cancelled"}),
    "picked_up": (set(), {"accepted", "ready", "picked_up"}, {"completed", "cancelled"}),
    "closed": (set(), {"accepted", "ready", "picked_up"}, {"cancelled"}),
    "rejected": (
        set(),
        {"rejected"},
        {"preparing", "ready", "delivering", "completed", "cancelled"},
    ),
    "cancelled": (set(), {"rejected"}, set()),
}
# What staff read on their tickets, or what tells them when to cook.
_FOR_STAFF = (
    "items",
    "note",
    "allergens",
    "cutlery",
    "kind",
    "table",
    "guests",
    "due_at",
    "cash_due",
    "extras",
)


def after_action(stage: Stage, action: Action) -> Stage | None:
    """The stage after staff acted; the same one when there is nothing left to do; None: refused."""
    may, done, _ = _TABLE[stage]
    if action in may:
        return _ON[action]
    return stage if action in done else None


def after_document(stage: Stage | None, status: Status) -> Stage:
    """The stage after the back end spoke; what happened here is not undone by an older status."""
    if stage is None or status in _TABLE[stage][2]:
        return _ON[status]
    return stage


def conflict(acted: Action | None, status: Status) -> str | None:
    """In what `status` contradicts what staff did and the back end had not confirmed yet."""
    if acted == "rejected" and status not in ("pending", "cancelled"):
        return f"rejected here, {status} at the back end: it must be made"
    if acted not in (None, "rejected") and status == "cancelled":
        return f"{acted} here, cancelled at the back end: it must not be made"
    return None


def confirms(acted: Action | None, status: Status) -> bool:
    """Whether the back end knows by now what staff did."""
    if acted is None or status == "cancelled":
        return True
    if acted == "rejected":
        return status != "pending"
    return after_action(_ON[status], acted) == _ON[status]


def concerns_staff(before: Order, after: Order) -> bool:
    """Whether they must hear of the new version; a courier's name is no reason to call them."""
    return any(getattr(before, name) != getattr(after, name) for name in _FOR_STAFF)


def remind_at(order: Order, lead_ms: int, now_ms: int) -> int | None:
    """When to begin with a scheduled order (unix ms); None where that is not ahead."""
    if order.due_at is None or order.due_at - lead_ms <= now_ms:
        return None
    return order.due_at - lead_ms


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
