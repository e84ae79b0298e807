"""Finding printers and trying them out, with or without a running agent."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from agent.cli import common
from agent.contract.errors import NotRunning, Rejected

if TYPE_CHECKING:
    from agent.config import PrinterConfig
    from drivers.base import Examination
    from drivers.printer.discovery import Found


def add(sub: common.Groups) -> None:
    scan = common.reading(common.command(sub, "scan", "Find printers that may be used.", _scan))
    scan.add_argument(
        "--subnet", metavar="CIDR", help="also knock at port 9100 of each address, as 192.0.2.0/24"
    )
    test = common.reading(
        common.command(sub, "test", "Print two test pages and see what can be proved.", _test)
    )
    test.add_argument("printer", metavar="NAME|URI")
    test.add_argument("--columns", type=int, choices=[32, 42, 48], help="as read off the ruler")
    test.add_argument("--beep", action="store_true", help="sound the printer's own buzzer, too")


def _scan(arguments: argparse.Namespace) -> int:
    from ipaddress import IPv4Network

    from drivers.printer import discovery

    found = discovery.on_usb() + discovery.on_serial() + discovery.announced()
    if arguments.subnet:
        try:
            found += discovery.by_port(IPv4Network(arguments.subnet, strict=False))
        except ValueError as error:
            common.complain(str(error))
            return 2
    rows = _one_each(found)

    def text(rows: Any) -> str:
        if not rows:
            return "no printer found; one on the network may need --subnet"
        cells = [[r["uri"], r["model"] or "?", r["settings"], r["note"]] for r in rows]
        return common.table(cells, ["URI", "MODEL", "WOULD BE", "NOTE"])

    return common.show(arguments, rows, text)


def _one_each(found: list[Found]) -> list[dict[str, Any]]:
    """A printer that was found twice is told once, by what says more of it."""
    rows: dict[str, dict[str, Any]] = {}
    for one in found:
        row = {"uri": one.uri, "model": one.model, "how": one.how, "note": one.note}
        rows.setdefault(one.uri, row | {"settings": _settings(one.model)})
        if rows[one.uri]["how"] != one.how:
            rows[one.uri]["note"] += f"; {one.note}"
    return list(rows.values())


def _settings(model: str) -> str:
    from drivers.printer.models import known

    facts = known(model)
    if facts is None:
        return "see: printer test URI"
    columns = " columns = 42" if facts.columns == 42 else ""
    return f"width_mm = {facts.width_mm}{columns}"


def _test(arguments: argparse.Namespace) -> int:
    from agent.printing import selftest

    config, seen = _tried(arguments)
    columns = arguments.columns
    if columns is None and sys.stdin.isatty() and common.is_terminal() and not arguments.json:
        columns = _ask_columns()
    section = selftest.proposal(config, seen, columns)

    def text(_value: Any) -> str:
        lines = [common.plain(line) for line in selftest.told(seen)]
        return "\n".join([*lines, "", "Its section would be:", "", section.rstrip()])

    from dataclasses import asdict

    return common.show(arguments, {"seen": asdict(seen), "section": section}, text)


def _tried(arguments: argparse.Namespace) -> tuple[PrinterConfig, Examination]:
    """Through the agent where the printer is its own; directly where no agent runs."""
    from agent.config import PrinterConfig
    from drivers.base import Examination

    wanted = arguments.printer
    if "://" in wanted:
        config = PrinterConfig(name="new", uri=wanted)
    else:
        try:
            answer = common.ask(arguments, "printer.examine", printer=wanted, timeout_s=120.0)
        except NotRunning:
            return _own(arguments, wanted), _directly(_own(arguments, wanted), arguments)
        return _own(arguments, wanted), Examination(**answer)
    return config, _directly(config, arguments)


def _own(arguments: argparse.Namespace, name: str) -> PrinterConfig:
    for config in common.load(arguments).config.printer:
        if config.name == name:
            return config
    raise Rejected("unknown_printer", f"there is no printer {name}; write an address as tcp://HOST")


def _directly(config: PrinterConfig, arguments: argparse.Namespace) -> Examination:
    import asyncio

    from agent.core.clock import SystemClock
    from agent.printing import trial

    return asyncio.run(trial.directly(config, SystemClock(), beep=arguments.beep))


def _ask_columns() -> int | None:
    """What a person reads off the ruler; None where they do not know."""
    answer = input("Number at the end of the longest unbroken ruler line (32, 42, 48; or Enter): ")
    return int(answer) if answer.strip() in ("32", "42", "48") else None
