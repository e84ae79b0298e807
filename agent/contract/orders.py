"""The order document that the back end sends down; every field optional but the first five.

Money is integer minor units, times are unix milliseconds. Unknown fields are ignored, wrong types
are rejected with a reason. Sizes are bounded, because order text comes from strangers.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MAX_BYTES = 256 * 1024  # one order document on the wire

Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:@-]+$")]
Line = Annotated[str, Meta(max_length=200)]
Text = Annotated[str, Meta(max_length=2000)]
Money = Annotated[int, Meta(ge=-(10**12), le=10**12)]
Millis = Annotated[int, Meta(ge=0, le=10**14)]

Status = Literal["pending", "preparing", "ready", "delivering", "completed", "cancelled"]


class Option(msgspec.Struct, frozen=True, omit_defaults=True):
    name: Line
    price: Money | None = None


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    name: Line
    qty: Annotated[int, Meta(ge=1, le=9999)] = 1
    sku: Line | None = None
    unit_price: Money | None = None
    options: Annotated[list[Option], Meta(max_length=50)] = []
    note: Text | None = None
    station: Line | None = None
    category: Line | None = None


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


class Invoice(msgspec.Struct, frozen=True, omit_defaults=True):
    title: Line | None = None
    tax_id: Line | None = None


class Footer(msgspec.Struct, frozen=True, omit_defaults=True):
    text: Text | None = None
    qr: Text | None = None


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    order_id: Id
    version: Annotated[int, Meta(ge=1, le=2**53)]
    status: Status
    placed_at: Millis
    items: Annotated[list[Item], Meta(min_length=1, max_length=500)]
    platform: Line | None = None
    day_seq: Annotated[int, Meta(ge=0, le=10**6)] | Line | None = None
    kind: Literal["delivery", "pickup", "dine_in"] | None = None
    due_at: Millis | None = None
    expires_at: Millis | None = None
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    fees: Annotated[list[Amount], Meta(max_length=50)] = []
    discounts: Annotated[list[Amount], Meta(max_length=50)] = []
    total: Money | None = None
    currency: Annotated[str, Meta(max_length=8)] | None = None
    paid: bool | None = None
    cash_due: Money | None = None
    note: Text | None = None
    allergens: Annotated[list[Line], Meta(max_length=50)] = []
    cutlery: Annotated[int, Meta(ge=0, le=999)] | None = None
    customer: Customer | None = None
    courier: Courier | None = None
    pickup_code: Line | None = None
    invoice: Invoice | None = None
    qr: Text | None = None
    footer: Annotated[list[Footer], Meta(max_length=20)] = []
