"""`log`: the last of the running agent's log, without journald and without root."""

from __future__ import annotations

import argparse
import json
from typing import Any

from agent.cli import common

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
PAGE = 500  # lines in one answer
COLOURS = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[31m"}


def add(groups: common.Groups) -> None:
    log = common.command(groups, "log", "The last of the running agent's log.", _log)
    common.reading(log).add_argument("--follow", "-f", action="store_true", help="and what comes")
    log.add_argument("--lines", "-n", type=_lines, default=50, metavar="N", help="how many")
    log.add_argument("--level", choices=LEVELS, default="DEBUG", help="this and worse")
    log.add_argument(
        "--set-level", choices=LEVELS, metavar="LEVEL", help="log so much for a while, then show"
    )
    log.add_argument("--minutes", type=float, default=15.0, metavar="M", help="how long; 15")


def _lines(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) <= PAGE:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {PAGE}")
    return int(text)


def _log(arguments: argparse.Namespace) -> int:
    if arguments.set_level:
        common.ask(arguments, "log.level", level=arguments.set_level, minutes=arguments.minutes)
    found = common.ask(arguments, "log.tail", limit=arguments.lines, level=arguments.level)
    _show(arguments, found["lines"])
    if arguments.follow:
        import asyncio

        asyncio.run(_follow(arguments, found["last"]))
    return 0


async def _follow(arguments: argparse.Namespace, last: int) -> None:
    """Until Ctrl-C, or until the agent ends."""
    from agent.core.clock import SystemClock

    clock = SystemClock()
    while True:
        await clock.sleep(1.0)
        found = common.ask(arguments, "log.tail", after=last, limit=PAGE, level=arguments.level)
        if found["last"] < last:  # the agent was started again
            last = 0
            continue
        last = found["last"]
        _show(arguments, found["lines"])


def _show(arguments: argparse.Namespace, lines: list[dict[str, Any]]) -> None:
    for line in lines:
        if arguments.json:
            print(json.dumps(line, ensure_ascii=False), flush=True)
            continue
        text = f"{common.utc(line['t'])} {line['level']:<7} {common.plain(line['text'])}"
        colour = COLOURS.get(line["level"]) if common.is_terminal() else None
        print(f"{colour}{text}\x1b[0m" if colour else text, flush=True)
