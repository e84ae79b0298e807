"""An order as Deliverect notifies a POS of it -> ours. Pure.

Its fields: developers.deliverect.com, "Glossary - POS Orders", "Order Notification", "Custom Tags
and Allergens".
"""

from __future__ import annotations

from collections.abc import Sequence
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

_TYPES = {1: "pickup", 2: "delivery", 3: "dine_in", 4: "pickup", 5: "pickup"}
_TYPE_SAID = {4: "curbside", 5: "drive thru"}
CASH = 1
_PAID_BY = (
    *("credit card online", "cash", "on delivery", "online", "credit card at the door"),
    *("PIN at the door", "voucher at the door", "meal voucher", "Bancontact", "other"),
)
_CANCELLED = (100, 110)
ALLERGENS_FROM = 100  # productTags; smaller numbers are kinds of goods
_ALLERGENS = (
    *("celery", "gluten", "crustaceans", "fish", "eggs", "lupin", "milk", "molluscs", "mustard"),
    *("nuts", "peanuts", "sesame", "soya", "sulphites"),
)
_TAGS = {1: "alcohol", 2: "halal", 3: "kosher", 4: "vegan", 5: "vegetarian", 15: "tobacco"}
# Numbers and flags that machines exchange, or sums of what stands elsewhere.
_SILENT = (
    *("channelOrderId", "channelOrderDisplayId", "channelOrderRawId", "channelOrderKey"),
    *("statusHistory", "channelStatusHistory", "historyDriverUpdates", "status", "channel", "pos"),
    *("account", "location", "channelLink", "recent", "trackPOSId", "taxTotal", "subTotal"),
    *("discountTotal", "capacityUsages", "decimalDigits", "resolvedBy", "numberOfCustomers"),
    *("isTestOrder", "deliveryIsAsap", "orderIsAlreadyPaid", "taxRemitted", "brand"),
)
_SILENT_OF_DISH = frozenset({"productType", "isInternal", "sortOrder", "plu", "isCombo"})


def deliverect(document: Document) -> Order:
    """An order as Deliverect notifies a POS of it. Rejected: what is missing or wrong."""
    read = Reader(document)
    digits = read.number("decimalDigits")
    digits = 2 if digits is None else digits
    currency = read.text("currency")
    paid = read.flag("orderIsAlreadyPaid")
    amount = read.money("payment", "amount", currency=currency, digits=digits)
    cash = read.number("payment", "type") == CASH and paid is False
    cutlery = read.flag("packaging", "includeCutlery")
    cutlery = read.flag("includeCutlery") if cutlery is None else cutlery
    made: dict[str, Any] = {
        "order_id": order_id(
            read.text("_id") or read.text("orderId") or read.text("channelOrderId")
        ),
        "version": 1,
        "status": "cancelled" if read.number("status") in _CANCELLED else "pending",
        "placed_at": millis(read.text("placedTime")) or millis(read.text("_created")) or 0,
        "items": [_item(read, n, digits, currency) for n in read.rows("items")],
        "platform": read.text("by") or read.text("channelName") or "Deliverect",
        "display_id": read.text("channelOrderDisplayId"),
        "kind": _TYPES.get(read.number("orderType") or 0),
        "due_at": _due(read),
        "table": read.text("table"),
        "guests": read.number("numberOfCustomers") or None,
        "fees": _fees(read, digits, currency),
        "discounts": _discounts(read, digits, currency),
        "total": amount,
        "currency": currency,
        "paid": paid,
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
            "address": _address(read),
        },
        "courier": _courier(read),
        "invoice": {"tax_id": read.text("customer", "tin")},
    }
    made["extras"] = [*_told(read, digits, currency, cutlery=cutlery), *read.extras()]
    return order_of(made)


def _told(
    read: Reader, digits: int, currency: str | None, *, cutlery: bool | None
) -> list[dict[str, str]]:
    """What is a number there and words to people."""
    kind, method = read.number("orderType") or 0, read.number("payment", "type")
    paid_by = dict(enumerate(_PAID_BY)).get(-1 if method is None else method)
    facts = {
        "orderType": _TYPE_SAID.get(kind),
        "payment": paid_by if method != CASH or read.peek("orderIsAlreadyPaid") else None,
        "cutlery": "yes" if cutlery is True else None,  # how many nobody says
    }
    due = read.money("payment", "due", currency=currency, digits=digits)
    if due and due != read.money("payment", "amount", currency=currency, digits=digits):
        facts["payment due"] = read.text("payment", "due")
    for name in _SILENT:
        read.skip(name)
    return [{"name": name, "text": text} for name, text in facts.items() if text]


def _due(read: Reader) -> int | None:
    """When it is wanted. Of an order that is wanted at once, these are guesses."""
    delivery, pickup = millis(read.text("deliveryTime")), millis(read.text("pickupTime"))
    read.text("estimatedPickupTime")
    return None if read.flag("deliveryIsAsap") is True else delivery or pickup


def _item(read: Reader, n: int, digits: int, currency: str | None) -> dict[str, Any]:
    at = ("items", n)
    item = _option(read, at, digits, currency)
    item["unit_price"] = item.pop("price")
    item["sku"] = read.text(*at, "plu")
    item["options"] = flattened(item["options"])
    tags, item["allergens"] = _tags(read, at)
    note = lines(read.text(*at, "remark"), read.text(*at, "itemRemark"), *tags)
    item["note"] = lines(note, *said(read.extras(*at)))
    return item


def _option(read: Reader, at: Path, digits: int, currency: str | None) -> dict[str, Any]:
    """A dish or a sub-item; a sub-item's remarks are lines below it."""
    most = OPTION_QTY_MAX if len(at) > 2 else 9999
    qty, measure = quantity(read.get(*at, "quantity"), most=most)
    inner = [
        _option(read, (*at, "subItems", k), digits, currency) for k in read.rows(*at, "subItems")
    ]
    price = read.money(*at, "price", currency=currency, digits=digits)
    for name in _SILENT_OF_DISH:
        read.skip(*at, name)
    made: dict[str, Any] = {
        "name": spaced(read.text(*at, "name") or read.text(*at, "plu"), measure),
        "qty": qty,
        "price": price,
        "options": inner,
    }
    if len(at) > 2:
        tags, allergens = _tags(read, at)
        remarks = [read.text(*at, "remark"), read.text(*at, "itemRemark"), *tags]
        remarks += [f"! {', '.join(allergens)}"] if allergens else []
        remarks += said(read.extras(*at))
        made["options"] += [{"name": f"※ {remark}"} for remark in remarks if remark]
    return made


def _tags(read: Reader, at: Path) -> tuple[list[str], list[str]]:
    """What `productTags` say of a dish: kinds of goods, and allergens."""
    kinds, allergens = [], []
    for n in read.rows(*at, "productTags"):
        tag = read.peek(*at, "productTags", n)
        if not isinstance(tag, int) or isinstance(tag, bool):
            continue  # a text stays to be read
        read.get(*at, "productTags", n)
        which = tag - ALLERGENS_FROM
        if which >= 0:
            known = which < len(_ALLERGENS)
            allergens.append(_ALLERGENS[which] if known else f"allergen {tag}")
        elif tag in _TAGS:
            kinds.append(_TAGS[tag])
    return kinds, allergens


def _fees(read: Reader, digits: int, currency: str | None) -> list[dict[str, Any]]:
    names: Sequence[str] = (
        *("deliveryCost", "serviceCharge", "bagFee", "tip", "driverTip"),
        *("deliveryCostTax", "serviceChargeTax"),
    )
    fees = [(name, read.money(name, currency=currency, digits=digits)) for name in names]
    for n in read.rows("taxes"):
        total = read.money("taxes", n, "total", currency=currency, digits=digits)
        fees.append((read.text("taxes", n, "name") or "tax", total))
        read.skip("taxes", n, "taxClassId")
    return [{"name": name, "amount": amount} for name, amount in fees if amount]


def _discounts(read: Reader, digits: int, currency: str | None) -> list[dict[str, Any]]:
    """Each by name where they are told, else their total."""
    total = read.money("discountTotal", currency=currency, digits=digits)
    found = []
    for n in read.rows("discounts"):
        at = ("discounts", n)
        name = spaced(
            read.text(*at, "name") or read.text(*at, "type"),
            read.text(*at, "channelDiscountCode"),
            read.text(*at, "provider"),
        )
        read.text(*at, "type")
        amount = read.money(*at, "amount", currency=currency, digits=digits)
        if amount is not None:
            found.append({"name": name or "discount", "amount": -abs(amount)})
    if total and not found:
        found.append({"name": "discount", "amount": -abs(total)})
    return found


def _address(read: Reader) -> str | None:
    at = ("deliveryAddress",)
    street = spaced(read.text(*at, "street"), read.text(*at, "streetNumber"))
    names = ("extraAddressInfo", "area", "postalCode", "city", "country")
    return joined(street, *(read.text(*at, name) for name in names))


def _courier(read: Reader) -> dict[str, Any] | None:
    courier = read.get("courier")
    if isinstance(courier, str):
        return {"name": courier}
    name = spaced(read.text("courier", "firstName"), read.text("courier", "lastName"))
    name = read.text("courier", "name") or name
    phone = read.text("courier", "phoneNumber")
    return {"name": name, "phone": phone} if name or phone else None
