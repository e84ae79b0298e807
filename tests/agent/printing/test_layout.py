"""What stands on a ticket; and no text, however hostile, leaves its place."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st

from agent.contract.orders import (
    Amount,
    Courier,
    Customer,
    Footer,
    Invoice,
    Item,
    Option,
    Order,
)
from agent.printing.layout import layout as arranged
from agent.printing.routing import tickets
from agent.printing.sheet import wrap
from agent.printing.templates import Templates
from agent.printing.ticket import Ticket, changed, void
from agent.printing.values import Stamp, money
from drivers.printer import escpos
from drivers.printer.charset import columns
from drivers.printer.elements import Bitmap, Qr, Text
from drivers.printer.virtual import VirtualPrinter

TEMPLATES = Templates()
SHANGHAI = ZoneInfo("Asia/Shanghai")


def layout(ticket, width, stamp, name="kitchen"):
    return arranged(ticket, width, stamp, TEMPLATES.get(name))


def text_of(elements) -> str:
    return "\n".join(e.plain for e in elements if isinstance(e, Text))


def ticket_of(order, printers) -> Ticket:
    return next(iter(tickets(order, printers).values()))


def full(given, **fields) -> Ticket:
    order = given.order(
        **{
            "items": [Item(name="宫保鸡丁", qty=2, options=[Option("微辣")], note="不要花生")],
            "platform": "美团",
            "day_seq": 23,
            "kind": "delivery",
            "note": "请放门口",
            "allergens": ["花生"],
            "cutlery": 2,
            "fees": [Amount("配送费", 500)],
            "discounts": [Amount("满减", -1000)],
            "total": 3800,
            "currency": "CNY",
            "paid": True,
            "customer": Customer("张**", "138****1234", "世纪大道***"),
            "courier": Courier("李师傅", "139****8888"),
            "pickup_code": "8842",
            "invoice": Invoice("某公司", "9131***"),
            "qr": "https://example.com/23",
            "footer": [Footer("谢谢惠顾")],
        }
        | fields
    )
    return ticket_of(order, [given.printer()])


WORDS = [
    "#23",
    "美团",
    "外卖",
    "DELIVERY",
    "尽快",
    "ASAP",
    "宫保鸡丁",
    "x2",
    "微辣",
    "不要花生",
    "请放门口",
    "过敏",
    "ALLERGY",
    "花生",
    "CUTLERY",
    "配送费",
    "￥5.00",
    "-￥10.00",
    "￥38.00",
    "PAID",
    "张**",
    "138****1234",
    "世纪大道",
    "李师傅",
    "8842",
    "某公司",
    "9131***",
    "谢谢惠顾",
    "ORD-1",
    "v1",
    "打印",
    "01-15",
    "16:00:00",
]


@pytest.mark.parametrize("width", [32, 48])
def test_a_ticket_says_everything(given, width):
    elements = layout(full(given), width, Stamp(now_ms=1_800_000_000_000, zone=SHANGHAI))
    text = text_of(elements)
    for words in WORDS:
        assert words in text
    assert [e.text for e in elements if isinstance(e, Qr)] == ["https://example.com/23"]


def test_times_are_those_of_the_shop(given):
    ticket = full(given, due_at=1_800_000_000_000)
    text = text_of(layout(ticket, 48, Stamp(now_ms=0, zone=SHANGHAI)))
    assert "预约 01-15 16:00" in text
    assert "尽快" not in text


def test_a_machine_that_does_not_know_the_time_says_so(given):
    assert "CLOCK NOT SET" in text_of(layout(full(given), 48, Stamp()))


def test_banners(given):
    stamp = Stamp(attempt=3, doubts=2, backup_for="kitchen", now_ms=0)
    text = text_of(layout(full(given), 48, stamp))
    assert "重打 可能重复" in text
    assert "POSSIBLE DUPLICATE #3" in text
    assert "代打 BACKUP FROM kitchen" in text
    assert "ATTEMPT 3" in text
    plain = text_of(layout(full(given), 48, Stamp(now_ms=0)))
    assert not any(word in plain for word in ("DUPLICATE", "BACKUP", "CHANGED", "VOID", "ATTEMPT"))


def test_a_void_ticket_says_what_not_to_make(given):
    text = text_of(layout(void(full(given), 2), 48, Stamp(now_ms=0)))
    assert "作废 VOID" in text
    assert "宫保鸡丁" in text
    assert "￥" not in text


def test_a_changed_ticket_shows_the_differences_first(given):
    told, now = full(given), full(given, version=2, items=[Item(name="面")], note="快")
    text = text_of(layout(changed(told, now), 48, Stamp(now_ms=0)))
    assert "改单 CHANGED" in text
    assert text.index("减 REMOVE") < text.index("现在全单 NOW")
    assert "备注 NOTE" in text


def test_cash_is_shouted(given):
    text = text_of(layout(full(given, paid=False, cash_due=3800), 48, Stamp(now_ms=0)))
    assert "CASH DUE ￥38.00" in text


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (3800, "CNY", "￥38.00"),
        (-5, "CNY", "-￥0.05"),
        (1200, "JPY", "￥1200"),
        (1234, "KWD", "KWD 1.234"),
        (999, "EUR", "EUR 9.99"),
        (5, None, "0.05"),
        (5, "\x1b@x", "@X 0.05"),
    ],
)
def test_money_is_written_not_computed(minor, currency, text):
    assert money(minor, currency) == text


@pytest.mark.parametrize(
    ("text", "room", "lines"),
    [
        ("", 8, [""]),
        ("short", 8, ["short"]),
        ("two words", 6, ["two", "words"]),
        ("宫保鸡丁炒饭", 8, ["宫保鸡丁", "炒饭"]),
        ("不要按门铃。好", 10, ["不要按门", "铃。好"]),
        ("unbreakable", 4, ["unbr", "eaka", "ble"]),
    ],
)
def test_lines_break_where_people_break_them(text, room, lines):
    assert wrap(text, room) == lines


@settings(max_examples=60, deadline=None)
@hypothesis_given(st.text(max_size=120), st.integers(4, 48))
def test_no_line_is_wider_than_its_room(text, room):
    assert all(columns(line) <= room for line in wrap(text, room))


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NASTY = ["\x1b@\x1dV\x00", "\x10\x14\x01", "a\nb\tc", "\u202eevil", "汤" * 60]
HOSTILE = st.one_of(TEXT, st.sampled_from(NASTY))
MAYBE = st.none() | HOSTILE
MONEY = st.integers(-(10**12), 10**12)
TIMES = st.integers(0, 10**14)
ITEMS = st.builds(
    Item,
    name=HOSTILE,
    qty=st.integers(1, 9999),
    options=st.lists(st.builds(Option, HOSTILE), max_size=3),
    note=MAYBE,
    unit_price=st.none() | MONEY,
    station=MAYBE,
)
ORDERS = st.builds(
    Order,
    order_id=st.just("ORD-1"),
    version=st.integers(1, 2**53),
    status=st.just("pending"),
    placed_at=TIMES,
    items=st.lists(ITEMS, min_size=1, max_size=4),
    platform=MAYBE,
    day_seq=st.none() | st.integers(0, 10**6) | HOSTILE,
    kind=st.none() | st.just("pickup"),
    due_at=st.none() | TIMES,
    fees=st.lists(st.builds(Amount, HOSTILE, MONEY), min_size=1, max_size=2),
    total=st.none() | MONEY,
    currency=st.none() | TEXT | st.just("汤" * 8),
    cash_due=st.none() | MONEY,
    note=MAYBE,
    allergens=st.lists(HOSTILE, max_size=2),
    cutlery=st.none() | st.integers(0, 999),
    pickup_code=MAYBE,
    customer=st.none() | st.builds(Customer, MAYBE, MAYBE, MAYBE),
    qr=MAYBE,
    footer=st.lists(st.builds(Footer, MAYBE, MAYBE), max_size=2),
)


@settings(max_examples=60, deadline=None)
@hypothesis_given(ORDERS, st.sampled_from([32, 48]), st.integers(0, 2), st.none() | TEXT)
def test_no_order_breaks_out_of_its_ticket(order, width, doubts, backup):
    from agent.config import PrinterConfig

    ticket = ticket_of(order, [PrinterConfig(name="k", uri="simulated://")])
    stamp = Stamp(doubts=doubts, backup_for=backup, now_ms=0, zone=SHANGHAI)
    elements = layout(ticket, width, stamp)
    for line in elements:
        if isinstance(line, Text):
            assert sum(columns(run.text) * run.width for run in line.runs) <= width
    data = escpos.encode(elements, charset="gb18030", draw=lambda _: Bitmap(8, 1, b"\xff"))
    virtual = VirtualPrinter()
    virtual.connect()
    virtual.receive(data)
    assert len(virtual.paper) == 1
    assert not virtual.ignored
    assert virtual.strip.elements == ()
