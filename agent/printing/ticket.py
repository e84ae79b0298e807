"""What a ticket says, as it is stored with its job; how it looks is layout's affair.

A ticket is cut from one version of an order for one station. It holds the whole list of its dishes
and, when an order changed after paper had come out, what is different from that paper. Money is
copied, never computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from agent.contract.orders import (
    Amount,
    Courier,
    Customer,
    Extra,
    Footer,
    Invoice,
    Item,
    Millis,
    Option,
    Order,
)

Kind = Literal["order", "changed", "void", "test"]
Field = Literal["note", "allergens", "cutlery", "due_at", "kind", "table", "pickup_code"]
# What a cook must hear of; platform, money, courier and status change without a new ticket.
FIELDS: tuple[Field, ...] = (
    *("note", "allergens", "cutlery", "due_at", "kind", "table", "pickup_code"),
)


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One dish; `before` is the quantity on the paper that is out, where it differs."""

    name: str
    qty: int
    options: tuple[str, ...] = ()  # each with its own options behind it, marked by >
    note: str | None = None
    unit_price: int | None = None  # minor units
    before: int | None = None
    prices: tuple[int | None, ...] = ()  # of the options, where any has one
    allergens: tuple[str, ...] = ()
    station: str = ""

    @property
    def dish(self) -> tuple[object, ...]:
        """What makes two lines the same dish."""
        return (self.name, self.options, self.note, self.allergens)


class Bill(msgspec.Struct, frozen=True, omit_defaults=True):
    """What only the full ticket says: money, people, codes."""

    fees: list[Amount] = []
    discounts: list[Amount] = []
    total: int | None = None
    currency: str | None = None
    paid: bool | None = None
    cash_due: int | None = None
    change_for: int | None = None
    customer: Customer | None = None
    courier: Courier | None = None
    invoice: Invoice | None = None
    qr: str | None = None
    footer: list[Footer] = []
    extras: list[Extra] = []


class Ticket(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    what: Kind
    order_id: str
    version: int
    station: str = ""  # empty: everything
    part: int = 1  # of `parts` tickets of this order
    parts: int = 1
    copy: int = 1
    copies: int = 1
    lines: tuple[Line, ...] = ()
    changes: tuple[Line, ...] = ()
    changed: tuple[Field, ...] = ()
    platform: str | None = None
    day_seq: str | None = None
    display_id: str | None = None
    table: str | None = None
    guests: int | None = None
    kind: Literal["delivery", "pickup", "dine_in"] | None = None
    placed_at: Millis | None = None
    due_at: Millis | None = None
    expires_at: Millis | None = None
    note: str | None = None
    allergens: tuple[str, ...] = ()
    cutlery: int | None = None
    pickup_code: str | None = None
    bill: Bill | None = None


def cut(
    order: Order, items: Iterable[Item], *, station: str, part: int, parts: int, full: bool
) -> Ticket:
    """The ticket of one station; `full` adds money and people."""
    return Ticket(
        what="order",
        order_id=order.order_id,
        version=order.version,
        station=station,
        part=part,
        parts=parts,
        lines=merge(items),
        platform=order.platform,
        day_seq=None if order.day_seq is None else str(order.day_seq),
        display_id=order.display_id,
        table=order.table,
        guests=order.guests,
        kind=order.kind,
        placed_at=order.placed_at,
        due_at=order.due_at,
        expires_at=order.expires_at,
        note=order.note,
        allergens=tuple(order.allergens),
        cutlery=order.cutlery,
        pickup_code=order.pickup_code,
        bill=_bill(order) if full else None,
    )


def merge(items: Iterable[Item]) -> tuple[Line, ...]:
    """Lines that differ in nothing but their quantity become one; the order stays."""
    found: dict[tuple[object, ...], Line] = {}
    for item in items:
        options = list(_flat(item.options, 0))
        priced = any(price is not None for _, price in options)
        line = Line(
            name=item.name,
            qty=item.qty,
            options=tuple(text for text, _ in options),
            note=item.note,
            unit_price=item.unit_price,
            prices=tuple(price for _, price in options) if priced else (),
            allergens=tuple(item.allergens),
            station=item.station or item.category or "",
        )
        key = (*line.dish, line.unit_price, line.prices, line.station, item.sku)
        old = found.get(key)
        found[key] = line if old is None else msgspec.structs.replace(old, qty=old.qty + line.qty)
    return tuple(found.values())


def _flat(options: Iterable[Option], depth: int) -> Iterator[tuple[str, int | None]]:
    """Options in their order, each followed by its own."""
    for option in options:
        many = f" x{option.qty}" if option.qty > 1 else ""
        lead = ">" * depth + " " if depth else ""
        yield f"{lead}{option.name}{many}", option.price
        yield from _flat(option.options, depth + 1)


def changed(told: Ticket, now: Ticket) -> Ticket | None:
    """`now` with what differs from the paper that is out; None when a cook would see no change."""
    before, after = _amounts(told.lines), _amounts(now.lines)
    changes = [
        msgspec.structs.replace(line, qty=after.get(dish, 0), before=before.get(dish, 0))
        for dish, line in _dishes((*now.lines, *told.lines)).items()
        if after.get(dish, 0) != before.get(dish, 0)
    ]
    fields = tuple(field for field in FIELDS if getattr(told, field) != getattr(now, field))
    if not changes and not fields:
        return None
    return msgspec.structs.replace(now, what="changed", changes=tuple(changes), changed=fields)


def void(told: Ticket, version: int) -> Ticket:
    """The ticket that takes back the paper that is out."""
    return msgspec.structs.replace(
        told, what="void", version=version, changes=(), changed=(), bill=None
    )


def emptied(told: Ticket, version: int) -> Ticket:
    """`told` after its last dish went elsewhere or away."""
    return msgspec.structs.replace(told, what="order", version=version, lines=(), changes=())


def _amounts(lines: Sequence[Line]) -> dict[tuple[object, ...], int]:
    amounts: dict[tuple[object, ...], int] = {}
    for line in lines:
        amounts[line.dish] = amounts.get(line.dish, 0) + line.qty
    return amounts


def _dishes(lines: Sequence[Line]) -> dict[tuple[object, ...], Line]:
    dishes: dict[tuple[object, ...], Line] = {}
    for line in lines:
        dishes.setdefault(line.dish, line)
    return dishes


def _bill(order: Order) -> Bill:
    return Bill(
        fees=order.fees,
        discounts=order.discounts,
        total=order.total,
        currency=order.currency,
        paid=order.paid,
        cash_due=order.cash_due,
        change_for=order.change_for,
        customer=order.customer,
        courier=order.courier,
        invoice=order.invoice,
        qr=order.qr,
        footer=order.footer,
        extras=order.extras,
    )
