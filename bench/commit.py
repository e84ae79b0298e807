"""One critical event stored, against appending the same bytes to a file with fdatasync.

    .venv/bin/python bench/commit.py [--count 400] [--rounds 5] [--folder .]

One after the other on the same disk, in turns of 20. The append writes what the event is as a line
on the wire; so does bare SQLite, once as other processes may read its file and once alone.
Ours: the transaction in the store's thread until COMMIT is through, and the whole of
`await record()`, which is two changes of thread more.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agent.contract.events import PrintEvent
from agent.contract.wire import encode
from agent.store.database import Database
from bench.common import load, median_ratio, table
from bench.ours import Device

TURN = 20
EVENT = PrintEvent(
    job_id="sh-021-01-4711",
    order_id="8810123456789",
    version=1,
    station="wok",
    printer="kitchen",
    copy=1,
    attempt=1,
    state="printed",
    evidence="asb",
    duplicate=False,
)


async def timed(count: int, once: Callable[[], Awaitable[None]]) -> list[float]:
    times = []
    for _ in range(count):
        start = time.perf_counter()
        await once()
        times.append(time.perf_counter() - start)
    return times


def bare(path: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in (f"locking_mode={how}", "page_size=1024", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE event (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT")
    return connection


async def run(folder: Path, count: int, number: int) -> dict[str, float]:
    """Median seconds of each."""
    device = Device(folder / f"{number}.db")
    inside: list[float] = []
    within(device.database, inside)
    await device.open()
    line = encode(EVENT) + b"\n" + b" " * 100  # the envelope
    file = os.open(folder / f"{number}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    plain = bare(folder / f"{number}-plain.db", "NORMAL")
    alone = bare(folder / f"{number}-alone.db", "EXCLUSIVE")

    async def append() -> None:
        os.write(file, line)
        os.fdatasync(file)

    def insert(connection: sqlite3.Connection) -> Callable[[], Awaitable[None]]:
        async def once() -> None:
            connection.execute("INSERT INTO event (body) VALUES (?)", (line,))

        return once

    async def record() -> None:
        await device.outbox.record(EVENT)

    candidates = {
        "append + fdatasync": append,
        "bare SQLite": insert(plain),
        "bare SQLite, nobody else may read": insert(alone),
        "our `await record()`": record,
    }
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for once in candidates.values():
        await timed(20, once)
    inside.clear()
    for _ in range(count // TURN):
        for name, once in candidates.items():
            times[name] += await timed(TURN, once)
    times["our transaction"] = inside
    os.close(file)
    for connection in (plain, alone):
        connection.close()
    await device.close()
    return {name: statistics.median(found) for name, found in times.items()}


def within(database: Database, times: list[float]) -> None:
    """From the begin of the transaction until COMMIT is through, before anybody is told."""
    commit, answer = database._commit, database._answer  # noqa: SLF001
    start = 0.0

    def timed_commit(disk: object, group: list) -> None:
        nonlocal start
        if group:
            start = time.perf_counter()
        commit(disk, group)

    def timed_answer(outcomes: list) -> None:
        if outcomes:
            times.append(time.perf_counter() - start)
        answer(outcomes)

    database._commit, database._answer = timed_commit, timed_answer  # noqa: SLF001


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", default=".")
    options = parser.parse_args()
    found: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for number in range(options.rounds):
            for name, median in asyncio.run(run(Path(folder), options.count, number)).items():
                found[name].append(median)
            shown = ", ".join(f"{name} {times[-1] * 1e6:.0f}" for name, times in found.items())
            print(f"round {number + 1}: {shown} us (load {load()})", file=sys.stderr)
    appended = found["append + fdatasync"]
    rows = [
        (name, f"{statistics.median(times) * 1e6:.0f}", median_ratio(appended, times))
        for name, times in found.items()
    ]
    table("One critical commit", ("what", "us", "rate against the append"), rows)


if __name__ == "__main__":
    main()
