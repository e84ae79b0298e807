"""Bytes that the outbox writes to the card, a message and a day.

    .venv/bin/python bench/bytes.py [--shop] [--folder DIR]

Each line is a process of its own; counted is `write_bytes` of /proc/self/io over the whole life of
its messages (stored, fetched, acknowledged, deleted). The clock is a manual one, so that a day
takes seconds and the order of transactions is always the same. With `--shop` a whole agent takes,
prints and finishes orders through a real broker, in real time (five minutes).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agent.contract.events import STREAMS, Body, Fence, Health, Position, PrintEvent, Stream
from agent.core import health
from agent.core.clock import ManualClock, settle
from agent.core.supervisor import Heartbeat
from agent.store.database import Database
from agent.store.outbox import Outbox

CONFIRMED_S = 0.1  # from recording to the back end's acknowledgement while there is a link
BATCH = 8 * 1024
MB = 1e6
ORDERS, IDLE_S = 30, 60  # of the shop


def position(n: int) -> Position:
    return Position(
        lat=31.2304 + n / 1e5, lon=121.4737, acc=4.2, speed=6.1, course=93.5, reason="moved",
        fix_t=1_800_000_000_000 + n, profile="seed", datum="wgs84",
    )  # fmt: skip


def fence(n: int) -> Fence:
    return Fence(fence=f"shop-{n % 40:03d}", event="enter", distance_m=88.1)


def printed(n: int) -> PrintEvent:
    return PrintEvent(
        job_id=f"{n:016x}", order_id=f"A-{n}", version=1, station="wok", printer="kitchen", copy=1,
        attempt=1, state="printed", evidence="barrier", duplicate=False,
    )  # fmt: skip


BODY = {"critical": printed, "state": fence, "telemetry": position}


@dataclass
class Card:
    """An outbox, its house-keeping, and a back end at the other end of a link."""

    folder: Path
    online: bool

    async def __aenter__(self):
        self.clock = ManualClock()
        condition = health.Health(self.clock)
        self.database = Database(self.folder / "agent.db", self.clock, condition)
        await self.database.open()
        self.outbox = Outbox(self.database, self.clock, condition, max_mb=200)
        await self.outbox.open()
        beat = Heartbeat("outbox", self.clock, condition)
        self._keeping = asyncio.ensure_future(self.outbox.run(beat))
        self._sent = dict.fromkeys(STREAMS, 0)
        self.begin = written()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)
        await self.outbox.close()
        await self.database.close()

    async def record(self, body: Body) -> None:
        await self.outbox.record(body)
        if self.online:
            await self.wait(CONFIRMED_S)
            await self.drain()

    async def drain(self) -> None:
        """The link takes everything that waits, in batches."""
        for name in STREAMS:
            while rows := await self.outbox.fetch(name, self._sent[name], max_bytes=BATCH):
                self._sent[name] = rows[-1].seq
                self.outbox.ack(name, rows[-1].seq)
                await self.wait(CONFIRMED_S)

    async def wait(self, seconds: float) -> None:
        """Let time pass in the steps of whoever sleeps; the store's thread keeps pace."""
        end = self.clock.monotonic() + seconds
        while (left := end - self.clock.monotonic()) > 0:
            await self.clock.advance(min(left, 0.25))
            for _ in range(2):
                await self.database.read(lambda _: None)
                await settle(3)


def written(pid: int | str = "self") -> int:
    lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["write_bytes"])


async def life(folder: Path, stream: Stream, rate: float, count: int, *, online: bool) -> float:
    """Bytes a message."""
    async with Card(folder, online) as card:
        for n in range(count):
            await card.record(BODY[stream](n))
            await card.wait(1 / rate - (CONFIRMED_S if online else 0))
        if not online:
            await card.wait(10)
            await card.drain()
        await card.wait(10)
        return (written() - card.begin) / count


async def rider_day(folder: Path, *, online: bool) -> float:
    """MB of ten hours: a position each 10 s, a fence each 5 min, a condition each 30 min."""
    async with Card(folder, online) as card:
        for n in range(3600):
            await card.record(position(n))
            if n % 30 == 0:
                await card.record(fence(n))
            if n % 180 == 0:
                await card.record(Health(code="gps.no_fix", state="raised", severity="warning"))
            await card.wait(10)
        await card.drain()
        await card.wait(10)
        return (written() - card.begin) / MB


def cell(folder: Path, how: tuple[str, float, bool]) -> float:
    what, rate, online = how
    with tempfile.TemporaryDirectory(dir=folder) as place:
        if what == "rider":
            return asyncio.run(rider_day(Path(place), online=online))
        count = 1000 if rate >= 20 else 200
        return asyncio.run(life(Path(place), what, rate, count, online=online))


def shop_day(folder: Path) -> None:
    """Orders as a shop has them: taken and accepted, printed, ready; an event for each step."""
    from tests.support import Mosquitto
    from tests.system.foreign import ForeignBackEnd, order
    from tests.system.machines import Agent, Printer, shop_config

    with tempfile.TemporaryDirectory(dir=folder) as place:
        broker = Mosquitto(Path(place))
        printer = Printer(width_dots=384)
        shop = Agent(
            Path(place) / "shop", broker.port, shop_config(f"tcp://127.0.0.1:{printer.port}")
        )
        try:
            with ForeignBackEnd(broker.port) as backend:
                shop.start().ready()
                pid = shop.process.pid
                time.sleep(10)
                begin = written(pid)
                time.sleep(IDLE_S)
                idle = (written(pid) - begin) / IDLE_S
                begin = written(pid)
                for number in range(1, ORDERS + 1):
                    backend.order(shop.device, order(number))
                    time.sleep(2)
                    shop.ask("order.accept", order_id=f"sys-{number:05d}")
                    time.sleep(3)
                    shop.ask("order.ready", order_id=f"sys-{number:05d}")
                    time.sleep(4)
                time.sleep(10)
                an_order = (written(pid) - begin) / ORDERS
                events = len(backend.events) / ORDERS
        finally:
            shop.kill()
            broker.kill()
            printer.close()
    day = (300 * an_order + 12 * 3600 * idle) / MB
    print(
        f"an order: {an_order:,.0f} bytes, {events:.1f} events; idle: {idle:.1f} bytes/s; "
        f"a day of 300 orders in 12 h: {day:.1f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--shop", action="store_true")
    options = parser.parse_args()
    if options.shop:
        shop_day(options.folder)
        return
    rows = [*itertools.product(STREAMS, (20.0, 2.0)), ("rider", 0.0)]
    cells = [(*row, online) for row in rows for online in (True, False)]
    with ProcessPoolExecutor(2, max_tasks_per_child=1) as pool:
        found = list(pool.map(cell, itertools.repeat(options.folder), cells))
    print("| what | link up | link down, drained later |\n|---|---|---|")
    for (what, rate), up, down in zip(rows, found[::2], found[1::2], strict=True):
        if what == "rider":
            print(f"| a rider's day | {up:.2f} MB | {down:.2f} MB |")
        else:
            print(f"| `{what}`, {rate:g}/s | {up:,.0f} bytes a message | {down:,.0f} |")


if __name__ == "__main__":
    main()
