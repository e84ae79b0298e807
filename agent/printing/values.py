"""What the fields of a template stand for: a ticket as words. Money and times are written here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

import msgspec

from agent.contract.orders import Amount
from agent.printing.ticket import Bill, Line, Ticket
from drivers.printer.charset import clean

SERVICES = {"delivery": "外卖 DELIVERY", "pickup": "自取 PICKUP", "dine_in": "堂食 DINE-IN"}
# ISO 4217: digits behind the point where there are not two of them, and signs that are common.
DIGITS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "KWD": 3, "BHD": 3, "JOD": 3, "TND": 3}
SIGNS = {"CNY": "￥", "JPY": "￥", "USD": "$", "HKD": "HK$", "TWD": "NT$", "SGD": "S$"}
YEAR_9999_MS = 250_000_000_000_000


class Stamp(msgspec.Struct, frozen=True):
    """What is known only when a ticket is printed."""

    attempt: int = 1
    doubts: int = 0  # earlier attempts that may have come out
    backup_for: str | None = None  # the printer that should have printed it
    now_ms: int | None = None  # None: this machine does not know the time
    zone: tzinfo | None = None  # None: as the system has it


@dataclass(frozen=True, slots=True)
class Values:
    """The words of each field, empty for what there is nothing to say of; and the loops."""

    words: dict[str, str]
    loops: dict[str, list[Values]] = field(default_factory=dict)
    many: bool = False  # of a dish: more than one
    detailed: bool = False  # of a dish: more lines than its own belong to it


def values(ticket: Ticket, stamp: Stamp) -> Values:
    """A void ticket says what is not to be made, nothing of how."""
    void = ticket.what == "void"
    bill = ticket.bill or Bill()
    words = {
        **_head(ticket, stamp),
        "note": "" if void else clean(ticket.note or ""),
        "allergens": "" if void else "、".join(map(clean, ticket.allergens)),
        "cutlery": "" if void else _cutlery(ticket.cutlery),
        "pieces": str(sum(line.qty for line in ticket.lines)),
        "station": _station(ticket),
        **_money(bill),
        **_people(bill),
        "qr": clean(bill.qr or ""),
        **_proof(ticket, stamp),
        "bill": "" if ticket.bill is None else "1",
    }
    people = ("customer", "address", "courier", "invoice")
    words["people"] = "1" if any(words[name] for name in people) else ""
    full = ticket.bill is not None
    loops = {
        "item": [_item(line, bill.currency, priced=full) for line in ticket.lines],
        "fee": [_amount(amount, bill.currency) for amount in bill.fees],
        "discount": [_amount(amount, bill.currency) for amount in bill.discounts],
        "extra": [Values({"name": clean(e.name), "text": clean(e.text)}) for e in bill.extras],
        "footer": [
            Values({"text": clean(foot.text or ""), "qr": clean(foot.qr or "")})
            for foot in bill.footer
        ],
    }
    return Values(words, loops)


def _head(ticket: Ticket, stamp: Stamp) -> dict[str, str]:
    number = clean(ticket.day_seq or "") or clean(ticket.display_id or "")
    shown = clean(ticket.display_id or "")
    due = f"预约 {local(ticket.due_at, stamp, '%m-%d %H:%M')}" if ticket.due_at else "尽快 ASAP"
    return {
        "number": f"#{number}" if number else "",
        "display_id": "" if shown == number else shown,
        "platform": clean(ticket.platform or ""),
        "service": SERVICES.get(ticket.kind or "", ""),
        "due": due,
        "table": clean(ticket.table or ""),
        "guests": "" if ticket.guests is None else str(ticket.guests),
        "pickup_code": clean(ticket.pickup_code or ""),
    }


def _item(line: Line, currency: str | None, *, priced: bool) -> Values:
    price = line.unit_price if priced else None
    prices = line.prices if priced and line.prices else (None,) * len(line.options)
    words = {
        "name": clean(line.name),
        "qty": str(line.qty),
        "price": "" if price is None else money(price, currency),
        "note": clean(line.note or ""),
        "allergens": "、".join(map(clean, line.allergens)),
        "dish_station": clean(line.station),
    }
    options = [
        Values({"name": clean(name), "price": "" if price is None else money(price, currency)})
        for name, price in zip(line.options, prices, strict=False)
    ]
    detailed = bool(options or words["note"] or words["allergens"])
    return Values(words, {"option": options}, many=line.qty > 1, detailed=detailed)


def _money(bill: Bill) -> dict[str, str]:
    paid = "" if bill.paid is None else "已付款 PAID" if bill.paid else "未付款 NOT PAID"
    return {
        "total": "" if bill.total is None else money(bill.total, bill.currency),
        "cash_due": money(bill.cash_due, bill.currency) if bill.cash_due else "",
        "change_for": money(bill.change_for, bill.currency) if bill.change_for else "",
        "paid": "" if bill.cash_due else paid,
    }


def _people(bill: Bill) -> dict[str, str]:
    customer, courier, invoice = bill.customer, bill.courier, bill.invoice
    return {
        "customer": _joined([customer.name, customer.phone]) if customer else "",
        "address": _joined([customer.address]) if customer else "",
        "courier": _joined([courier.name, courier.phone]) if courier else "",
        "invoice": _joined([invoice.title, invoice.tax_id]) if invoice else "",
    }


def _proof(ticket: Ticket, stamp: Stamp) -> dict[str, str]:
    """What tells one piece of paper from another."""
    printed = "时间未校准 CLOCK NOT SET"
    if stamp.now_ms is not None:
        printed = f"打印 {local(stamp.now_ms, stamp, '%m-%d %H:%M:%S')}"
    placed = f"下单 {local(ticket.placed_at, stamp, '%m-%d %H:%M')}" if ticket.placed_at else ""
    again = f"第{stamp.attempt}次 ATTEMPT {stamp.attempt}" if stamp.attempt > 1 else ""
    return {
        "order_id": clean(f"{ticket.order_id} v{ticket.version}"),
        "placed": placed,
        "printed": printed,
        "copy": f"联 COPY {ticket.copy}/{ticket.copies}" if ticket.copies > 1 else "",
        "attempt": again,
    }


def _cutlery(count: int | None) -> str:
    if count is None:
        return ""
    return f"餐具 CUTLERY x{count}" if count else "不要餐具 NO CUTLERY"


def _station(ticket: Ticket) -> str:
    name = clean(ticket.station) or "全单 ALL"
    return f"{name} {ticket.part}/{ticket.parts}" if ticket.parts > 1 else name


def _joined(texts: Sequence[str | None]) -> str:
    return "  ".join(clean(text) for text in texts if text)


def _amount(amount: Amount, currency: str | None) -> Values:
    return Values({"name": clean(amount.name), "amount": money(amount.amount, currency)})


def money(minor: int, currency: str | None) -> str:
    """Minor units as people write them; the number itself is not touched."""
    code = clean(currency or "").upper()
    digits = DIGITS.get(code, 2)
    sign = "-" if minor < 0 else ""
    units, rest = divmod(abs(minor), 10**digits)
    number = f"{units}.{rest:0{digits}}" if digits else f"{units}"
    return f"{sign}{SIGNS.get(code, code + ' ' if code else '')}{number}"


def local(ms: int | None, stamp: Stamp, form: str) -> str:
    """A time of day where the shop is."""
    if ms is None or ms > YEAR_9999_MS:
        return "?"
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(stamp.zone).strftime(form)
