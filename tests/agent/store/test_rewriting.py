"""Positions that wait are told anew in fewer events, and every number stays explained."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agent.contract.events import Gap, Health, Position
from agent.core.clock import ManualClock
from agent.core.health import Health as HealthBook
from agent.store.database import Database
from agent.store.outbox import Outbox, Row
from agent.store.rewriting import places

ALL = 1 << 30


def position(n: float, reason: str = "moved") -> Position:
    return msgspec.convert(
        {
            "lat": 31.0, "lon": 121.0, "acc": 5.0, "speed": 6.0, "course": 90.0,
            "fix_t": round(n * 1000), "reason": reason, "profile": "seed", "datum": "wgs84",
        },
        Position,
    )  # fmt: skip


@dataclass
class Bench:
    outbox: Outbox
    clock: ManualClock

    async def record(self, *times: float) -> list[tuple[int, float]]:
        return [(await self.outbox.record(position(t), t=t), t) for t in times]

    async def rows(self) -> list[Row]:
        return await self.outbox.fetch("telemetry", 0, max_bytes=ALL)


def run(folder: Path, story: Callable[[Bench], Awaitable[None]]) -> None:
    async def tell() -> None:
        clock = ManualClock()
        health = HealthBook(clock)
        database = Database(folder / "agent.db", clock, health)
        await database.open()
        outbox = Outbox(database, clock, health, max_mb=10)
        await outbox.open()
        try:
            await story(Bench(outbox, clock))
        finally:
            await database.close()

    asyncio.run(tell())


def shape(rows: list[Row]) -> list[tuple[int, str, object]]:
    """Seq, kind, and the second that a position tells of or the hole that a gap explains."""
    found: list[tuple[int, str, object]] = []
    for row in rows:
        what: object = None
        if row.kind == "position":
            what = msgspec.json.decode(row.body, type=Position).fix_t / 1000
        elif row.kind == "gap":
            gap = msgspec.json.decode(row.body, type=Gap)
            what = (gap.first, gap.last, gap.reason, gap.within_m)
        found.append((row.seq, row.kind, what))
    return found


def test_few_points_take_the_place_of_many_in_order(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        old = await bench.record(0, 10, 20)
        await bench.outbox.record(Health(code="x", state="raised", severity="info"))
        old += await bench.record(30, 40)
        new = [(t, position(t, "trace")) for t in (0.0, 22.0)]
        assert await bench.outbox.rewrite(old, new, within_m=10)
        assert shape(await bench.rows()) == [
            (1, "position", 0.0),
            (2, "gap", (2, 2, "thinned", 10)),
            (3, "position", 22.0),
            (4, "health", None),
            (6, "gap", (5, 6, "thinned", 10)),
        ]
        later = await bench.record(50)
        assert later[0][0] == 7

    run(tmp_path, story)


def test_what_is_gone_or_would_not_be_fewer_is_left_alone(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        old = await bench.record(0, 10, 20)
        before = shape(await bench.rows())
        many = [(float(t), position(t)) for t in range(4)]
        assert not await bench.outbox.rewrite(old, many, within_m=10)
        assert not await bench.outbox.rewrite([], [], within_m=10)
        assert shape(await bench.rows()) == before
        bench.outbox.ack("telemetry", 1)
        assert not await bench.outbox.rewrite(old, many[:1], within_m=10)
        bench.outbox.ack("telemetry", 2)
        await bench.outbox.flush()
        assert [seq for seq, _, _ in shape(await bench.rows())] == [3]

    run(tmp_path, story)


def test_a_purge_in_between_is_not_undone(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        old = await bench.record(0, 10, 20)
        await bench.outbox.purge(["position"])
        assert not await bench.outbox.rewrite(old, [(0.0, position(0))], within_m=10)
        assert [kind for _, kind, _ in shape(await bench.rows())] == ["gap"]

    run(tmp_path, story)


@given(
    st.lists(st.integers(0, 500), min_size=1, max_size=30, unique=True),
    st.lists(st.integers(0, 500), max_size=30, unique=True),
)
def test_the_places_rise_and_are_as_early_as_they_must(old: list[int], new: list[int]) -> None:
    chosen = places([(n, float(t)) for n, t in enumerate(sorted(old))], sorted(map(float, new)))
    if len(new) > len(old):
        assert chosen is None
        return
    assert chosen is not None
    assert len(chosen) == len(new)
    assert all(a < b for a, b in pairwise(chosen))
    assert all(0 <= i < len(old) for i in chosen)
