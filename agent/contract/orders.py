"""The order document that the back end sends down; every field optional but the first five.

Money is integer minor units, times are unix milliseconds. Unknown fields are ignored, wrong types
are rejected with a reason. Sizes are bounded, because order text comes from strangers.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MAX_BYTES = 256 * 1024  # one order document on the wire
OPTION_DEPTH = 5

Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:@-]+$")]
Line = Annotated[str, Meta(max_length=200)]
Text = Annotated[str, Meta(max_length=2000)]
Money = Annotated[int, Meta(ge=-(10**12), le=10**12)]
BeaconKey = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]  # a secret: no document keeps it
Millis = Annotated[int, Meta(ge=0, le=10**14)]

Status = Literal["pending", "preparing", "ready", "delivering", "completed", "cancelled"]


class Option(msgspec.Struct, frozen=True, omit_defaults=True):
    name: Line
    price: Money | None = None
    qty: Annotated[int, Meta(ge=1, le=999)] = 1
    options: Annotated[list[Option], Meta(max_length=50)] = []  # of this option; see OPTION_DEPTH

    def __post_init__(self) -> None:
        if _depth(self) > OPTION_DEPTH:
            raise ValueError(f"options of options are nested more than {OPTION_DEPTH} deep")


def _depth(option: Option) -> int:
    return 1 + max(map(_depth, option.options), default=0)


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    name: Line
    qty: Annotated[int, Meta(ge=1, le=9999)] = 1
    sku: Line | None = None
    unit_price: Money | None = None
    options: Annotated[list[Option], Meta(max_length=50)] = []
    note: Text | None = None
    station: Line | None = None
    category: Line | None = None
    allergens: Annotated[list[Line], Meta(max_length=50)] = []


class Amount(msgspec.Struct, frozen=True, omit_defaults=True):
    name: Line
    amount: Money


class Customer(msgspec.Struct, frozen=True, omit_defaults=True):
    name: Line | None = None
    phone: Line | None = None  # masked before it is stored
    address: Text | None = None


class Courier(msgspec.Struct, frozen=True, omit_defaults=True):
    name: Line | None = None
    phone: Line | None = None
    id: Id | None = None  # by which the shop names them in `arrival`, behind `rider:`
    beacon_key: BeaconKey | None = None  # of the rider's own beacon, for the shop


class PickUp(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the rider gets the order."""

    id: Id
    lat: Annotated[float, Meta(ge=-90, le=90)] | None = None  # degrees WGS-84
    lon: Annotated[float, Meta(ge=-180, le=180)] | None = None
    radius_m: Annotated[float, Meta(gt=0, le=5000)] | None = None
    floor: Annotated[str, Meta(min_length=1, max_length=50)] | None = None
    beacon_key: BeaconKey | None = None  # of the shop's own beacon, for the rider
    enter_rssi: Annotated[float, Meta(ge=-120, le=0)] | None = None  # dBm


class Invoice(msgspec.Struct, frozen=True, omit_defaults=True):
    title: Line | None = None
    tax_id: Line | None = None


class Footer(msgspec.Struct, frozen=True, omit_defaults=True):
    text: Text | None = None
    qr: Text | None = None


class Extra(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something else that people should read, such as the table's waiter."""

    name: Line
    text: Text


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    order_id: Id
    version: Annotated[int, Meta(ge=1, le=2**53)]
    status: Status
    placed_at: Millis
    items: Annotated[list[Item], Meta(min_length=1, max_length=500)]
    platform: Line | None = None
    day_seq: Annotated[int, Meta(ge=0, le=10**6)] | Line | None = None
    display_id: Line | None = None  # the number that the customer was told
    kind: Literal["delivery", "pickup", "dine_in"] | None = None
    table: Line | None = None
    guests: Annotated[int, Meta(ge=1, le=999)] | None = None
    due_at: Millis | None = None
    expires_at: Millis | None = None
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    fees: Annotated[list[Amount], Meta(max_length=50)] = []
    discounts: Annotated[list[Amount], Meta(max_length=50)] = []
    total: Money | None = None
    currency: Annotated[str, Meta(max_length=8)] | None = None
    paid: bool | None = None
    cash_due: Money | None = None
    change_for: Money | None = None  # the note that the customer will pay with
    note: Text | None = None
    allergens: Annotated[list[Line], Meta(max_length=50)] = []
    cutlery: Annotated[int, Meta(ge=0, le=999)] | None = None
    customer: Customer | None = None
    courier: Courier | None = None
    shop: PickUp | None = None
    pickup_code: Line | None = None
    invoice: Invoice | None = None
    qr: Text | None = None
    footer: Annotated[list[Footer], Meta(max_length=20)] = []
    extras: Annotated[list[Extra], Meta(max_length=50)] = []
