"""kill -9 while printing: how many tickets are lost, doubled silently, or doubled with a banner.

    PYTHONPATH=. .venv/bin/python bench/kills.py [--orders 200] [--seconds 60] [--evidence counter]

The printer is the virtual one in a process that lives on. Each life of the agent is a fork of a
warm process, so that kills hit the printing and not the start of Python.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from agent.config import PrinterConfig
from agent.contract.orders import Item, Order
from agent.core.clock import SystemClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.printing import spool
from agent.printing.desk import PrintingDesk
from agent.printing.devices import open_printer
from agent.printing.service import PrinterService
from agent.store.database import Database


def printer(port, folder: str) -> None:
    """Every ticket that comes out is written down at once."""
    from drivers.printer.simulated import serve
    from drivers.printer.virtual import VirtualPrinter

    virtual = VirtualPrinter()
    seen = 0

    def note() -> None:
        nonlocal seen
        with (Path(folder) / "paper.jsonl").open("a", encoding="utf-8") as file:
            for paper in virtual.paper[seen:]:
                file.write(json.dumps(paper.plain) + "\n")
        seen = len(virtual.paper)

    async def main() -> None:
        virtual.listen(note)
        async with serve(virtual) as number:
            port.value = number
            await asyncio.Event().wait()

    asyncio.run(main())


class Notes:
    def put(self, tx, body, *, t=None) -> int:  # noqa: ARG002 - the port
        return 1


async def life(
    folder: str, port: int, orders: int, told: Sequence[int], evidence: str, *, run: bool
) -> None:
    """Be told of some orders, perhaps again, and print until all are printed."""
    clock = SystemClock()
    health = Health(clock)
    database = Database(Path(folder) / "agent.db", clock, health)
    await database.open()
    config = PrinterConfig(
        name="kitchen",
        uri=f"tcp://127.0.0.1:{port}",
        evidence=evidence,
        exclusive=evidence == "counter",
    )
    notes = Notes()
    service = PrinterService(
        config, open_printer=open_printer, clock=clock, database=database, recorder=notes,
        health=health,
    )  # fmt: skip
    desk = PrintingDesk([service], clock=clock, database=database, recorder=notes)
    items = [Item(name="宫保鸡丁", qty=2), Item(name="米饭", qty=2)]

    def insert(tx) -> None:
        for n in told:
            order = Order(
                order_id=f"K-{n}", version=1, status="pending", placed_at=1, items=items, day_seq=n
            )
            desk.on_order(tx, order, None, int(clock.wall() * 1000))

    await database.write(insert)
    if not run:
        await database.close()
        return
    running = asyncio.ensure_future(service.run(Heartbeat(service.name, clock, health)))
    while True:
        counts = await database.read(spool.counts)
        for job in await database.read(lambda tx: spool.in_state(tx, "kitchen", "parked")):
            await desk.reprint(job.job_id, by="bench")
        if sum(n for (_, state), n in counts.items() if state == "printed") == orders:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            return
        await asyncio.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--evidence", choices=["barrier", "job_id", "counter"], default="barrier")
    options = parser.parse_args()
    rng = random.Random(1)
    kills = 0
    with tempfile.TemporaryDirectory() as folder:
        port = multiprocessing.Value("i", 0)
        device = multiprocessing.Process(target=printer, args=(port, folder), daemon=True)
        device.start()
        while not port.value:
            time.sleep(0.01)
        every = range(options.orders)
        asyncio.run(life(folder, port.value, options.orders, every, options.evidence, run=False))
        end = time.monotonic() + options.seconds
        while True:
            again = rng.sample(every, 3)
            child = os.fork()
            if child == 0:
                asyncio.run(
                    life(folder, port.value, options.orders, again, options.evidence, run=True)
                )
                os._exit(0)
            if time.monotonic() > end:
                os.waitpid(child, 0)
                break
            time.sleep(rng.uniform(0.03, 0.09))
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            if os.WIFEXITED(status):
                break
            kills += 1
        papers = [json.loads(line) for line in (Path(folder) / "paper.jsonl").open()]
        device.terminate()
    report(papers, options.orders, kills)


def report(papers: list[str], orders: int, kills: int) -> None:
    plain: collections.Counter[str] = collections.Counter()
    flagged: collections.Counter[str] = collections.Counter()
    for paper in papers:
        marked = False
        for line in paper.splitlines():
            marked = marked or "POSSIBLE DUPLICATE" in line
            if line.startswith("K-"):
                (flagged if marked else plain)[line] += 1
    names = {f"K-{n} v1" for n in range(orders)}
    lost = names - set(plain) - set(flagged)
    doubled = [name for name, count in plain.items() if count > 1]
    again = sum(plain[name] + flagged[name] - 1 for name in plain | flagged)
    print(
        f"{kills} kills, {orders} orders, {len(papers)} papers: {len(lost)} lost, "
        f"{len(doubled)} unflagged duplicates, {sum(flagged.values())} flagged "
        f"({again} tickets came out a second time)"
    )
    sys.exit(bool(lost or doubled))


if __name__ == "__main__":
    main()
