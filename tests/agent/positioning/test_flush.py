"""The link comes back: what waits is told in hindsight first, over a real outbox."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.contract.events import Arrival, OrderEvent, Position
from agent.positioning.privacy import WHEREABOUTS
from agent.positioning.reporting import Report
from agent.store.database import Database, StoreError
from agent.store.outbox import Outbox
from tests.agent.positioning.test_precision import Rider
from tests.support import until


class Offline(Rider):
    """A rider without a link, over a store."""

    async def open(self, folder: Path) -> None:
        self.waits = True
        self.database = Database(folder / "agent.db", self.clock, self.health)
        await self.database.open()
        self.outbox = Outbox(self.database, self.clock, self.health, max_mb=50)
        await self.outbox.open()
        service = self.service
        service._recorder = self.outbox
        service._waits = lambda: self.waits
        service._rewrite = self.outbox.rewrite
        service._moments = self.outbox.moments

    async def waiting(self) -> list[Position]:
        rows = await self.outbox.fetch("telemetry", 0, max_bytes=1 << 24)
        return [msgspec.json.decode(r.body, type=Position) for r in rows if r.kind == Position.KIND]


def play(folder: Path, story: Callable[[Offline], Awaitable[None]]) -> None:
    async def main() -> None:
        rider = Offline()
        await rider.open(folder)
        try:
            async with rider.running():
                await rider.clock.advance(2)  # from here on only the clock is waited for
                await until(lambda: rider.service._backlog._chunk.old, "the first was recorded")
                await story(rider)
        finally:
            await rider.outbox.close()
            await rider.database.close()

    asyncio.run(main())


def test_the_last_minutes_are_told_in_hindsight_before_they_are_sent(tmp_path: Path) -> None:
    async def story(rider: Offline) -> None:
        await rider.clock.advance(400)
        before = await rider.waiting()
        assert await rider.service.tell_anew()
        after = await rider.waiting()
        assert len(after) < 0.8 * len(before)
        assert {p.reason for p in after} == {"trace"}
        assert after[0].fix_t == before[0].fix_t
        assert not await rider.service.tell_anew()  # nothing new to tell

    play(tmp_path, story)


def test_the_device_checks_the_picture_that_the_server_has_now(tmp_path: Path) -> None:
    async def story(rider: Offline) -> None:
        await rider.clock.advance(395)
        assert await rider.service.tell_anew()
        newest = (await rider.waiting())[-1]
        told = rider.service._reporting._told
        assert isinstance(told, Report)
        assert (told.lat, told.lon, told.speed, told.course) == (
            newest.lat, newest.lon, newest.speed, newest.course,
        )  # fmt: skip
        assert told.reason == "trace"

    play(tmp_path, story)


def test_where_an_order_was_handled_is_told(tmp_path: Path) -> None:
    async def story(rider: Offline) -> None:
        moments = []
        for action in ("accepted", "ready", "picked_up", "reconcile", "received"):
            await rider.clock.advance(47)
            body: dict[str, Any] = {"action": action, "order_id": "o-1", "version": 1}
            await rider.outbox.record(msgspec.convert(body, OrderEvent))
            if action != "reconcile":
                moments.append(rider.clock.wall())
        await rider.clock.advance(31)
        await rider.outbox.record(Arrival(place="shop", event="arrived", evidence={}))
        moments.append(rider.clock.wall())
        await rider.clock.advance(60)
        assert await rider.service.tell_anew()
        times = [p.fix_t / 1000 for p in await rider.waiting()]
        for moment in moments:
            assert min(abs(t - moment) for t in times) <= 1.1, moment

    play(tmp_path, story)


def test_a_withdrawal_in_the_midst_of_it_leaves_nothing(tmp_path: Path) -> None:
    """Whichever of the two the store does first."""

    async def story(rider: Offline) -> None:
        moments = rider.outbox.moments

        async def withdrawn(begin: float, end: float) -> list[float]:
            rider.mode = "off"
            rider.service.forget()
            assert await rider.outbox.purge(WHEREABOUTS) > 0
            return await moments(begin, end)

        rider.service._moments = withdrawn
        await rider.clock.advance(300)
        assert not await rider.service.tell_anew()
        assert await rider.waiting() == []
        assert rider.service.last is None
        assert rider.service.whereabouts() is None

    play(tmp_path, story)


def test_nothing_is_told_anew_of_who_is_idle_or_off_duty_meanwhile(tmp_path: Path) -> None:
    async def story(rider: Offline) -> None:
        await rider.clock.advance(100)
        rider.mode = "idle"
        await rider.clock.advance(10)
        told = await rider.waiting()
        assert told[-1].precision == "cell"
        assert not await rider.service.tell_anew()
        assert await rider.waiting() == told
        rider.mode = "delivery"
        await rider.clock.advance(100)
        await rider.service.rest()  # off duty
        told = await rider.waiting()
        assert not await rider.service.tell_anew()
        assert await rider.waiting() == told

    play(tmp_path, story)


def test_the_exact_way_of_before_never_tells_of_the_idle_time_between(tmp_path: Path) -> None:
    async def story(rider: Offline) -> None:
        await rider.clock.advance(60)
        rider.mode = "idle"
        begin = rider.clock.wall()
        await rider.clock.advance(200)
        end = rider.clock.wall()
        rider.mode = "delivery"
        await rider.clock.advance(200)
        assert await rider.service.tell_anew()
        between = [p for p in await rider.waiting() if begin + 1 < p.fix_t / 1000 < end - 1]
        assert {p.precision for p in between} == {"cell"}

    play(tmp_path, story)


def test_a_disk_that_refuses_leaves_what_was_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(rider: Offline) -> None:
        await rider.clock.advance(300)
        told = await rider.waiting()

        async def refuse(*_: Any) -> Any:
            raise StoreError("the card is full")

        with monkeypatch.context() as patch:
            patch.setattr(rider.database, "write", refuse)
            assert not await rider.service.tell_anew()
        assert await rider.waiting() == told

    play(tmp_path, story)
