"""From a fix to its event: the policies' step, the outbox, and its commit on the disk.

    bench/fix.py TRACK [--folder .] [--fixes 3000]

`step`: gate, filter, stops and reporting of one fix. For fixes that are reported: `recorded`, until
the event can be sent, and `committed`, until it is on the disk, had it to be so at once (positions
need not: they wait there for up to 5 s and are usually acknowledged first).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agent.core.clock import SystemClock
from agent.core.health import Health
from agent.positioning.message import position_body
from agent.positioning.profiles import PROFILES
from agent.positioning.reporting import Reporting
from agent.positioning.tracker import Tracker
from agent.store.database import Database
from agent.store.outbox import Outbox
from bench.common import load
from drivers.gps.track import read_track


def row(name: str, seconds: list[float]) -> str:
    ordered = sorted(seconds)
    p50, p99 = (ordered[int(part * (len(ordered) - 1))] * 1e3 for part in (0.5, 0.99))
    return f"| {name} | {len(seconds)} | {p50:.3f} | {p99:.3f} | {ordered[-1] * 1e3:.3f} |"


async def measure(track: Path, folder: Path, most: int) -> None:
    clock = SystemClock()
    health = Health(clock)
    database = Database(folder / "agent.db", clock, health)
    await database.open()
    outbox = Outbox(database, clock, health, max_mb=200)
    await outbox.open()
    tracker, reporting = Tracker(), Reporting(PROFILES["seed"])
    step, recorded, committed = [], [], []
    for _, fix in zip(range(most), read_track(track), strict=False):
        begin = time.perf_counter()
        estimate = tracker.react(fix)
        report = reporting.react(estimate) if estimate else None
        step.append(time.perf_counter() - begin)
        if report is None:
            continue
        body = position_body(report, fix_t=fix.t, profile="seed", datum="wgs84")
        await outbox.record(body)
        recorded.append(time.perf_counter() - begin)
        await outbox.flush(["telemetry"])
        committed.append(time.perf_counter() - begin)
    await database.close()
    print("| of one fix | n | p50 ms | p99 ms | max ms |\n|---|---|---|---|---|")
    print(row("step", step), row("recorded", recorded), row("committed", committed), sep="\n")
    print(f"\nload {load()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("track", type=Path)
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--fixes", type=int, default=3000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        asyncio.run(measure(arguments.track, Path(folder), arguments.fixes))


if __name__ == "__main__":
    main()
