"""Our outbox and uplink in a process of their own, without the rooms that fill them.

    python bench/ours.py fill  DB RECORDS [long]         store a backlog while offline
    python bench/ours.py drain DB PORT CONFIRM           send it; `urgent` on stdin in between

Says JSON lines: `started`, `urgent` with the seconds from before record() to its confirmation,
`empty` when the outbox has nothing left.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from functools import partial
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agent.contract import topics
from agent.contract.events import Audit, Body, Position
from agent.contract.presence import Presence
from agent.core.clock import SystemClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.store.database import Database
from agent.store.inbox import Inbox
from agent.store.outbox import Outbox
from agent.uplink.link import Link, LinkSettings
from agent.uplink.service import Uplink
from bench.common import DEVICE, positions


class Long(Position, frozen=True, kw_only=True):
    """A position with more readings."""

    sats: int
    alt: float
    hdop: float
    trip: str


def say(**line: object) -> None:
    print(json.dumps(line), flush=True)


class Device:
    def __init__(self, path: Path) -> None:
        self.clock = SystemClock(trusted=True)
        self.health = Health(self.clock)
        self.database = Database(path, self.clock, self.health)
        self.outbox = Outbox(self.database, self.clock, self.health, max_mb=500)

    async def open(self) -> None:
        await self.database.open()
        await self.outbox.open()

    async def close(self) -> None:
        await self.outbox.close()
        await self.database.close()

    def uplink(self, port: int, confirm: str) -> Uplink:
        settings = LinkSettings(
            f"mqtt://127.0.0.1:{port}",
            DEVICE,
            tuple(topics.subscriptions(DEVICE)),
            lambda: self._uplink.will(),
            retry_max_s=1.0,
        )
        self.inbox = Inbox(self.database, self.clock, self.health, self.outbox, {})
        self._uplink = Uplink(
            DEVICE,
            confirm,
            lambda m, u, d: Link(settings, self.clock, on_message=m, on_up=u, on_down=d),
            self.outbox,
            self.inbox,
            self.clock,
            self.health,
            self._presence,
        )
        return self._uplink

    async def _presence(self, state: str) -> Presence:
        return Presence(
            state=state,
            bd_seq=1,
            boot_id="bench",
            agent="0",
            role="rider",
            site="s",
            since=0,
            epoch=self.outbox.epoch,
            streams=await self.outbox.states(),
        )

    def services(self, uplink: Uplink) -> list[asyncio.Future[None]]:
        beat = partial(Heartbeat, clock=self.clock, health=self.health)
        return [
            asyncio.ensure_future(service.run(beat(name)))
            for name, service in (("outbox", self.outbox), ("inbox", self.inbox), ("up", uplink))
        ]


async def fill(path: Path, records: int, long: bool) -> None:
    device = Device(path)
    await device.open()
    type_: type[Body] = Long if long else Position
    for number, body in enumerate(positions(records, long=long)):
        await device.outbox.record(msgspec.convert(body, type_))
        if number % 5000 == 0:
            await device.outbox.flush()
    await device.close()


async def drain(path: Path, port: int, confirm: str) -> None:
    device = Device(path)
    await device.open()
    uplink = device.uplink(port, confirm)
    say(event="started")
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    running = device.services(uplink)
    begun = time.process_time()
    emptied = asyncio.ensure_future(_tell_when_empty(device, begun))
    while await lines.readline():
        before = time.monotonic()
        seq = await device.outbox.record(Audit(action="sos", by="bench"))
        stored = time.monotonic()
        while device.outbox.acked("critical") < seq:
            await asyncio.sleep(0.0005)
        say(event="urgent", s=time.monotonic() - before, commit_s=stored - before)
    for task in (*running, emptied):
        task.cancel()
    await asyncio.gather(*running, emptied, return_exceptions=True)


async def _tell_when_empty(device: Device, begun: float) -> None:
    newest = device.outbox._streams["telemetry"]  # noqa: SLF001 - looked at from within
    while newest.acked < newest.issued:
        await asyncio.sleep(0.005)
    say(event="empty", t=time.monotonic(), cpu_s=time.process_time() - begun)


def main() -> None:
    what, path, *rest = sys.argv[1:]
    if what == "fill":
        asyncio.run(fill(Path(path), int(rest[0]), "long" in rest))
    else:
        asyncio.run(drain(Path(path), int(rest[0]), rest[1]))


if __name__ == "__main__":
    main()
