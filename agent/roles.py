"""What a SHOP has and what a RIDER has: the rooms that are wired for them."""

from __future__ import annotations

from typing import Literal

Room = Literal[
    "alerting",
    "printing",
    "orders",
    "sos",
    "panel",
    "page",
    "positioning",
    "arrival",
    "beacon",
    "update",
]

# Wired in this order; the first ones stop last.
SHOP: tuple[Room, ...] = (
    "alerting",
    "printing",
    "orders",
    "arrival",
    "beacon",
    "sos",
    "panel",
    "page",
    "update",
)
RIDER: tuple[Room, ...] = (
    "alerting",
    "printing",  # a kit may carry a receipt printer; without one this room is empty
    "orders",
    "positioning",
    "arrival",
    "beacon",
    "sos",
    "panel",
    "page",
    "update",
)

ROOMS: dict[Literal["shop", "rider"], tuple[Room, ...]] = {"shop": SHOP, "rider": RIDER}
