"""A device without a clock: what it records is dated when the time becomes known, for good."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import pytest

from agent.contract.events import STREAMS, Audit, ErrorEvent, Event, Fence
from agent.core.clock import ManualClock, Quality, settle
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.store.database import Database
from agent.store.outbox import Outbox

UTC = 1_800_000_000.0  # of the first event, in truth
HOUR = 3600.0
BODIES = (
    Audit(action="a", by="test"),
    Fence(fence="f", event="enter", distance_m=1.0),
    ErrorEvent(source="gps"),
)


class Device:
    """Boots and processes come and go; the file stays."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "agent.db"
        self.boots = 0

    def boot(self, *, wall: float = 0.0, quality: Quality = "none") -> None:
        self.boots += 1
        self.clock = ManualClock(wall=wall, monotonic=20.0)
        self.clock.boot_id = f"boot-{self.boots}"
        self.clock.tq = quality

    async def start(self) -> None:
        health = Health(self.clock)
        self.database = Database(self.path, self.clock, health)
        await self.database.open()
        self.outbox = Outbox(self.database, self.clock, health, max_mb=50)
        await self.outbox.open()
        beat = Heartbeat("outbox", self.clock, health)
        self._keeping = asyncio.ensure_future(self.outbox.run(beat))

    async def killed(self) -> None:
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)
        await self.database.close()

    async def wait(self, seconds: float) -> None:
        for step in [0.25] * 40 + [max(0.0, seconds - 10.0)]:
            await self.clock.advance(step)
            await self.database.read(lambda _: None)
            await settle(3)

    async def record(self) -> None:
        for body in BODIES:
            await self.outbox.record(body)

    async def events(self) -> list[Event]:
        """Of all streams, by stream and in order, without gaps."""
        found = []
        for name in STREAMS:
            rows = await self.outbox.fetch(name, 0, max_bytes=1 << 30)
            found += [
                self.outbox.event(name, row, batched=True) for row in rows if row.kind != "gap"
            ]
        return found

    async def times(self) -> set[tuple[float, str]]:
        """Seconds after the first event, and by which clock."""
        events = await self.events()
        for name in STREAMS:
            mine = [event for event in events if event.stream == name]
            assert [e.t for e in mine] == sorted(e.t for e in mine), "out of order"
        return {(e.t / 1000 - UTC, e.tq) for e in events}

    def learn(self, quality: Quality, since_first: float) -> None:
        self.clock.set_wall(UTC + since_first)
        self.clock.tq = quality


def run(folder: Path, story: Callable[[Device], Awaitable[None]]) -> None:
    async def tell() -> None:
        device = Device(folder)
        device.boot()
        await device.start()
        await story(device)
        await device.killed()

    asyncio.run(tell())


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("quality", ["ntp", "gps"])
@pytest.mark.parametrize("jump", [-HOUR, 0.0, 40 * 365 * 86400.0])
def test_events_of_an_hour_without_a_clock_are_dated_when_it_is_set(
    tmp_path: Path, restart: bool, quality: Quality, jump: float
) -> None:
    async def story(device: Device) -> None:
        await device.record()
        await device.wait(HOUR / 2)
        device.clock.set_wall(device.clock.wall() + jump)  # somebody guesses
        await device.record()
        await device.wait(HOUR / 2)
        if restart:
            await device.killed()
            await device.start()
        device.learn(quality, HOUR)
        await device.record()
        assert await device.times() == {(0, quality), (HOUR / 2, quality), (HOUR, quality)}

    run(tmp_path, story)


def test_a_date_once_known_survives_the_next_boot_and_its_clock(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        await device.record()
        await device.wait(HOUR)
        device.learn("gps", HOUR)
        await device.record()  # still no link
        await device.wait(10)
        await device.killed()
        device.boot(wall=UTC - 86400)
        await device.start()
        assert await device.times() == {(0, "gps"), (HOUR, "gps")}
        device.learn("ntp", 2 * HOUR)
        assert await device.times() == {(0, "gps"), (HOUR, "gps")}

    run(tmp_path, story)


def test_what_a_boot_without_any_clock_recorded_keeps_its_guess_and_says_so(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        await device.killed()
        device.boot(wall=UTC - 5 * HOUR)  # systemd starts at the last time that it knew
        await device.start()
        await device.record()
        await device.wait(60)
        await device.record()
        await device.wait(10)
        await device.killed()
        device.boot(wall=UTC, quality="ntp")
        await device.start()
        await device.wait(10)
        assert await device.times() == {(-5 * HOUR, "none"), (-5 * HOUR + 60, "none")}

    run(tmp_path, story)


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
def test_a_jump_of_a_known_clock_moves_no_event_that_is_recorded(
    tmp_path: Path, jump: float
) -> None:
    async def story(device: Device) -> None:
        device.learn("ntp", 0)
        await device.outbox.record(BODIES[0])
        await device.wait(60)
        device.clock.set_wall(device.clock.wall() + jump)
        await device.outbox.record(BODIES[0])
        first, second = await device.events()
        assert (first.seq, second.seq) == (1, 2)
        assert (first.t, second.t) == (UTC * 1000, (UTC + 60 + jump) * 1000)

    run(tmp_path, story)


def test_a_clock_that_jumps_all_day_changes_no_order_and_no_interval(tmp_path: Path) -> None:
    """Groups are committed as late as ever and quotas are looked at as often; numbers rise."""

    async def story(device: Device) -> None:
        device.learn("ntp", 0)
        random = Random(7)
        for n in range(60):
            device.clock.set_wall(UTC + random.uniform(-1, 1) * 400 * 86400)
            assert (
                await device.outbox.record(Fence(fence="f", event="enter", distance_m=n)) == n + 1
            )
            for _ in range(4):  # a group of states waits for 0.5 s, looked at each 0.25 s
                await device.clock.advance(0.25)
                await device.database.read(lambda _: None)
                await settle(3)
            stored = await device.database.read(
                lambda tx: tx.execute("SELECT count(*), max(seq) FROM state").fetchone()
            )
            assert stored == (n + 1, n + 1)
        rows = await device.outbox.fetch("state", 0, max_bytes=1 << 30)
        assert [row.seq for row in rows] == list(range(1, 61))

    run(tmp_path, story)
