"""One life of an agent's store, as a process: python life.py FOLDER SEED

It records, commits, is acknowledged and forgets, in an order that the seed decides, over FOLDER's
agent.db; what an earlier life left is gone on with. Whatever the outbox promises is written to
FOLDER/promises at once, a JSON array a line:

    ["begin"]                 a life begins
    ["try", id]               about to record the critical event `id`
    ["given", stream, seq, id]  this number is out in the world (for critical: and on the disk)
    ["kept", stream, seq]     everything given up to this number is on the disk
    ["ack", stream, seq]      about to be acknowledged up to here
    ["stopped"]               a clean stop is over
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.contract.events import STREAMS, Audit, Body, ErrorEvent, Fence, Stream
from agent.core.clock import ManualClock, settle
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.store.database import Database
from agent.store.outbox import Outbox

STEPS = 60
ALL = 1 << 30
_ORDER = """INSERT OR REPLACE INTO orders (order_id, version, status, stage, received, document)
VALUES (?, 1, 'pending', 'received', 0, ?)"""


def body(stream: Stream, name: str, size: int) -> Body:
    match stream:
        case "critical":
            return Audit(action=name, by="x" * size)
        case "state":
            return Fence(fence=name, event="enter", distance_m=1.0)
    return ErrorEvent(source=name, text="x" * size)


class Life:
    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.dice = random.Random(seed)
        self.names = (f"{seed}-{n}" for n in itertools.count())
        self.clock = ManualClock()
        self.promises = os.open(folder / "promises", os.O_WRONLY | os.O_CREAT, 0o600)
        os.lseek(self.promises, 0, os.SEEK_END)
        os.write(self.promises, b"\n")  # an earlier life may have died in the middle of a line
        self.say("begin")

    def say(self, *what: object) -> None:
        os.write(self.promises, json.dumps(what).encode() + b"\n")

    async def run(self) -> None:
        health = Health(self.clock)
        self.database = Database(self.folder / "agent.db", self.clock, health)
        await self.database.open()
        self.outbox = Outbox(self.database, self.clock, health, max_mb=50)
        await self.outbox.open()
        keeping = asyncio.ensure_future(
            self.outbox.run(Heartbeat("outbox", self.clock, health))
        )  # fmt: skip
        acts = [self.critical] * 4 + [self.grouped] * 5 + [self.order, self.fails]
        acts += [self.flush, self.ack, self.ack, self.wait, self.wait]
        for _ in range(STEPS):
            await self.dice.choice(acts)()
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await self.outbox.close()
        await self.database.close()
        self.say("stopped")

    async def critical(self) -> None:
        name = next(self.names)
        self.say("try", name)
        event = body("critical", name, self.dice.choice((10, 300, 3000)))
        self.say("given", "critical", await self.outbox.record(event), name)

    async def grouped(self) -> None:
        stream: Stream = self.dice.choice(("state", "telemetry"))
        for _ in range(self.dice.choice((1, 1, 12))):
            name = next(self.names)
            seq = await self.outbox.record(body(stream, name, self.dice.choice((10, 900))))
            self.say("given", stream, seq, name)

    async def order(self) -> None:
        """An order and two events of it in one transaction."""
        names = [next(self.names), next(self.names)]
        for name in names:
            self.say("try", name)

        def store(tx: sqlite3.Connection) -> Sequence[int]:
            tx.execute(_ORDER, (names[0], b"o" * self.dice.choice((500, 9000))))
            return [self.outbox.put(tx, body("critical", name, 100)) for name in names]

        for seq, name in zip(await self.database.write(store), names, strict=True):
            self.say("given", "critical", seq, name)

    async def fails(self) -> None:
        def fail(tx: sqlite3.Connection) -> None:
            self.outbox.put(tx, body("critical", "never", 100))
            raise KeyError

        with contextlib.suppress(KeyError):
            await self.database.write(fail)

    async def flush(self) -> None:
        newest = {}
        for name in STREAMS:
            if rows := await self.outbox.fetch(name, 0, max_bytes=ALL):
                newest[name] = rows[-1].seq
        await self.outbox.flush()
        for name, seq in newest.items():
            self.say("kept", name, seq)

    async def ack(self) -> None:
        stream = self.dice.choice(STREAMS)
        if rows := await self.outbox.fetch(stream, 0, max_bytes=ALL):
            seq = self.dice.choice(rows).seq
            self.say("ack", stream, seq)
            self.outbox.ack(stream, seq)

    async def wait(self) -> None:
        for _ in range(self.dice.choice((1, 3, 21))):
            await self.clock.advance(0.25)
            await self.database.read(lambda _: None)
            await settle(2)


if __name__ == "__main__":
    asyncio.run(Life(Path(sys.argv[1]), int(sys.argv[2])).run())
