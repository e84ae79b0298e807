"""`watch`: the running agent on one screen, drawn again and again.

Fits the terminal as it is at that moment; no byte of an order reaches it but as plain text.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from collections.abc import Iterator
from typing import Any

from agent.cli import common, view
from agent.contract.errors import NotRunning, Rejected

ALTERNATE, ORDINARY = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
HOME, END_OF_LINE, END_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
ORDERS = 30
ASK_S = 5.0


def main(arguments: argparse.Namespace) -> int:
    """Until Ctrl-C, or `--count` times."""
    screen = common.is_terminal()
    if screen:
        sys.stdout.write(ALTERNATE)
    try:
        return asyncio.run(_again_and_again(arguments, screen=screen))
    finally:
        if screen:
            sys.stdout.write(ORDINARY)
            sys.stdout.flush()


async def _again_and_again(arguments: argparse.Namespace, *, screen: bool) -> int:
    from agent.core.clock import SystemClock

    clock, shown = SystemClock(), 0
    while True:
        text, running = _state(arguments)
        lines = [common.plain(line) for line in text]
        if screen:
            sys.stdout.write(frame(lines, *shutil.get_terminal_size()))
        else:
            print(*lines, sep="\n", end="\n\n")
        sys.stdout.flush()
        shown += 1
        if shown == arguments.count:
            return 0 if running else 1
        await clock.sleep(arguments.every)


def frame(lines: list[str], columns: int, rows: int) -> str:
    """What is drawn over the last one. The last column and row stay free, so that nothing scrolls;
    what does not fit is counted."""
    room = max(1, rows - 1)
    if len(lines) > room:
        lines = [*lines[: room - 1], f"… +{len(lines) - room + 1}"]
    drawn = "".join(f"{cut(line, columns - 1)}{END_OF_LINE}\n" for line in lines)
    return f"{HOME}{drawn}{END_OF_SCREEN}"


def cut(line: str, columns: int) -> str:
    """So much of it as fits; a Chinese character takes two columns."""
    if common.width(line) <= columns:
        return line
    kept, used = "", 1  # the mark
    for character in line:
        used += common.width(character)
        if used > columns:
            break
        kept += character
    return f"{kept}…" if columns > 0 else ""


def _state(arguments: argparse.Namespace) -> tuple[list[str], bool]:
    """The lines, and whether an agent answered."""
    words = common.words(arguments)
    try:
        return list(_lines(arguments)), True
    except NotRunning as error:  # it may come, or come back
        return [words.of(str(error))], False


def _lines(arguments: argparse.Namespace) -> Iterator[str]:
    words = common.words(arguments)
    status = common.ask(arguments, "status", timeout_s=ASK_S)
    yield from view.lines(status, words)
    if (place := _maybe(arguments, "gps.view", status["role"] == "rider")) is not None:
        yield view.whereabouts(place, words)
    found = common.ask(arguments, "orders.list", timeout_s=ASK_S, limit=ORDERS)["orders"]
    if found:
        yield ""
        yield words.say("orders, the newest first:")
        yield from view.orders(found, words)


def _maybe(arguments: argparse.Namespace, do: str, wanted: bool) -> Any:  # noqa: FBT001 - one fact
    if not wanted:
        return None
    try:
        return common.ask(arguments, do, timeout_s=ASK_S)
    except Rejected:
        return None
