"""Whole tickets, as text, for the eye: `GOLDENS=write pytest ...` writes them anew.

Each is read back from the bytes. Marks of a run: {2x2 ...} its size, ! inverse, * bold.
"""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.config import PrinterConfig
from agent.contract.orders import (
    Amount,
    Courier,
    Customer,
    Extra,
    Footer,
    Invoice,
    Item,
    Option,
    Order,
)
from agent.printing.render import Renderer
from agent.printing.routing import tickets
from agent.printing.templates import Templates
from agent.printing.ticket import changed, void
from agent.printing.values import Stamp
from drivers.printer.elements import Beep, Cut, Drawer, Feed, Image, Qr, Run, Text

FOLDER = Path(__file__).parent / "goldens"
ITEMS = [
    Item(
        "宫保鸡丁",
        2,
        unit_price=2800,
        options=[Option("微辣"), Option("加花生", 200)],
        note="鸡肉切小一点",
        station="wok",
    ),
    Item("扬州炒饭", 1, unit_price=1800, station="wok"),
    Item("酸辣汤（大份）", 1, unit_price=1200, station="soup", allergens=["大豆"],
         options=[Option("少油", qty=2, options=[Option("不放香菜")])]),
]  # fmt: skip
FULL = {
    "order_id": "MT-20270115-8842",
    "version": 1,
    "status": "pending",
    "placed_at": 1_799_999_000_000,
    "platform": "美团外卖",
    "day_seq": 23,
    "display_id": "8842-1177",
    "kind": "delivery",
    "items": ITEMS,
    "fees": [Amount("打包费", 300), Amount("配送费", 500)],
    "discounts": [Amount("满50减10", -1000)],
    "total": 8200,
    "currency": "CNY",
    "paid": True,
    "note": "请放门口，不要按门铃",
    "cutlery": 2,
    "customer": Customer("张**", "138****1234", "世纪大道100号***"),
    "courier": Courier("李师傅", "139****8888"),
    "pickup_code": "8842",
    "invoice": Invoice("某某科技有限公司", "9131***"),
    "qr": "https://example.com/o/23",
    "footer": [Footer("谢谢惠顾，欢迎再来", "https://example.com/again")],
    "extras": [Extra("会员 MEMBER", "金卡")],
}
STAMP = Stamp(now_ms=1_800_000_000_000, zone=ZoneInfo("Asia/Shanghai"))


def order(**fields) -> Order:
    return Order(**{**FULL, **fields})


def ticket(made: Order, **settings):
    config = PrinterConfig(name="kitchen", uri="simulated://", **settings)
    return next(iter(tickets(made, [config]).values()))


SCHEDULED = order(
    due_at=1_800_007_200_000, kind="dine_in", table="A12", guests=4,
    paid=False, cash_due=8200, change_for=10000, allergens=["花生", "海鲜"],
)  # fmt: skip
FEWER = order(version=2, items=[*ITEMS[1:], Item("麻婆豆腐", 1)], note="快一点")
CASES = {
    "kitchen-48": (ticket(order()), {}, STAMP),
    "kitchen-42": (ticket(order()), {"columns": 42}, STAMP),
    "kitchen-32": (ticket(order()), {"width_mm": 58}, STAMP),
    "kitchen-scheduled": (ticket(SCHEDULED), {"drawer": True, "beep": 2}, STAMP),
    "expo-48": (ticket(SCHEDULED), {"template": "expo"}, STAMP),
    "receipt-32": (ticket(order()), {"template": "receipt", "width_mm": 58}, STAMP),
    "changed": (changed(ticket(order()), ticket(FEWER)), {}, STAMP),
    "void": (void(ticket(order()), 2), {}, STAMP),
    "duplicate-backup": (
        ticket(order(), stations=["wok"]),
        {},
        Stamp(attempt=3, doubts=2, backup_for="bar", now_ms=STAMP.now_ms, zone=STAMP.zone),
    ),
    "no-clock": (ticket(order(items=[Item("面")])), {}, Stamp(zone=STAMP.zone)),
}


def shown(element) -> str:
    match element:
        case Text(runs, align):
            return f"{align[0]}|{''.join(map(_run, runs))}".rstrip()
        case Qr(text, align, size):
            return f"{align[0]}|[QR {size}: {text}]"
        case Feed(lines):
            return f" |[feed {lines}]"
        case Image():
            return " |[picture]"
        case Cut() | Beep() | Drawer():
            return f" |[{type(element).__name__.lower()}]"
    raise AssertionError(element)


def _run(run: Run) -> str:
    marks = "!" * run.inverse + "*" * run.bold
    if (run.width, run.height) != (1, 1):
        marks += f"{run.width}x{run.height} "
    return f"{{{marks}{run.text}}}" if marks else run.text


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_ticket_looks_as_it_did(name):
    made, settings, stamp = CASES[name]
    config = PrinterConfig(name="kitchen", uri="simulated://", **settings)
    elements = Renderer(config, Templates()).preview(made, stamp)
    text = "\n".join(map(shown, elements)) + "\n"
    path = FOLDER / f"{name}.txt"
    if os.environ.get("GOLDENS") == "write":
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")
