"""`beacon`: what the radio hears, and what is learned of it."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from agent.cli import common, surveys

if TYPE_CHECKING:
    from agent.arrival.overview import Row
    from drivers.base import Clock

HOME, END_OF_LINE, END_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
BAR_DBM, BAR_DB, BAR_WIDTH = -100, 5, 12  # a bar of `#`, one for each 5 dB above -100 dBm
ROWS = 40


def add(groups: common.Groups) -> None:
    sub = common.group(groups, "beacon", "Bluetooth beacons.")
    scan = common.command(sub, "scan", "What the radio hears, as it hears it.", _scan)
    common.reading(scan)
    scan.add_argument("--every", type=surveys.seconds, default=1.0, metavar="SECONDS")
    scan.add_argument("--seconds", type=surveys.seconds, metavar="N", help="end after so long")
    surveys.add(sub)
    learned = common.command(sub, "learned", "Thresholds that pick-ups moved.", _learned)
    common.reading(learned)
    common.reading(common.command(sub, "key", "The key of this device's own beacon.", _key))


def _key(arguments: argparse.Namespace) -> int:
    found = common.ask(arguments, "beacon.key")
    return common.show(
        arguments, found, lambda f: f"{f['key']}, a new identifier each {f['epoch_s']} s"
    )


# --- scan -----------------------------------------------------------------------------------------


def _scan(arguments: argparse.Namespace) -> int:
    import asyncio

    asyncio.run(_show(arguments))
    return 0


async def _show(arguments: argparse.Namespace) -> None:
    import asyncio

    from agent.arrival import places
    from agent.arrival.overview import Overview

    section, clock = surveys.section_of(arguments)
    overview = Overview(places.configured(section.places).places)

    async def collect() -> None:
        async for advert in surveys.adverts(section, clock, arguments.seconds):
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


# --- learned --------------------------------------------------------------------------------------


def _learned(arguments: argparse.Namespace) -> int:
    found = common.ask(arguments, "beacons.view")["learned"]

    def text(rows: list[dict[str, Any]]) -> str:
        cells: list[list[object]] = [
            [row["place"], row["beacon"], row["surveyed"], row["enter_rssi"], row["pick_ups"]]
            for row in rows
        ]
        header = ["PLACE", "BEACON", "SURVEYED dBm", "NOW dBm", "PICK-UPS"]
        return common.table(cells, header) if rows else "no pick-up has moved a threshold yet"

    return common.show(arguments, found, text)


# --- record ---------------------------------------------------------------------------------------
