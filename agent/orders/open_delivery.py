"""An order of Open Delivery v2, or v1 -> ours. Pure.

Fields of v2: docs/reference/v2/orders.openapi.yaml of Abrasel-Nacional/opendelivery-v2
(Apache-2.0), and what that says has moved since v1: there, `type`, `delivery`, `takeout`, `indoor`,
`schedule` and `salesChannel` stand at the root, prices in the item, its note in
`specialInstructions`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.contract.orders import Order
from agent.orders.reading import (
    OPTION_QTY_MAX,
    Document,
    Path,
    Reader,
    flattened,
    joined,
    lines,
    millis,
    order_id,
    order_of,
    quantity,
    said,
    spaced,
)


def open_delivery(document: Document) -> Order:
    """An order as GET /orders/{orderId} answers it. Rejected: what is missing or wrong."""
    read = Reader(document)
    currency = read.text("total", "orderAmount", "currency") or read.text(
        *("payments", "methods", 0, "currency")
    )
    kind = read.first(("fulfillment", "orderType"), ("type",), ("orderType",))
    pending = read.money("payments", "pending", currency=currency)
    cash, change, methods = _payments(read, currency)
    made: dict[str, Any] = {
        "order_id": order_id(read.text("id")),
        "version": 1,
        "status": _STATUS.get(read.text("status") or "", "pending"),
        "placed_at": millis(read.text("createdAt")) or 0,
        "items": [_item(read, n, currency) for n in read.rows("items")],
        "platform": read.first(("context", "salesChannel"), ("salesChannel",)) or "Open Delivery",
        "display_id": read.text("displayId"),
        "kind": {"DELIVERY": "delivery", "TAKEOUT": "pickup", "INDOOR": "dine_in"}.get(kind or ""),
        "due_at": _due(read),
        "priority": _PRIORITY.get(
            read.first(("timing", "orderPriority"), ("orderPriority",)) or "", 0
        ),
        "table": _table(read),
        "guests": read.number("fulfillment", "indoor", "service", "peopleCount") or None,
        "fees": [fee for n in read.rows("otherFees") for fee in _fee(read, n, currency)],
        "discounts": [d for n in read.rows("discounts") for d in _discount(read, n, currency)],
        "total": read.money("total", "orderAmount", "value", currency=currency),
        "currency": currency,
        "paid": None if pending is None else pending == 0,
        "cash_due": cash,
        "change_for": change,
        "note": lines(
            read.text("observations"),
            read.text("fulfillment", "delivery", "observations"),
            read.text("fulfillment", "takeout", "observations"),
            read.text("specialInstructions"),
            read.text("extraInfo"),
        ),
        "customer": {
            "name": read.text("customer", "name"),
            "phone": spaced(
                read.first(("customer", "phone", "number"), ("customer", "phone")),
                read.text("customer", "phone", "extension"),
            ),
            "address": _address(read),
        },
        "pickup_code": read.first(
            ("fulfillment", "takeout", "pickupCode"),
            ("takeout", "pickupCode"),
            ("delivery", "pickupCode"),
        ),
        "invoice": {"tax_id": read.text("customer", "documentNumber")},
    }
    _silence(read)
    told = [{"name": "payment", "text": text} for text in methods]
    made["extras"] = [*told, *read.extras()]
    return order_of(made)


_STATUS = {
    "CREATED": "pending",
    "CONFIRMED": "preparing",
    "PREPARING": "preparing",
    "READY": "ready",
    "IN_DELIVERY": "delivering",
    "DELIVERED": "completed",
    "CANCELLED": "cancelled",
    "CONCLUDED": "completed",
}
_PRIORITY = {f"PRIORITY{n}": 5 - n for n in range(1, 6)}  # theirs: the lower, the sooner
# Said elsewhere on the ticket, of no meaning to a person, or sums of what stands there.
_SILENT: tuple[tuple[str, ...], ...] = (
    ("lastEvent",),
    ("merchant", "externalCode"),
    ("customer", "ordersCountOnMerchant"),
    ("taxInvoice", "issued"),
    ("total", "itemsPrice"),
    ("total", "items"),
    ("total", "otherFees"),
    ("total", "discount"),
    ("payments", "pending"),
    ("fulfillment", "indoor", "fulfillment", "call", "notifyOriginator"),
    *((name,) for name in ("sendDelivered", "sendPickedUp", "sendTracking", "sendPreparing")),
)


def _silence(read: Reader) -> None:
    for path in _SILENT:
        read.skip(*path)
    if not read.peek("payments", "pending"):
        read.get("payments", "prepaid")  # all of it
    for at in (("timing", "orderTiming"), ("orderTiming",)):
        if read.peek(*at) in ("INSTANT", "SCHEDULED"):  # else nobody may begin yet: say so
            read.get(*at)


def _due(read: Reader) -> int | None:
    """When it is to be ready; a v1 order without `schedule` may have its time elsewhere."""
    asap = read.peek("orderTiming") == "INSTANT"
    start = read.first(
        ("timing", "schedule", "scheduledDateTimeStart"), ("schedule", "scheduledDateTimeStart")
    )
    return None if asap else millis(start)


def _item(read: Reader, n: int, currency: str | None) -> dict[str, Any]:
    at = ("items", n)
    amount, unit = read.get(*at, "quantity"), read.text(*at, "unit") or "UN"
    qty, measure = quantity(amount, "" if unit in ("UN", "UNIT") else unit)
    options = [_option(read, (*at, "options", k), currency) for k in read.rows(*at, "options")]
    sku = read.text(*at, "externalCode")
    item: dict[str, Any] = {
        "name": spaced(read.text(*at, "name") or sku, measure),
        "qty": qty,
        "sku": sku,
        "unit_price": _price(read, at, currency),
        "options": flattened(options),
    }
    note = lines(read.text(*at, "observations"), read.text(*at, "specialInstructions"))
    item["note"] = lines(note, *said(read.extras(*at)))
    return item


def _option(read: Reader, at: Path, currency: str | None) -> dict[str, Any]:
    group = read.first((*at, "optionGroupName"), (*at, "groupName"))
    sku = read.text(*at, "externalCode")
    name = read.text(*at, "name") or sku
    unit = read.text(*at, "unit") or "UN"
    unit = "" if unit in ("UN", "UNIT") else unit
    qty, measure = quantity(read.get(*at, "quantity"), unit, OPTION_QTY_MAX)
    read.get(*at, "defaultQuantity")
    price = _price(read, at, currency) or None
    inner = [_option(read, (*at, "options", k), currency) for k in read.rows(*at, "options")]
    notes = [read.text(*at, "observations"), read.text(*at, "specialInstructions")]
    told = [note for note in notes if note] + list(said(read.extras(*at)))
    return {
        "name": spaced(f"{group}: {name}" if group else name, measure),
        "qty": qty,
        "price": price,
        "options": [*inner, *({"name": f"※ {note}"} for note in told)],
    }


def _price(read: Reader, at: Path, currency: str | None) -> int | None:
    """Of one: the other prices there are sums, or what it once cost."""
    for path in (
        ("pricing", "unitPrice", "value"),
        ("pricing", "unitPrice"),
        ("unitPrice", "value"),
        ("unitPrice",),
    ):
        if isinstance(read.peek(*at, *path), (int, float, str)):
            found = read.money(*at, *path, currency=currency)
            break
    else:
        found = None
    names = ("originalPrice", "optionsPrice", "totalPrice", "price", "addition")
    for name in names:
        read.skip(*at, "pricing", name)
        read.skip(*at, name)
    read.skip(*at, names=frozenset({"currency", "optionGroupId"}))
    return found


def _table(read: Reader) -> str | None:
    at = ("fulfillment", "indoor")
    mode, number = read.text(*at, "operationMode"), read.text(*at, "identifier")
    number = number or read.text("indoor", "table")
    return spaced(None if mode == "TABLE" else mode, number)


def _address(read: Reader) -> str | None:
    names = ("street", "number", "complement", "reference", "neighborhood", "district", "city")
    found = []
    for at in (("fulfillment", "delivery", "address"), ("delivery", "deliveryAddress")):
        whole = read.text(*at, "formattedAddress")
        parts = [read.text(*at, name) for name in (*names, "state", "postalCode")]
        found.append(whole if whole and not any(parts[:1]) else joined(*parts))
        read.text(*at, "country")
    return joined(*found)


def _fee(read: Reader, n: int, currency: str | None) -> Iterator[dict[str, Any]]:
    at = ("otherFees", n)
    read.skip(*at, names=frozenset({"currency"}))
    kind = read.text(*at, "type")
    read.text(*at, "receivedBy")
    amount = read.money(*at, "price", "value", currency=currency)
    if amount is not None:
        yield {"name": read.text(*at, "name") or kind or "fee", "amount": amount}


def _discount(read: Reader, n: int, currency: str | None) -> Iterator[dict[str, Any]]:
    """One line; who pays for it, how much and which code it was stand in its name."""
    at = ("discounts", n)
    read.skip(*at, names=frozenset({"currency"}))
    rows = [(*at, "sponsorshipValues", k) for k in read.rows(*at, "sponsorshipValues")]
    for by in rows:
        if len(rows) == 1:
            read.skip(*by, "amount")
    sponsors = [
        spaced(
            read.text(*by, "name"),
            read.text(*by, "amount", "value") if len(rows) > 1 else None,
            read.text(*by, "discountCode"),
        )
        for by in rows
    ]
    amount = read.money(*at, "amount", "value", currency=currency)
    if amount is not None:
        name = spaced("discount", read.text(*at, "target"), joined(*sponsors))
        yield {"name": name, "amount": -abs(amount)}


def _payments(read: Reader, currency: str | None) -> tuple[int | None, int | None, list[str]]:
    """Cash to be collected, the note it will be paid with, and each way of paying in words."""
    due, change, ways = [], None, []
    rows = read.rows("payments", "methods")
    for n in rows:
        at = ("payments", "methods", n)
        kind, method = read.text(*at, "type"), read.text(*at, "method")
        value = read.text(*at, "value") if len(rows) > 1 else None
        if kind in ("PENDING", "OFFLINE") and method == "CASH":
            due.append(read.money(*at, "value", currency=currency))
            for path in (("changeFor",), ("cash", "changeFor")):
                change = read.money(*at, *path, currency=currency) or change
        read.get(*at, "value")
        read.skip(*at, names=frozenset({"currency", "prepaid"}))
        brand = read.first((*at, "brand"), (*at, "card", "brand"))
        ways.append(spaced(method, kind, brand, read.text(*at, "methodInfo"), value) or "")
    cash = due[0] if len(due) == 1 else None  # of several, each stands in words: no sum is ours
    return cash, change, [text for text in ways if text]
