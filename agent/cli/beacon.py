"""`beacon` and `sim record`: what the radio hears, and where a place begins."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import common
from drivers.errors import DriverError

if TYPE_CHECKING:
    from agent.arrival.overview import Row
    from agent.config import Beacons
    from drivers.base import Advert, Clock

HOME, END_OF_LINE, END_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
BAR_DBM, BAR_DB, BAR_WIDTH = -100, 5, 12  # a bar of `#`, one for each 5 dB above -100 dBm
ROWS = 40


def add(groups: common.Groups) -> None:
    sub = common.group(groups, "beacon", "Bluetooth beacons.")
    scan = common.command(sub, "scan", "What the radio hears, as it hears it.", _scan)
    common.reading(scan)
    scan.add_argument("--every", type=_seconds, default=1.0, metavar="SECONDS")
    scan.add_argument("--seconds", type=_seconds, metavar="N", help="end after so long")
    learn = common.command(sub, "learn", "Find out where a place begins.", _learn)
    learn.add_argument("place", metavar="PLACE", help="its id, as of its fence")
    learn.add_argument("--floor", help="of the place")
    learn.add_argument("--beacon", metavar="ID", help="identity or address; else the loudest")
    learn.add_argument("--seconds", type=_seconds, default=30.0, metavar="N", help="a survey each")
    learn.add_argument("--places", type=Path, metavar="P.toml", help="else that of the settings")
    learn.add_argument("--yes", action="store_true", help="ask nothing")
    common.reading(common.command(sub, "key", "The key of this device's own beacon.", _key))
    sim = common.group(groups, "sim", "Recordings for `replay`.")
    record = common.command(sim, "record", "What the radio hears, as CSV.", _record)
    record.add_argument("out", type=Path, metavar="ADVERTS.csv")
    record.add_argument("--seconds", type=_seconds, default=60.0, metavar="N")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 86400:
        raise argparse.ArgumentTypeError("must be 0.1 to 86400 seconds")
    return value


def _key(arguments: argparse.Namespace) -> int:
    found = common.ask(arguments, "beacon.key")
    return common.show(
        arguments, found, lambda f: f"{f['key']}, a new identifier each {f['epoch_s']} s"
    )


def _section(arguments: argparse.Namespace) -> tuple[Beacons, Clock]:
    from agent.config import Beacons
    from agent.core.clock import SystemClock

    return common.load(arguments).config.beacons or Beacons(), SystemClock()


async def _adverts(section: Beacons, clock: Clock, seconds: float | None) -> AsyncIterator[Advert]:
    """Until the time is over, or a recording ends."""
    from asyncio import timeout

    from agent import config as configuration
    from drivers import catalog

    driver = catalog.load("beacons", section.driver)
    settings = configuration.driver_settings("beacons", section)
    async with driver.open(settings, clock) as scanner:
        try:
            async with timeout(seconds):
                async for advert in scanner.adverts():
                    yield advert
        except TimeoutError:
            return


# --- scan -----------------------------------------------------------------------------------------


def _scan(arguments: argparse.Namespace) -> int:
    import asyncio

    asyncio.run(_show(arguments))
    return 0


async def _show(arguments: argparse.Namespace) -> None:
    import asyncio

    from agent.arrival import places
    from agent.arrival.overview import Overview

    section, clock = _section(arguments)
    overview = Overview(places.configured(section.places).places)

    async def collect() -> None:
        async for advert in _adverts(section, clock, arguments.seconds):
            overview.hear(advert)

    collecting = asyncio.ensure_future(collect())
    try:
        while not collecting.done():
            await asyncio.wait([collecting], timeout=arguments.every)
            _print(arguments, overview.rows(clock.monotonic()), clock)
        collecting.result()
    finally:
        collecting.cancel()
        await asyncio.wait([collecting])


def _print(arguments: argparse.Namespace, rows: list[Row], clock: Clock) -> None:
    if arguments.json:
        import msgspec

        line = {"t": int(clock.wall() * 1000), "beacons": msgspec.to_builtins(rows)}
        print(json.dumps(line), flush=True)
        return
    text = screen(rows)
    if common.is_terminal():
        lines = (f"{line}{END_OF_LINE}\n" for line in text.splitlines())
        print(HOME, *lines, END_OF_SCREEN, sep="", end="", flush=True)
    else:
        print(text, flush=True)


def screen(rows: list[Row]) -> str:
    """A table; what strangers say of themselves is made harmless by it."""
    header = ["ADDRESS", "dBm", "", "EVERY", "AGO", "PLACE", "IDENTITY"]
    cells: list[list[object]] = [
        [
            row.address,
            f"{row.rssi:.0f}",
            "#" * max(0, min(BAR_WIDTH, round((row.rssi - BAR_DBM) / BAR_DB))),
            "-" if row.interval_s is None else f"{row.interval_s:.2f} s",
            f"{row.age_s:.0f} s",
            "-" if row.place is None else f"{row.place} {row.margin_db:+.0f} dB",
            row.identity or "-",
        ]
        for row in rows[:ROWS]
    ]
    more = f"\nand {len(rows) - ROWS} more" if len(rows) > ROWS else ""
    return common.table(cells, header) + more if rows else "nothing is heard"


# --- learn ----------------------------------------------------------------------------------------


def _learn(arguments: argparse.Namespace) -> int:
    from agent.arrival import surveying
    from agent.arrival.places import PLACES, Place, load

    section, clock = _section(arguments)
    path = arguments.places or Path(section.places or PLACES)
    if path.exists():
        load(path)  # ConfigError before anybody walks about
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if surveying.has(text, arguments.place) and not _agreed(
        arguments, f"{path} has {arguments.place} already; measure it anew?"
    ):
        return 1
    _wait(arguments, "Stand where the place begins, inside, and walk about there")
    inside = _survey(section, clock, arguments.seconds)
    _wait(arguments, "Now walk about outside, where nobody should count as arrived")
    outside = _survey(section, clock, arguments.seconds)
    rule = surveying.rule(inside, outside, arguments.beacon)
    if rule is None:
        raise DriverError(
            "too little was heard of a beacon that keeps its identity; see `edge-agent beacon scan`"
        )
    place = Place(id=arguments.place, floor=arguments.floor, beacon=[rule])
    new = surveying.merged(text, place)
    print(common.plain(f"{rule.identity or rule.address}: from {rule.enter_rssi} dBm on"))
    if not _agreed(arguments, f"Write it to {path}?"):
        return 1
    _replace(path, new)
    print(f"{path} is written; the agent reads it when it is started again")
    return 0


def _survey(section: Beacons, clock: Clock, seconds: float) -> list[Advert]:
    import asyncio

    async def collect() -> list[Advert]:
        return [advert async for advert in _adverts(section, clock, seconds)]

    return asyncio.run(collect())


def _wait(arguments: argparse.Namespace, what: str) -> None:
    if not arguments.yes:
        _answer(f"{what} for {arguments.seconds:.0f} s; Enter begins: ")


def _agreed(arguments: argparse.Namespace, question: str) -> bool:
    return arguments.yes or _answer(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


def _answer(question: str) -> str:
    try:
        return input(common.plain(question))
    except EOFError:
        raise DriverError("nobody answers; --yes asks nothing") from None


def _replace(path: Path, text: str) -> None:
    """Whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise DriverError(f"{path} cannot be written: {error.strerror}") from error


# --- record ---------------------------------------------------------------------------------------


def _record(arguments: argparse.Namespace) -> int:
    import asyncio

    count = asyncio.run(_write(arguments))
    common.complain(f"{count} adverts in {arguments.out}")
    return 0 if count else 1


async def _write(arguments: argparse.Namespace) -> int:
    from drivers.beacons import recording

    section, clock = _section(arguments)
    offset, count = clock.wall() - clock.monotonic(), 0
    try:
        file = arguments.out.open("w", encoding="utf-8")
    except OSError as error:
        text = f"{arguments.out} cannot be written: {error.strerror}"
        raise DriverError(text) from error
    with file:
        file.write(",".join(recording.COLUMNS) + "\n")
        async for advert in _adverts(section, clock, arguments.seconds):
            file.write(recording.line(advert, advert.t + offset) + "\n")
            count += 1
    return count
