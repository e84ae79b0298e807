"""What staff and technicians ask of a running agent: orders, printers, alerts, sound, SOS."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from agent import layers
from agent.cli import common, printers, ticket

LOUD = 0.5  # of sound.volume; below it a kitchen hears nothing


def add(groups: common.Groups) -> None:
    _orders(common.group(groups, "order", "Orders of this shop."))
    _printers(common.group(groups, "printer", "Ticket printers."))
    alert = common.group(groups, "alert", "Alerts that sound.")
    common.reading(common.command(alert, "list", "Those that nobody answered.", _list_alerts))
    ack = common.command(
        alert,
        "ack",
        "Acknowledge; without ID all of them.",
        _asks("alert.ack", "alert_id", "order_id"),
    )
    ack.add_argument("alert_id", nargs="?", metavar="ID")
    ack.add_argument("--order", dest="order_id", metavar="ORDER", help="those of one order")
    _stock(common.group(groups, "stock", "What is running out or sold out."))
    shop = common.group(groups, "shop", "The shop itself.")
    common.command(
        shop, "set", "Open, busy or closed, as the platforms show it.", _asks("shop.set", "status")
    ).add_argument("status", choices=["open", "busy", "closed"])
    sound = common.group(groups, "sound", "The loudspeaker.")
    common.command(sound, "test", "Play the chime and a phrase, and ask who heard it.", _test_sound)
    sos = common.group(groups, "sos", "The rider's emergency call.")
    common.command(sos, "test", "Say what an SOS would do now; none is raised.", _asks("sos.test"))


def _orders(sub: common.Groups) -> None:
    listed = common.command(sub, "list", "The newest orders.", _list_orders)
    common.reading(listed).add_argument("--limit", type=int, default=15)
    for name, help_ in (
        ("accept", "Accept an order."),
        ("ready", "Say that it is ready."),
        ("picked_up", "Say that it was handed over."),
    ):
        added = common.command(sub, name, help_, _asks(f"order.{name}", "order_id"))
        added.add_argument("order_id", metavar="ORDER")
    added = common.command(
        sub, "reject", "Reject an order.", _asks("order.reject", "order_id", "reason")
    )
    added.add_argument("order_id", metavar="ORDER")
    added.add_argument("--reason", required=True)
    for name, help_ in (
        ("urge", "A customer urges: staff hear of it."),
        ("refund", "A customer wants a refund: staff hear of it."),
    ):
        added = common.command(sub, name, help_, _asks(f"order.{name}", "order_id", "note"))
        added.add_argument("order_id", metavar="ORDER")
        added.add_argument("--note", help="what the customer said")
    ticket.add_convert(sub)


def _stock(sub: common.Groups) -> None:
    common.reading(common.command(sub, "list", "What staff see of it.", _list_stock))
    added = common.command(sub, "set", "How much of something is left.", _set_stock)
    added.add_argument("sku", metavar="SKU")
    added.add_argument("--left", type=int, metavar="N", help="portions; 0: sold out")
    there = added.add_mutually_exclusive_group()
    there.add_argument("--sold-out", action="store_true", help="none is to be had")
    there.add_argument("--available", action="store_true", help="there is some again")
    added.add_argument("--name", help="what people call it")


def _printers(sub: common.Groups) -> None:
    common.reading(common.command(sub, "list", "The printers and what ails them.", _list_printers))
    printers.add(sub)
    added = common.command(
        sub,
        "reprint",
        "Print an order's tickets again, marked.",
        _asks("printer.reprint", "order_id"),
    )
    added.add_argument("order_id", metavar="ORDER")
    added = common.command(
        sub,
        "resume",
        "Decide about tickets that waited.",
        _asks("printer.resume", "printer", "choice"),
    )
    added.add_argument("printer", metavar="NAME")
    added.add_argument("--choice", choices=["all", "latest", "none"], default="all")
    ticket.add_preview(sub)


def _asks(do: str, *names: str) -> Any:
    """A command that only passes its arguments on, and prints what came back."""

    def run(arguments: argparse.Namespace) -> int:
        params = {n: getattr(arguments, n) for n in names if getattr(arguments, n) is not None}
        result = common.ask(arguments, do, **params)
        words = common.words(arguments)
        if not isinstance(result, str):
            result = _in_short(result)
        print(common.plain(words.of(result)))
        return 0

    return run


def _in_short(result: Any) -> str:
    """What was done to how many."""
    if isinstance(result, list):
        return ", ".join(map(str, result)) or "nothing to do"
    return "done" if result is None else str(result)


def _test_sound(arguments: argparse.Namespace) -> int:
    """That a card took the samples proves nothing: only ears do."""
    words = common.words(arguments)
    result = common.ask(arguments, "sound.test")
    if not sys.stdin.isatty():
        print(common.plain(words.of(result)))
        return 0
    from agent.cli.asking import YES

    question = words.say("Did you hear a chime and a voice? [y/n]")
    if input(f"{question} ").strip().lower().startswith(YES):
        return 0
    print(
        words.say(
            "The samples went somewhere else. Is the loudspeaker on and plugged in? Is the card"
            " muted (alsamixer)? Is it the right one? `aplay -L` lists them; sound.device names it,"
            " for a service best itself, as in plughw:CARD=Device."
        )
    )
    volume = layers.read(Path(arguments.config)).values.get("sound", {}).get("volume", 1.0)
    if volume < LOUD:
        print(words.say("sound.volume is {volume}; 1 is the loudest", volume=volume))
    return 1


def _set_stock(arguments: argparse.Namespace) -> int:
    params: dict[str, Any] = {"sku": arguments.sku}
    if arguments.left is not None:
        params["left"] = arguments.left
    if arguments.name is not None:
        params["name"] = arguments.name
    if arguments.sold_out or arguments.available:
        params["available"] = arguments.available
    if len(params) == 1:
        common.complain(common.words(arguments).say("say --left N, --sold-out or --available"))
        return 2
    goods = common.ask(arguments, "stock.set", **params)
    print(_goods([goods]))
    return 0


def _list_stock(arguments: argparse.Namespace) -> int:
    return common.show(arguments, common.ask(arguments, "stock.list"), _goods)


def _goods(rows: list[dict[str, Any]]) -> str:
    cells = [
        [g["sku"], g["name"] or "", "" if g["left"] is None else g["left"], _there(g)] for g in rows
    ]
    return common.table(cells, ["SKU", "NAME", "LEFT", "AVAILABLE"]) if rows else "-"


def _there(goods: dict[str, Any]) -> str:
    return "yes" if goods["available"] and goods["left"] != 0 else "sold out"


def _list_alerts(arguments: argparse.Namespace) -> int:
    def text(alerts: Any) -> str:
        rows = [
            [a["alert_id"], a["cause"], a["state"], a["order_id"] or "", common.utc(a["raised"])]
            for a in alerts
        ]
        return common.table(rows, ["ALERT", "CAUSE", "STATE", "ORDER", "SINCE (UTC)"])

    return common.show(arguments, common.ask(arguments, "status")["alerts"], text)


def _list_orders(arguments: argparse.Namespace) -> int:
    answer = common.ask(arguments, "orders.list", limit=arguments.limit)

    def text(answer: Any) -> str:
        rows = [
            [o["order"].get("day_seq", ""), o["order"]["order_id"], o["order"]["version"],
             o["stage"], ", ".join(sorted({j["state"] for j in o["jobs"]}))]
            for o in answer["orders"]
        ]  # fmt: skip
        return common.table(rows, ["NO", "ORDER", "VERSION", "STAGE", "TICKETS"])

    return common.show(arguments, answer, text)


def _list_printers(arguments: argparse.Namespace) -> int:
    printers = common.ask(arguments, "status")["printers"]

    def text(printers: Any) -> str:
        rows = [[p["name"], p["state"], p["waiting"], p["fault"] or ""] for p in printers]
        return common.table(rows, ["PRINTER", "STATE", "WAITING", "FAULT"])

    return common.show(arguments, printers, text)
