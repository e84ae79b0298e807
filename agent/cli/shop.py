"""What staff and technicians ask of a running agent: orders, printers, alerts, sound, SOS."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from agent.cli import common, printers, ticket


def add(groups: common.Groups) -> None:
    _orders(common.group(groups, "order", "Orders of this shop."))
    _printers(common.group(groups, "printer", "Ticket printers."))
    alert = common.group(groups, "alert", "Alerts that sound.")
    common.command(
        alert, "ack", "Acknowledge; without ID all of them.", _asks("alert.ack", "alert_id")
    ).add_argument("alert_id", nargs="?", metavar="ID")
    sound = common.group(groups, "sound", "The loudspeaker.")
    common.command(sound, "test", "Play the chime and a phrase, and ask who heard it.", _test_sound)
    sos = common.group(groups, "sos", "The rider's emergency call.")
    common.command(sos, "test", "Say what an SOS would do now; none is raised.", _asks("sos.test"))


def _orders(sub: common.Groups) -> None:
    listed = common.command(sub, "list", "The newest orders.", _list_orders)
    common.reading(listed).add_argument("--limit", type=int, default=15)
    for name, help_ in (("accept", "Accept an order."), ("ready", "Say that it is ready.")):
        added = common.command(sub, name, help_, _asks(f"order.{name}", "order_id"))
        added.add_argument("order_id", metavar="ORDER")
    added = common.command(
        sub, "reject", "Reject an order.", _asks("order.reject", "order_id", "reason")
    )
    added.add_argument("order_id", metavar="ORDER")
    added.add_argument("--reason", required=True)
    ticket.add_convert(sub)


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
        print("done" if result is None else common.plain(result))
        return 0

    return run


def _test_sound(arguments: argparse.Namespace) -> int:
    """That a card took the samples proves nothing: only ears do."""
    result = common.ask(arguments, "sound.test")
    if not sys.stdin.isatty():
        print(common.plain(result))
        return 0
    if input("Did you hear a chime and a voice? [y/n] ").strip().lower().startswith("y"):
        return 0
    print(
        "The samples went somewhere else. Is the loudspeaker on and plugged in? Is the card muted"
        " (alsamixer)? Is it the right one? `aplay -L` lists them; sound.device names it, for a"
        " service best itself, as in plughw:CARD=Device."
    )
    return 1


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
