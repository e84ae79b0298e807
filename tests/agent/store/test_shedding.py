"""What goes when there is no more room: positions thinned, then the oldest; orders never."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise
from math import hypot
from pathlib import Path
from random import Random

import msgspec
import pytest

from agent.contract.events import Audit, Body, ErrorEvent, Fence, Gap, OrderEvent, Position
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.demo.ledger import StreamBook
from agent.positioning.geodesy import moved, offset_m
from agent.positioning.thinning import thin
from agent.store import shedding
from agent.store.database import Database
from agent.store.outbox import SHED_REPORT_S, Outbox, Row
from agent.store.shedding import FREE_BYTES, LEAST_BYTES, WITHIN_M
from tests.system.foreign import Book, Event

ALL = 1 << 30
T0 = 1_800_000_000


def ride(count: int, seed: int = 1) -> Iterator[Position]:
    """A message about each 15 s from somebody who turns, stops and crosses a fence."""
    random, lat, lon, t, course = Random(seed), 31.0, 121.0, T0, 90.0
    for n in range(count):
        t += random.randint(8, 22)
        speed = 0.0 if n % 40 in range(30, 36) else random.uniform(3, 9)
        course = (course + random.gauss(0, 25)) % 360
        lat, lon = moved(lat, lon, speed * 15 * (course < 180), speed * 15 * (course > 90))
        yield Position(
            lat=lat, lon=lon, acc=5.0, speed=speed, course=course, fix_t=t * 1000,
            reason="fence" if n % 97 == 50 else "moved", profile="seed", datum="wgs84",
        )  # fmt: skip


def far_off(position: Position, before: Position, after: Position) -> float:
    """Metres from the straight line, at its time."""
    share = (position.fix_t - before.fix_t) / (after.fix_t - before.fix_t)
    lat = before.lat + share * (after.lat - before.lat)
    lon = before.lon + share * (after.lon - before.lon)
    return hypot(*offset_m(lat, lon, position.lat, position.lon))


class Bench:
    def __init__(self, folder: Path, max_mb: float) -> None:
        self.path, self.max_mb = folder / "agent.db", max_mb
        self.clock = ManualClock(wall=T0)
        self.health = Health(self.clock)
        self.given: dict[int, Body] = {}  # telemetry
        self.told: list[str] = []  # conditions
        self.health.listen(lambda condition, raised: raised and self.told.append(condition.text))

    async def open(self) -> Outbox:
        self.database = Database(self.path, self.clock, self.health)
        await self.database.open()
        self.outbox = Outbox(self.database, self.clock, self.health, max_mb=self.max_mb, thin=thin)
        await self.outbox.open()
        return self.outbox

    async def record(self, body: Body, t: float | None = None) -> int:
        seq = await self.outbox.record(body, t=t)
        if body.STREAM == "telemetry":
            self.given[seq] = body
        return seq

    async def ride(self, count: int, seed: int = 1) -> None:
        for position in ride(count, seed):
            await self.record(position)
        await self.outbox.flush()

    async def keep_within(self) -> None:
        while not await self.outbox._keep_within():
            pass

    async def step(self) -> shedding.Shed:
        return await self.database.write(lambda tx: self.outbox._shedding.step(tx, 0))

    async def rows(self, stream: str = "telemetry") -> list[Row]:
        return await self.outbox.fetch(stream, 0, max_bytes=ALL)  # type: ignore[arg-type]


def run(folder: Path, story: Callable[[Bench], Awaitable[None]], max_mb: float = 200) -> None:
    async def tell() -> None:
        bench = Bench(folder, max_mb)
        await bench.open()
        try:
            await story(bench)
        finally:
            await bench.database.close()

    asyncio.run(tell())


def judge(given: dict[int, Body], rows: list[Row]) -> int:
    """Each number is there or explained, each position near the line; metres of the coarsest."""
    upto, coarsest, thinned = 0, 0, set()
    for row in rows:
        if row.kind == Gap.KIND:
            gap = msgspec.json.decode(row.body, type=Gap)
            assert (gap.first, gap.last) == (upto + 1, row.seq)
            if gap.reason == "thinned":
                thinned |= set(range(gap.first, gap.last + 1))
                coarsest = max(coarsest, gap.within_m or 0)
        else:
            assert row.seq == upto + 1
            assert row.body == msgspec.json.encode(given[row.seq])
        upto = row.seq
    assert upto == max(given)
    kept = {row.seq for row in rows if row.kind == "position"}
    for before, after in pairwise(sorted(kept)):
        ends = given[before], given[after]
        assert isinstance(ends[0], Position)
        assert isinstance(ends[1], Position)
        for seq in thinned & set(range(before, after)):
            position = given[seq]
            assert isinstance(position, Position)
            assert position.reason != "fence"
            assert far_off(position, *ends) <= coarsest * 1.001
    return coarsest


def test_positions_are_thinned_evenly_and_what_is_left_is_a_line_near_all_of_them(
    tmp_path: Path,
) -> None:
    async def story(bench: Bench) -> None:
        await bench.record(OrderEvent(action="picked_up", order_id="A1"))
        for n, position in enumerate(ride(3000)):
            await bench.record(position)
            if n % 100 == 0:
                await bench.record(ErrorEvent(source="gps", counts={"n": n}))
        await bench.record(Fence(fence="shop", event="leave", distance_m=1.0))
        await bench.outbox.flush()
        before = (await bench.outbox._room()).used
        await bench.keep_within()
        room = await bench.outbox._room()
        assert room.used <= room.limit < before
        rows = await bench.rows()
        coarsest = judge(bench.given, rows)
        assert coarsest in WITHIN_M
        assert sum(row.kind == "error" for row in rows) == 30
        assert "positions are thinned to a line within" in bench.told[0]
        assert len(await bench.rows("critical")) == len(await bench.rows("state")) == 1

    run(tmp_path, story, max_mb=0.35)


def test_each_time_more_room_is_needed_the_line_is_coarser(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        await bench.ride(1000)
        steps = []
        while not (shed := await bench.step()).nothing and shed.within_m:
            assert set(shed.counts) == {"position.thinned"}
            steps.append(shed.within_m)
            judge(bench.given, await bench.rows())
        assert steps == sorted(steps)
        assert len(set(steps)) > 3

    run(tmp_path, story)


def test_a_new_part_of_the_ride_is_thinned_before_the_old_one_becomes_coarser(
    tmp_path: Path,
) -> None:
    async def story(bench: Bench) -> None:
        await bench.ride(500)
        assert [(await bench.step()).within_m for _ in range(2)] == [10, 30]
        await bench.outbox.close()
        await bench.database.close()
        await bench.open()  # how far it is thinned outlives the process
        await bench.ride(500, seed=2)
        assert [(await bench.step()).within_m for _ in range(3)] == [10, 30, 70]
        judge(bench.given, await bench.rows())

    run(tmp_path, story)


def test_then_the_oldest_telemetry_goes_then_states_and_orders_never(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        await bench.ride(200)
        for n in range(20):
            await bench.record(Fence(fence="shop", event="enter", distance_m=float(n)))
            await bench.record(OrderEvent(action="accepted", order_id=str(n)))
        await bench.outbox.flush()
        streams: list[str] = []
        while not (shed := await bench.step()).nothing:
            streams.append(shed.stream or "positions")
            judge(bench.given, await bench.rows())
        assert list(dict.fromkeys(streams)) == ["positions", "telemetry", "state"]
        assert [row.kind for row in await bench.rows()] == ["gap"]
        assert [row.kind for row in await bench.rows("state")] == ["gap"]
        assert len(await bench.rows("critical")) == 20

    run(tmp_path, story)


def test_what_was_given_up_is_counted_by_kind_and_told(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        await bench.ride(3000)
        for n in range(1000):
            await bench.record(ErrorEvent(source="gps", counts={"n": n}, text="x" * 300))
        await bench.outbox.flush()
        await bench.keep_within()
        await bench.clock.advance(SHED_REPORT_S)
        await bench.keep_within()
        told = msgspec.json.decode((await bench.rows())[-1].body, type=ErrorEvent)
        gaps = [
            msgspec.json.decode(r.body, type=Gap) for r in await bench.rows() if r.kind == "gap"
        ]
        gone = sum(gap.last - gap.first + 1 for gap in gaps)
        assert told.source == "store"
        assert set(told.counts) >= {"position.thinned", "error.evicted"}
        assert sum(told.counts.values()) == gone

    run(tmp_path, story, max_mb=0.15)


def test_the_moments_of_orders_keep_their_place(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        positions = list(ride(300))
        moment = (positions[120].fix_t + positions[121].fix_t) / 2000
        begin = bench.clock.monotonic()
        await bench.record(OrderEvent(action="picked_up", order_id="A1"), t=begin + moment - T0)
        for position in positions:
            await bench.record(position, t=begin + position.fix_t / 1000 - T0)
        await bench.outbox.flush()
        while (await bench.step()).within_m:
            assert {121, 122} <= {row.seq for row in await bench.rows() if row.kind == "position"}
        assert len(await bench.rows()) < 100

    run(tmp_path, story)


@pytest.mark.parametrize(("free_mb", "sheds"), [(50, False), (6, True), (0, True)])
def test_a_disk_that_others_have_filled_is_not_filled_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_mb: int, sheds: bool
) -> None:
    monkeypatch.setattr(shedding, "LEAST_BYTES", 200_000)
    monkeypatch.setattr(shedding, "FREE_BYTES", 7 << 20)

    async def story(bench: Bench) -> None:
        monkeypatch.setattr(bench.database, "free_bytes", lambda: free_mb << 20)
        await bench.ride(3000)
        await bench.keep_within()
        room = await bench.outbox._room()
        assert room.used <= room.limit
        assert (len(await bench.rows()) < 3000) == sheds
        if sheds:
            assert f"only {free_mb} MB are free on the disk" in bench.told[0]

    run(tmp_path, story)


def test_a_small_backlog_stays_however_full_the_disk_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LEAST_BYTES < FREE_BYTES

    async def story(bench: Bench) -> None:
        monkeypatch.setattr(bench.database, "free_bytes", lambda: 0)
        await bench.ride(1000)
        await bench.record(Audit(action="a", by="b"))
        await bench.keep_within()
        assert len(await bench.rows()) == 1000
        assert not bench.health.conditions()

    run(tmp_path, story)


@pytest.mark.parametrize("arrived", [0, 40, 200])
def test_a_consumer_that_has_a_part_already_has_all_of_it_in_the_end(
    tmp_path: Path, arrived: int
) -> None:
    """Sent, then thinned before the acknowledgement came: the gaps cover what has arrived."""

    async def story(bench: Bench) -> None:
        await bench.ride(300)
        book, ledger = Book(base=0), StreamBook()

        def take(row: Row) -> None:
            event = bench.outbox.event("telemetry", row, batched=True)
            body = msgspec.json.decode(event.body)
            book.take(Event(row.seq, row.kind, event.t, event.tq, body))
            ledger.take(row.seq, hash(row.body))
            if row.kind == Gap.KIND:
                ledger.explain(body["from"], body["to"])

        for row in (await bench.rows())[:arrived]:
            take(row)
        assert (await bench.step()).within_m == 10
        bench.outbox.ack("telemetry", max(0, book.upto - 10))
        for row in await bench.rows():
            take(row)
        assert (book.upto, book.holes()) == (300, [])
        assert (ledger.stored_upto, ledger.holes()) == (300, 0)
        assert not book.disordered[: 0 if arrived else None]

    run(tmp_path, story)
