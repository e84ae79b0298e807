"""An order as Deliverect notifies a POS of it -> ours. Pure.

Its fields: developers.deliverect.com, "Glossary - POS Orders" and "Order Notification".
"""

from __future__ import annotations

from typing import Any

from agent.contract.orders import Order
from agent.orders.reading import (
    Document,
    Reader,
    joined,
    leaves,
    lines,
    millis,
    order_id,
    order_of,
    quantity,
    said,
    scaled,
    spaced,
)


def deliverect(document: Document) -> Order:
    """An order as Deliverect notifies a POS of it. Rejected: what is missing or wrong."""
    read = Reader(document)
    digits = read.get("decimalDigits")
    digits = digits if isinstance(digits, int) else 2
    currency = read.text("currency")
    asap = read.get("deliveryIsAsap")
    due = millis(read.text("deliveryTime")) or millis(read.text("pickupTime"))
    paid, amount = (
        read.get("orderIsAlreadyPaid"),
        scaled(read.get("payment", "amount"), digits, currency),
    )
    cash = read.number("payment", "type") == 1 and paid is False
    cutlery = read.get("packaging", "includeCutlery")
    cutlery = read.get("includeCutlery") if cutlery is None else cutlery
    made: dict[str, Any] = {
        "order_id": order_id(
            read.text("_id") or read.text("orderId") or read.text("channelOrderId")
        ),
        "version": 1,
        "status": "cancelled" if read.number("status") in (100, 110) else "pending",
        "placed_at": millis(read.text("placedTime")) or millis(read.text("_created")) or 0,
        "items": [_dv_item(read, n, digits, currency) for n in read.rows("items")],
        "platform": read.text("by") or read.text("channelName") or "Deliverect",
        "display_id": read.text("channelOrderDisplayId"),
        "kind": {1: "pickup", 2: "delivery", 3: "dine_in", 4: "pickup"}.get(
            read.number("orderType") or 0
        ),
        "due_at": None if asap is True else due,
        "table": read.text("table"),
        "guests": read.number("numberOfCustomers") or None,
        "fees": _dv_fees(read, digits, currency),
        "discounts": _dv_discounts(read, digits, currency),
        "total": amount,
        "currency": currency,
        "paid": paid if isinstance(paid, bool) else None,
        "cash_due": amount if cash else None,
        "note": lines(read.text("note"), read.text("customer", "note")),
        "cutlery": 0 if cutlery is False else None,
        "customer": {
            "name": spaced(
                read.text("customer", "name") or read.text("customerName"),
                read.text("customer", "companyName"),
            ),
            "phone": spaced(
                read.text("customer", "phoneNumber"), read.text("customer", "phoneAccessCode")
            ),
            "address": _dv_address(read),
        },
        "courier": _dv_courier(read),
        "invoice": {"tax_id": read.text("customer", "tin")},
    }
    for name in ("channelOrderId", "channelOrderDisplayId", "channelOrderRawId", "channelOrderKey"):
        read.get(name)
    for path, _ in leaves(read.peek("statusHistory"), ("statusHistory",)):
        read.get(*path)
    facts = {"orderType": "curbside" if read.number("orderType") == 4 else None}
    facts["cutlery"] = "yes" if cutlery is True else None  # how many nobody says
    told = [{"name": name, "text": text} for name, text in facts.items() if text]
    made["extras"] = [*told, *read.extras()]
    return order_of(made)


def _dv_item(read: Reader, n: int, digits: int, currency: str | None) -> dict[str, Any]:
    at = ("items", n)
    item = _dv_option(read, at, digits, currency, "subItems")
    item["unit_price"] = item.pop("price")
    item["sku"] = read.text(*at, "plu")
    item["note"] = lines(
        read.text(*at, "remark"), read.text(*at, "itemRemark"), *said(read.extras(*at))
    )
    return item


def _dv_option(
    read: Reader, at: tuple[str | int, ...], digits: int, currency: str | None, below: str
) -> dict[str, Any]:
    """A sub-item; its remark is one more line below it."""
    qty, measure = quantity(read.get(*at, "quantity"), "")
    inner = [
        _dv_option(read, (*at, below, k), digits, currency, below) for k in read.rows(*at, below)
    ]
    if len(at) > 2:
        remarks = [read.text(*at, "remark"), read.text(*at, "itemRemark")]
        inner += [{"name": f"※ {remark}"} for remark in remarks if remark]
    return {
        "name": spaced(read.text(*at, "name"), measure),
        "qty": qty,
        "price": scaled(read.get(*at, "price"), digits, currency),
        "options": inner,
    }


def _dv_fees(read: Reader, digits: int, currency: str | None) -> list[dict[str, Any]]:
    names = (
        "deliveryCost",
        "serviceCharge",
        "bagFee",
        "tip",
        "driverTip",
        "deliveryCostTax",
        "serviceChargeTax",
    )
    fees = [(name, scaled(read.get(name), digits, currency)) for name in names]
    for n in read.rows("taxes"):
        total = scaled(read.get("taxes", n, "total"), digits, currency)
        fees.append((read.text("taxes", n, "name") or "tax", total))
    return [{"name": name, "amount": amount} for name, amount in fees if amount]


def _dv_discounts(read: Reader, digits: int, currency: str | None) -> list[dict[str, Any]]:
    """Each by name where they are told, else their total."""
    total = scaled(read.get("discountTotal"), digits, currency)
    found = []
    for n in read.rows("discounts"):
        at = ("discounts", n)
        name = spaced(
            read.text(*at, "name") or read.text(*at, "type"),
            read.text(*at, "channelDiscountCode"),
            read.text(*at, "provider"),
        )
        read.text(*at, "type")
        amount = scaled(read.get(*at, "amount"), digits, currency) or 0
        found.append({"name": name or "discount", "amount": -abs(amount)})
    if total and not found:
        found.append({"name": "discount", "amount": -abs(total)})
    return found


def _dv_address(read: Reader) -> str | None:
    at = ("deliveryAddress",)
    street = spaced(read.text(*at, "street"), read.text(*at, "streetNumber"))
    names = ("extraAddressInfo", "area", "postalCode", "city", "country")
    return joined(street, *(read.text(*at, name) for name in names))


def _dv_courier(read: Reader) -> dict[str, Any] | None:
    courier = read.get("courier")
    if isinstance(courier, str):
        return {"name": courier}
    name = spaced(read.text("courier", "firstName"), read.text("courier", "lastName"))
    name = read.text("courier", "name") or name
    phone = read.text("courier", "phoneNumber")
    return {"name": name, "phone": phone} if name or phone else None
