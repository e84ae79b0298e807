"""One critical event stored, against appending the same bytes to a file with fdatasync.

    .venv/bin/python bench/commit.py [--count 400] [--rounds 5] [--folder .]

One after the other on the same disk, in turns of 50. The append writes what the event is as a line
on the wire. Ours twice: the transaction in the store's thread, and the whole of `await record()`,
which is two changes of thread more.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agent.contract.events import PrintEvent
from agent.contract.wire import encode
from bench.common import load, median_ratio, table
from bench.ours import Device

TURN = 50
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


async def run(folder: Path, count: int, number: int) -> tuple[float, float, float]:
    """Median seconds: record(), its transaction, the append."""
    device = Device(folder / f"{number}.db")
    inside: list[float] = []
    commit = device.database._commit  # noqa: SLF001 - looked at from within

    def timed_commit(disk: object, group: list) -> None:
        start = time.perf_counter()
        commit(disk, group)
        inside.append(time.perf_counter() - start)

    device.database._commit = timed_commit  # noqa: SLF001
    await device.open()
    line = encode(EVENT) + b"\n" + b" " * 100  # the envelope
    file = os.open(folder / f"{number}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def append() -> None:
        os.write(file, line)
        os.fdatasync(file)

    async def record() -> None:
        await device.outbox.record(EVENT)

    ours: list[float] = []
    plain: list[float] = []
    await timed(20, record)
    await timed(20, append)
    inside.clear()
    for _ in range(count // TURN):
        ours += await timed(TURN, record)
        plain += await timed(TURN, append)
    os.close(file)
    await device.close()
    return statistics.median(ours), statistics.median(inside), statistics.median(plain)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", default=".")
    options = parser.parse_args()
    found: list[tuple[float, float, float]] = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for number in range(options.rounds):
            found.append(asyncio.run(run(Path(folder), options.count, number)))
            shown = ", ".join(f"{seconds * 1e6:.0f}" for seconds in found[-1])
            print(f"round {number + 1}: {shown} us (load {load()})", file=sys.stderr)
    recorded, committed, appended = map(list, zip(*found, strict=True))
    rows = [
        (what, f"{statistics.median(times) * 1e6:.0f}", median_ratio(appended, times))
        for what, times in (
            ("append + fdatasync", appended),
            ("our transaction", committed),
            ("our `await record()`", recorded),
        )
    ]
    table("One critical commit", ("what", "us", "rate against the append"), rows)


if __name__ == "__main__":
    main()
