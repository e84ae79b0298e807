"""A day offline: memory stays flat, the quota is kept, and what is given up is explained.

    .venv/bin/python bench/volume.py [--hours 24] [--max-mb 1]

A rider's outbox and uplink with a manual clock and a broker that is not there: a position every
10 s, a health event every 5 min, a critical one every 10 min. RSS after the first hour and later.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec

from agent.contract.events import Audit, Gap, Health, Position
from agent.core.clock import ManualClock
from agent.core.health import Health as Conditions
from agent.core.supervisor import Heartbeat
from agent.store.database import Database
from agent.store.inbox import Inbox
from agent.store.outbox import Outbox
from agent.uplink.link import Connected, Message
from agent.uplink.service import Uplink
from bench.common import Child, positions, python, table

STEP_S = 10


class NoLink:
    """The world without a network."""

    up = contested = False

    def __init__(self, clock: ManualClock, on_down: Callable[[str], None]) -> None:
        self._clock, self._on_down = clock, on_down

    async def run(self) -> None:
        while True:
            self._on_down("nothing answers")
            await self._clock.sleep(60)


async def day(folder: Path, hours: float, max_mb: float) -> None:
    clock = ManualClock()
    health = Conditions(clock)
    database = Database(folder / "agent.db", clock, health)
    outbox = Outbox(database, clock, health, max_mb=max_mb)
    await database.open()
    await outbox.open()

    def link(
        _m: Callable[[Message], None], _u: Callable[[Connected], None], down: object
    ) -> object:
        return NoLink(clock, down)

    inbox = Inbox(database, clock, health, outbox, {})
    uplink = Uplink("rd-007", "backend", link, outbox, inbox, clock, health, lambda _: None)
    beat = partial(Heartbeat, clock=clock, health=health)
    running = [asyncio.ensure_future(s.run(beat("x"))) for s in (outbox, uplink)]
    conditions: set[str] = set()
    for n, body in enumerate(positions(int(hours * 3600 / STEP_S))):
        await outbox.record(msgspec.convert(body, Position))
        if n % 30 == 0:
            text = "no fix for 40 s; is the antenna covered?"
            state = "raised" if n % 60 else "cleared"
            await outbox.record(Health(code="gps", state=state, severity="warning", text=text))
        if n % 60 == 0:
            await outbox.record(Audit(action="picked_up", by="rider"))
        for _ in range(2):
            await clock.advance(STEP_S / 2)
            await database.read(lambda _: None)  # the store's thread keeps up with the clock
        conditions |= {condition.code for condition in health.conditions()}
        if (n + 1) % (1800 // STEP_S) == 0:
            gc.collect()
            used = await database.read(_used)
            say(hour=(n + 1) * STEP_S / 3600, rss=_rss(), kb=used // 1024)
    rows = await database.read(
        lambda c: c.execute("SELECT seq, kind, body FROM telemetry ORDER BY seq").fetchall()
    )
    gaps = [msgspec.json.decode(body, type=Gap) for _, kind, body in rows if kind == "gap"]
    seqs = {seq for seq, *_ in rows}
    explained = sum(gap.last - gap.first + 1 for gap in gaps)
    newest = max(seqs)
    missing = set(range(1, newest + 1)) - seqs
    for gap in gaps:
        missing -= set(range(gap.first, gap.last + 1))
    (critical,) = await database.read(
        lambda c: c.execute("SELECT count(*) FROM critical").fetchone()
    )
    say(
        kept=len(rows) - len(gaps),
        explained=explained,
        unexplained=len(missing),
        critical=critical,
        told="store.full" in conditions,
    )
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await outbox.close()
    await database.close()


def _used(connection) -> int:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return (pages - free) * size


def _rss() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def say(**line: object) -> None:
    print(json.dumps(line), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--max-mb", type=float, default=1)
    parser.add_argument("--inner", help="internal: the folder")
    options = parser.parse_args()
    if options.inner:
        asyncio.run(day(Path(options.inner), options.hours, options.max_mb))
        return
    rows = []
    for max_mb in (options.max_mb, 200):
        with tempfile.TemporaryDirectory(dir=".") as folder:
            arguments = ("--hours", options.hours, "--max-mb", max_mb, "--inner", folder)
            child = Child(python("volume.py", *arguments))
            hours = []
            while "hour" in (line := child.hear()):
                hours.append(line)
            child.end()
        first = next(one["rss"] for one in hours if one["hour"] >= 1)
        rest = [one["rss"] for one in hours if one["hour"] >= 1]
        rows.append(
            (
                f"{max_mb:g}",
                f"{first:.1f}",
                f"{min(rest):.1f}-{max(rest):.1f}",
                f"{(max(rest) / first - 1) * 100:+.1f} %",
                max(one["kb"] for one in hours),
                line["kept"],
                line["explained"],
                line["unexplained"],
                line["critical"],
                line["told"],
            )
        )
    head = (
        "max_mb",
        "RSS MB at 1 h",
        "then",
        "growth",
        "most kB stored",
        "events kept",
        "given up, explained by a gap",
        "unexplained",
        "critical kept",
        "condition raised",
    )
    table(f"{options.hours:g} h offline", head, rows)


if __name__ == "__main__":
    main()
