"""What a ticket looks like: its templates, its picture; and orders of other platforms as ours."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli import common
from agent.contract.errors import Rejected

if TYPE_CHECKING:
    from agent.config import Config, PrinterConfig
    from agent.contract.orders import Order
    from agent.printing.templates import Templates
    from drivers.printer.elements import Element

JOB = re.compile(r"[0-9a-f]{16}")  # as agent/printing/jobs.py makes them
PLATFORMS = ("open-delivery", "deliverect")


def add(groups: common.Groups) -> None:
    sub = common.group(groups, "ticket", "Templates: how tickets look.")
    check = common.command(sub, "check", "Say what is wrong with a template.", _check)
    check.add_argument("file", metavar="FILE")
    common.reading(common.command(sub, "list", "The templates in use.", _list))
    show = common.command(sub, "show", "Print a template, to start one's own from.", _show)
    show.add_argument("name", metavar="NAME")
    put = common.command(sub, "set", "Use a template from now on, as from afar.", _set)
    put.add_argument("name", metavar="NAME")
    put.add_argument("file", metavar="FILE")
    reset = common.command(sub, "reset", "Forget what was set under this name.", _reset)
    reset.add_argument("name", metavar="NAME")


def add_preview(printers: common.Groups) -> None:
    """`printer preview`"""
    preview = common.command(printers, "preview", "Draw a ticket as PNG, without paper.", _preview)
    preview.add_argument("what", metavar="ORDER.json|JOB")
    preview.add_argument("--printer", metavar="NAME", help="of the order file; default: the first")
    preview.add_argument("--out", default="ticket.png", metavar="F.png")


def add_convert(orders: common.Groups) -> None:
    """`order convert`"""
    convert = common.command(orders, "convert", "Another platform's order as ours.", _convert)
    convert.add_argument("file", metavar="FILE")
    convert.add_argument("--from", dest="source", choices=PLATFORMS, required=True)


def templates(config: Config) -> Templates:
    """As the agent would find them, with those that were sent to it."""
    import sqlite3

    from agent.printing.templates import Templates, stored

    sent: dict[str, str] = {}
    path = Path(config.store.path)
    if path.exists():
        try:
            connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            try:
                sent = stored(connection)
            finally:
                connection.close()
        except sqlite3.Error:
            pass  # the agent itself will say what is wrong with its store
    return Templates(Path(config.tickets.folder), sent)


def problems(config: Config) -> list[str]:
    """What is wrong with the templates of the configured printers."""
    found = templates(config)
    for printer in config.printer:
        found.get(printer.template)
    return [f"tickets: {where}: {what}" for where, all_ in found.problems.items() for what in all_]


def _check(arguments: argparse.Namespace) -> int:
    from agent.printing.template import TemplateError, parse

    try:
        parse(_read(arguments.file))
    except TemplateError as error:
        common.complain(f"{arguments.file}:", *(f"  {problem}" for problem in error.problems))
        return 1
    print(f"{arguments.file}: good")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    found = templates(common.load(arguments).config)
    rows = [{"name": name, "from": (found.text(name) or ("", ""))[1]} for name in found.names()]
    return common.show(
        arguments,
        rows,
        lambda rows: common.table([[r["name"], r["from"]] for r in rows], ["TEMPLATE", "FROM"]),
    )


def _show(arguments: argparse.Namespace) -> int:
    found = templates(common.load(arguments).config).text(arguments.name)
    if found is None:
        raise Rejected("unknown_template", f"there is no template {arguments.name}")
    print(found[0], end="")
    return 0


def _set(arguments: argparse.Namespace) -> int:
    text = _read(arguments.file)
    common.ask(arguments, "ticket.set", name=arguments.name, text=text)
    print("done")
    return 0


def _reset(arguments: argparse.Namespace) -> int:
    common.ask(arguments, "ticket.reset", name=arguments.name)
    print("done")
    return 0


def _convert(arguments: argparse.Namespace) -> int:
    import json

    import msgspec

    from agent.orders.foreign import SOURCES

    try:
        document = json.loads(_read(arguments.file))
    except ValueError as error:
        raise Rejected("not_json", f"{arguments.file}: {error}") from None
    order = SOURCES[arguments.source](document)
    print(msgspec.json.format(msgspec.json.encode(order), indent=2).decode())
    return 0


def _preview(arguments: argparse.Namespace) -> int:
    from drivers.printer.picture import paint

    if not JOB.fullmatch(arguments.what):
        elements, width, columns = _of_file(arguments)
    else:
        import msgspec

        from drivers.printer.elements import Element

        answer = common.ask(arguments, "ticket.preview", job_id=arguments.what)
        elements = msgspec.convert(answer["elements"], list[Element])
        width, columns = answer["dots"], answer["columns"]
    Path(arguments.out).write_bytes(paint(elements, width, columns))
    print(arguments.out)
    return 0


def _of_file(arguments: argparse.Namespace) -> tuple[list[Element], int, int]:
    """Everything that the printer would give out for the order, one ticket after the other."""
    from agent.printing.render import Renderer, columns_of, dots_of
    from agent.printing.routing import tickets
    from agent.printing.values import Stamp

    config = common.load(arguments).config
    printer = _printer(config, arguments.printer)
    order = _order(_read(arguments.what))
    renderer = Renderer(printer, templates(config))
    stamp = Stamp(now_ms=order.placed_at, zone=config.device.zone)
    elements: list[Element] = []
    for (name, _, _), ticket in tickets(order, config.printer).items():
        if name == printer.name:
            elements += renderer.preview(ticket, stamp)
    if not elements:
        raise Rejected("nothing", f"printer {printer.name} prints nothing of this order")
    return elements, dots_of(printer), columns_of(printer)


def _printer(config: Config, name: str | None) -> PrinterConfig:
    for printer in config.printer:
        if name in (None, printer.name):
            return printer
    raise Rejected("unknown_printer", f"there is no printer {name}")


def _order(text: str) -> Order:
    from agent.contract.orders import MAX_BYTES, Order
    from agent.contract.wire import decode
    from agent.orders.lifecycle import mask

    return mask(decode(text.encode(), Order, max_bytes=MAX_BYTES))


def _read(path: str) -> Any:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Rejected("unreadable", f"{path} cannot be read: {error}") from None
