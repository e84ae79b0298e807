"""Whereabouts that may no longer be sent are taken back, and nothing of them stays on the card."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.contract.events import Audit, Fence, Gap, Health, Position
from agent.store.outbox import Outbox
from agent.store.purging import gaps
from tests.agent.store.test_outbox import ALL, Bench, run

WHEREABOUTS = {"position", "fence", "arrival"}
MARK = "31.1234567"  # in every position here, and nowhere else


def position(n: int) -> Position:
    return Position(
        lat=float(MARK), lon=121.0 + n / 1e4, acc=5.0, speed=6.0, course=90.0, fix_t=n,
        reason="moved", profile="seed", datum="wgs84",
    )  # fmt: skip


def sick(n: int) -> Health:
    return Health(code=f"gps.{n}", state="raised", severity="warning")


async def story_of(outbox: Outbox) -> list[tuple[int, str, tuple[int, int] | None]]:
    """seq, kind, and what a gap explains."""
    rows = await outbox.fetch("telemetry", 0, max_bytes=ALL)
    found: list[tuple[int, str, tuple[int, int] | None]] = []
    for row in rows:
        gap = msgspec.json.decode(row.body, type=Gap) if row.kind == "gap" else None
        assert gap is None or gap.reason == "purged"
        found.append((row.seq, row.kind, gap and (gap.first, gap.last)))
    return found


async def fill(bench: Bench, outbox: Outbox, *, on_disk: int, in_memory: int) -> None:
    """Positions, with a health event behind each third one."""
    for n in range(on_disk + in_memory):
        if n == on_disk:
            await outbox.flush()
        await outbox.record(position(n))
        if n % 3 == 2:
            await outbox.record(sick(n))
    if not in_memory:
        await outbox.flush()


@pytest.mark.parametrize(("on_disk", "in_memory"), [(7, 0), (0, 7), (4, 3)])
def test_one_gap_stands_for_each_run_and_the_rest_stays(
    tmp_path: Path, on_disk: int, in_memory: int
) -> None:
    async def story(bench: Bench) -> None:
        outbox = bench.outbox
        await fill(bench, outbox, on_disk=on_disk, in_memory=in_memory)
        await outbox.record(Fence(fence="shop", event="enter", distance_m=99.0))
        await outbox.record(Audit(action="a", by="test"))
        assert await outbox.purge(WHEREABOUTS) == 8
        found = await story_of(outbox)
        assert [kind for _, kind, _ in found if kind != "gap"] == ["health", "health"]
        explained = {n for _, _, gap in found if gap for n in range(gap[0], gap[1] + 1)}
        healthy = {seq for seq, kind, _ in found if kind == "health"}
        assert explained | healthy == set(range(1, 10))
        assert not explained & healthy
        (fence,) = await outbox.fetch("state", 0, max_bytes=ALL)
        assert fence.kind == "gap"
        assert [row.kind for row in await outbox.fetch("critical", 0, max_bytes=ALL)] == ["audit"]

    run(tmp_path, story)


def test_nothing_of_them_is_left_on_the_disk(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        outbox = bench.outbox
        await fill(bench, outbox, on_disk=900, in_memory=0)
        outbox.ack("telemetry", 300)  # those were received: deleted in the usual way
        await outbox.flush()
        await outbox.record(position(1))
        assert MARK.encode() in on_card(bench)
        assert await outbox.purge(WHEREABOUTS) > 600
        assert MARK.encode() not in on_card(bench)
        await outbox.flush()
        await bench.crash()
        assert {kind for _, kind in bench.rows("telemetry")} == {"gap", "health"}
        assert MARK.encode() not in on_card(bench)

    run(tmp_path, story)


def on_card(bench: Bench) -> bytes:
    return b"".join(file.read_bytes() for file in bench.path.parent.glob("agent.db*"))


def test_a_group_that_is_being_committed_meanwhile_does_not_escape(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        outbox = bench.outbox
        for n in range(20):
            await outbox.record(position(n))
        async with asyncio.TaskGroup() as group:
            group.create_task(outbox.flush())
            group.create_task(outbox.purge(WHEREABOUTS))
        assert await story_of(outbox) == [(20, "gap", (1, 20))]
        await outbox.flush()
        assert bench.rows("telemetry") == [(20, "gap")]

    run(tmp_path, story)


def test_a_gap_in_memory_hides_nothing_that_has_just_moved_to_the_disk(tmp_path: Path) -> None:
    """The sender reads, a group is committed meanwhile, and what follows it is taken back."""

    async def story(bench: Bench) -> None:
        outbox, read = bench.outbox, bench.database.read
        await outbox.record(sick(1))
        await outbox.flush()
        await outbox.record(sick(2))
        await outbox.record(position(3))

        async def slowly(act: Any) -> Any:
            rows = await read(act)
            bench.database.read = read  # type: ignore[method-assign]
            await outbox.flush()
            await outbox.record(position(4))
            await outbox.purge(WHEREABOUTS)
            return rows

        bench.database.read = slowly  # type: ignore[method-assign]
        rows = await outbox.fetch("telemetry", 0, max_bytes=ALL)
        assert [row.seq for row in rows] == [1]  # 2 is not skipped, but read next
        assert [seq for seq, _, _ in await story_of(outbox)] == [1, 2, 3, 4]

    run(tmp_path, story)


def test_who_has_read_them_hears_of_it_before_the_file_is_written_anew(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        heard: list[str] = []
        outbox, scrub = bench.outbox, bench.database.scrub
        await fill(bench, outbox, on_disk=3, in_memory=0)
        outbox.taken_back = lambda: heard.append("taken back")

        async def scrubbed() -> None:
            heard.append("scrub")
            await scrub()

        bench.database.scrub = scrubbed  # type: ignore[method-assign]
        await outbox.purge(WHEREABOUTS)
        assert heard == ["taken back", "scrub"]

    run(tmp_path, story)


def test_what_is_recorded_afterwards_is_sent(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        outbox = bench.outbox
        await outbox.record(position(1))
        assert await outbox.purge(WHEREABOUTS) == 1
        assert await outbox.purge(WHEREABOUTS) == 0
        await outbox.record(position(2))
        assert [row.kind for row in await outbox.fetch("telemetry", 0, max_bytes=ALL)] == [
            "gap",
            "position",
        ]

    run(tmp_path, story)


@given(st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["position", "health"]))))
def test_gaps_explain_what_goes_and_nothing_else(rows: list[tuple[int, str]]) -> None:
    ordered = sorted(dict(rows).items())
    found = gaps(ordered, {"position"})
    explained = [n for gap in found for n in range(gap.first, gap.last + 1)]
    assert explained == [seq for seq, kind in ordered if kind == "position"]
    assert all(a.last + 1 < b.first for a, b in pairwise(found))
