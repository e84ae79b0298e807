"""An order of Open Delivery v2 -> ours. Pure.

Its fields: docs/reference/v2/orders.openapi.yaml of Abrasel-Nacional/opendelivery-v2 (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from agent.contract.orders import Order
from agent.orders.reading import (
    Document,
    Reader,
    joined,
    lines,
    millis,
    minor,
    order_id,
    order_of,
    quantity,
    said,
    skip_money,
    spaced,
)


def open_delivery(document: Document) -> Order:
    """An order as GET /orders/{orderId} answers it. Rejected: what is missing or wrong."""
    read = Reader(document)
    currency = read.text("total", "orderAmount", "currency") or read.text(
        *("payments", "methods", 0, "currency")
    )
    kind = read.text("fulfillment", "orderType")
    items = [_od_item(read, n, currency) for n in read.rows("items")]
    pending = minor(read.get("payments", "pending"), currency)
    cash, change, methods = _od_payments(read, currency)
    made: dict[str, Any] = {
        "order_id": order_id(read.text("id")),
        "version": 1,
        "status": _OD_STATUS.get(read.text("status") or "", "pending"),
        "placed_at": millis(read.text("createdAt")) or 0,
        "items": items,
        "platform": read.text("context", "salesChannel") or "Open Delivery",
        "display_id": read.text("displayId"),
        "kind": {"DELIVERY": "delivery", "TAKEOUT": "pickup", "INDOOR": "dine_in"}.get(kind or ""),
        "due_at": millis(read.text("timing", "schedule", "scheduledDateTimeStart")),
        "table": _od_table(read),
        "guests": read.number("fulfillment", "indoor", "service", "peopleCount") or None,
        "fees": [_od_fee(read, n, currency) for n in read.rows("otherFees")],
        "discounts": [d for n in read.rows("discounts") for d in _od_discount(read, n, currency)],
        "total": minor(read.get("total", "orderAmount", "value"), currency),
        "currency": currency,
        "paid": None if pending is None else pending == 0,
        "cash_due": cash,
        "change_for": change,
        "note": lines(
            read.text("observations"),
            read.text("fulfillment", "delivery", "observations"),
            read.text("fulfillment", "takeout", "observations"),
            read.text("extraInfo"),
        ),
        "customer": {
            "name": read.text("customer", "name"),
            "phone": spaced(
                read.text("customer", "phone", "number"),
                read.text("customer", "phone", "extension"),
            ),
            "address": _od_address(read),
        },
        "pickup_code": read.text("fulfillment", "takeout", "pickupCode"),
        "invoice": {"tax_id": read.text("customer", "documentNumber")},
    }
    for path in _OD_SILENT:
        read.get(*path)
    made["extras"] = [
        *({"name": "payment", "text": text} for text in methods),
        *read.extras(),
    ]
    return order_of(made)


_OD_STATUS = {
    "CREATED": "pending",
    "CONFIRMED": "preparing",
    "PREPARING": "preparing",
    "READY": "ready",
    "IN_DELIVERY": "delivering",
    "DELIVERED": "completed",
    "CANCELLED": "cancelled",
    "CONCLUDED": "completed",
}
# Said elsewhere on the ticket, or of no meaning to a person.
_OD_SILENT: Sequence[tuple[str, ...]] = (
    ("lastEvent",),
    ("timing", "orderTiming"),
    ("timing", "orderPriority"),
)


def _od_item(read: Reader, n: int, currency: str | None) -> dict[str, Any]:
    at = ("items", n)
    amount, unit = read.get(*at, "quantity"), read.text(*at, "unit") or "UN"
    qty, measure = quantity(amount, "" if unit == "UN" else unit)
    item: dict[str, Any] = {
        "name": spaced(read.text(*at, "name"), measure),
        "qty": qty,
        "sku": read.text(*at, "externalCode"),
        "unit_price": minor(read.get(*at, "pricing", "unitPrice", "value"), currency),
        "options": [
            _od_option(read, (*at, "options", k), currency) for k in read.rows(*at, "options")
        ],
        "note": read.text(*at, "observations"),
    }
    skip_money(read, at)
    item["note"] = lines(item["note"], *said(read.extras(*at)))
    return item


def _od_option(read: Reader, at: tuple[str | int, ...], currency: str | None) -> dict[str, Any]:
    group = read.text(*at, "optionGroupName")
    name = read.text(*at, "name")
    qty, measure = quantity(read.get(*at, "quantity"), "")
    return {
        "name": spaced(f"{group}: {name}" if group else name, measure),
        "qty": qty,
        "price": minor(read.get(*at, "pricing", "unitPrice", "value"), currency) or None,
        "options": [
            _od_option(read, (*at, "options", k), currency) for k in read.rows(*at, "options")
        ],
    }


def _od_table(read: Reader) -> str | None:
    at = ("fulfillment", "indoor")
    mode, number = read.text(*at, "operationMode"), read.text(*at, "identifier")
    return spaced(None if mode == "TABLE" else mode, number)


def _od_address(read: Reader) -> str | None:
    at = ("fulfillment", "delivery", "address")
    names = ("street", "number", "complement", "neighborhood", "city", "state", "postalCode")
    return joined(*(read.text(*at, name) for name in names))


def _od_fee(read: Reader, n: int, currency: str | None) -> dict[str, Any]:
    at = ("otherFees", n)
    skip_money(read, at)
    read.text(*at, "type"), read.text(*at, "receivedBy")
    amount = minor(read.get(*at, "price", "value"), currency)
    return {"name": read.text(*at, "name") or read.text(*at, "type"), "amount": amount or 0}


def _od_discount(read: Reader, n: int, currency: str | None) -> Iterator[dict[str, Any]]:
    """One line; who pays for it and which code it was stand in its name."""
    at = ("discounts", n)
    skip_money(read, at)
    sponsors = [
        spaced(read.text(*by, "name"), read.text(*by, "discountCode"))
        for k in read.rows(*at, "sponsorshipValues")
        for by in [(*at, "sponsorshipValues", k)]
    ]
    amount = minor(read.get(*at, "amount", "value"), currency) or 0
    name = spaced("discount", read.text(*at, "target"), *sponsors)
    yield {"name": name, "amount": -abs(amount)}


def _od_payments(read: Reader, currency: str | None) -> tuple[int | None, int | None, list[str]]:
    """Cash to be collected, the note it will be paid with, and each way of paying in words."""
    cash, change, ways = None, None, []
    for n in read.rows("payments", "methods"):
        at = ("payments", "methods", n)
        kind, method = read.text(*at, "type"), read.text(*at, "method")
        if kind == "PENDING" and method == "CASH":
            cash = minor(read.get(*at, "value"), currency)
            change = minor(read.get(*at, "changeFor"), currency)
        skip_money(read, at)
        ways.append(
            spaced(method, kind, read.text(*at, "brand"), read.text(*at, "methodInfo")) or ""
        )
    return cash, change, [text for text in ways if text]
