"""The outbox: order, keys, groups, gaps, quota."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.contract.events import Audit, Fence, Gap, Position
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.store import refuge
from agent.store.database import Database
from agent.store.outbox import BLOCK, Outbox
from tests.support import disk_that_takes

ALL = 1 << 30


def position(n: int) -> Position:
    return Position(
        lat=31.0, lon=121.0 + n / 1e4, acc=5.0, speed=6.0, course=90.0, fix_t=n,
        reason="moved", profile="seed", datum="wgs84",
    )  # fmt: skip


class Bench:
    """An outbox over a real file, which can be dropped as a power cut drops it."""

    def __init__(self, folder: Path, *, max_mb: float = 200.0) -> None:
        self.path = folder / "agent.db"
        self.max_mb = max_mb
        self.clock = ManualClock()
        self.health = Health(self.clock)

    async def open(self) -> Outbox:
        self.database = Database(self.path, self.clock, self.health)
        await self.database.open()
        self.outbox = Outbox(self.database, self.clock, self.health, max_mb=self.max_mb)
        await self.outbox.open()
        return self.outbox

    async def crash(self) -> None:
        """What was not committed is gone."""
        await self.database.close()

    def rows(self, table: str) -> list[tuple[int, str]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(f"SELECT seq, kind FROM {table} ORDER BY seq").fetchall()


def run(folder: Path, story: Callable[[Bench], Awaitable[None]], **how: float) -> None:
    async def tell() -> None:
        bench = Bench(folder, **how)
        await bench.open()
        try:
            await story(bench)
        finally:
            await bench.database.close()

    asyncio.run(tell())


def test_a_critical_event_is_on_the_disk_when_record_returns(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        seq = await bench.outbox.record(Audit(action="a", by="test"))
        assert bench.rows("critical") == [(seq, "audit")]

    run(tmp_path, story)


def test_a_grouped_event_can_be_sent_at_once_and_reaches_the_disk_later(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        await bench.outbox.record(position(1))
        assert bench.rows("telemetry") == []
        assert [r.seq for r in await bench.outbox.fetch("telemetry", 0, max_bytes=ALL)] == [1]
        await bench.outbox.flush()
        assert bench.rows("telemetry") == [(1, "position")]
        assert [r.seq for r in await bench.outbox.fetch("telemetry", 0, max_bytes=ALL)] == [1]

    run(tmp_path, story)


def test_what_is_confirmed_in_time_never_costs_a_write(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        for n in range(5):
            await bench.outbox.record(position(n))
        bench.outbox.ack("telemetry", 5)
        await bench.outbox.flush()
        assert bench.rows("telemetry") == []

    run(tmp_path, story)


def test_the_house_keeping_commits_a_group_when_its_time_is_over(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        task = asyncio.ensure_future(
            bench.outbox.run(Heartbeat("outbox", bench.clock, bench.health))
        )
        await bench.outbox.record(Fence(fence="f", event="enter", distance_m=1.0))
        await bench.outbox.record(position(1))
        await asyncio.sleep(0)
        for _ in range(4):
            await bench.clock.advance(0.25)
        while not bench.rows("state"):
            await asyncio.sleep(0.01)
        task.cancel()
        assert bench.rows("state") == [(1, "fence")]

    run(tmp_path, story)


def test_a_number_that_may_have_been_sent_is_never_given_out_twice(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        for n in range(3):
            await bench.outbox.record(position(n))
        await bench.outbox.flush()
        for n in range(3):
            await bench.outbox.record(position(n))  # sent live, lost with the power
        await bench.crash()
        outbox = await bench.open()
        rows = await outbox.fetch("telemetry", 0, max_bytes=ALL)
        assert [row.seq for row in rows] == [1, 2, 3, BLOCK]
        gap = msgspec.json.decode(rows[-1].body, type=Gap)
        assert (gap.first, gap.last, gap.reason) == (4, BLOCK, "restart")
        assert await outbox.record(position(9)) == BLOCK + 1

    run(tmp_path, story)


def test_the_backlog_counts_events_and_not_the_numbers_a_crash_left_unused(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        for n in range(3):
            await bench.outbox.record(position(n))
        await bench.outbox.flush()
        await bench.outbox.record(position(3))
        assert (await bench.outbox.backlog())["telemetry"] == 4
        await bench.crash()
        outbox = await bench.open()
        assert (await outbox.backlog())["telemetry"] == 4  # three positions and the gap
        await outbox.record(Audit(action="x", by="y"))
        assert (await outbox.backlog())["critical"] == 1

    run(tmp_path, story)


def test_a_clean_stop_leaves_nothing_to_explain(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        for n in range(3):
            await bench.outbox.record(position(n))
        await bench.outbox.close()
        await bench.crash()
        outbox = await bench.open()
        rows = await outbox.fetch("telemetry", 0, max_bytes=ALL)
        assert [row.seq for row in rows] == [1, 2, 3]
        assert await outbox.record(position(9)) == 4

    run(tmp_path, story)


def test_what_is_recorded_while_the_outbox_closes_is_kept(tmp_path: Path) -> None:
    async def last_words(bench: Bench) -> None:
        flush = bench.outbox.flush

        async def slowly(*names: Any) -> None:
            await flush(*names)
            bench.outbox.flush = flush  # type: ignore[method-assign]
            await bench.outbox.record(position(2))

        await bench.outbox.record(position(1))
        bench.outbox.flush = slowly  # type: ignore[method-assign]
        await bench.outbox.close()

    async def after(bench: Bench) -> None:
        rows = await bench.outbox.fetch("telemetry", 0, max_bytes=ALL)
        assert [(row.seq, row.kind) for row in rows] == [(1, "position"), (2, "position")]

    run(tmp_path, last_words)
    run(tmp_path, after)


def test_acknowledged_rows_leave_with_the_next_critical_event(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        for _ in range(3):
            await bench.outbox.record(Audit(action="a", by="test"))
        await bench.outbox.fetch("critical", 0, max_bytes=ALL)
        bench.outbox.ack("critical", 2)
        assert len(bench.rows("critical")) == 3
        await bench.outbox.record(Audit(action="b", by="test"))
        assert [seq for seq, _ in bench.rows("critical")] == [3, 4]
        await bench.crash()
        outbox = await bench.open()
        assert outbox.acked("critical") == 2

    run(tmp_path, story)


def test_an_acknowledgement_of_what_was_never_issued_forgets_nothing(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        await bench.outbox.record(position(1))
        bench.outbox.ack("telemetry", 10**9)
        assert bench.outbox.acked("telemetry") == 0
        bench.outbox.ack("telemetry", 1)
        assert bench.outbox.acked("telemetry") == 1

    run(tmp_path, story)


def test_a_stop_after_confirmations_in_memory_leaves_nothing_to_explain(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        for n in range(3):
            await bench.outbox.record(position(n))
        bench.outbox.ack("telemetry", 3)
        await bench.outbox.close()
        await bench.crash()
        outbox = await bench.open()
        assert outbox.acked("telemetry") == 3
        assert await outbox.fetch("telemetry", 0, max_bytes=ALL) == []

    run(tmp_path, story)


def test_what_is_confirmed_is_not_fetched_again_and_what_follows_is(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        for n in range(4):
            await bench.outbox.record(position(n))
        bench.outbox.ack("telemetry", 2)  # of an earlier connection; the sender still stands at 0
        assert [r.seq for r in await bench.outbox.fetch("telemetry", 0, max_bytes=ALL)] == [3, 4]
        await bench.outbox.flush()
        bench.outbox.ack("telemetry", 3)
        assert [r.seq for r in await bench.outbox.fetch("telemetry", 0, max_bytes=ALL)] == [4]

    run(tmp_path, story)


def test_a_transaction_that_fails_forgets_nothing_for_good(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        def fails(tx: sqlite3.Connection) -> None:
            bench.outbox.put(tx, Audit(action="lost", by="test"))
            raise KeyError("no")

        await bench.outbox.record(Audit(action="a", by="test"))
        await bench.outbox.fetch("critical", 0, max_bytes=ALL)
        bench.outbox.ack("critical", 1)
        with pytest.raises(KeyError):
            await bench.database.write(fails)
        assert bench.rows("critical") == [(1, "audit")]
        await bench.outbox.flush()
        assert bench.rows("critical") == []

    run(tmp_path, story)


def test_a_transaction_that_fails_issues_no_number(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        def fails(tx: sqlite3.Connection) -> None:
            bench.outbox.put(tx, Audit(action="lost", by="test"))
            raise KeyError("no")

        with pytest.raises(KeyError):
            await bench.database.write(fails)
        assert await bench.outbox.record(Audit(action="kept", by="test")) == 1
        assert bench.rows("critical") == [(1, "audit")]

    run(tmp_path, story)


def test_a_full_store_gives_up_the_oldest_positions_and_says_so(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        for n in range(4000):
            await bench.outbox.record(position(n))
        await bench.outbox.record(Audit(action="order", by="test"))
        await bench.outbox.flush()
        told = []
        bench.health.listen(lambda condition, raised: told.append((condition.code, raised)))
        while not await bench.outbox._keep_within():
            pass
        rows = await bench.outbox.fetch("telemetry", 0, max_bytes=ALL)
        gap = msgspec.json.decode(rows[0].body, type=Gap)
        assert rows[0].kind == "gap"
        assert (gap.first, gap.last) == (1, rows[0].seq)
        assert [row.seq for row in rows[1:]] == list(range(rows[0].seq + 1, 4001))
        assert len(bench.rows("critical")) == 1
        assert told[0] == ("store.full", True)

    run(tmp_path, story, max_mb=0.5)


def test_memory_takes_less_than_the_disk_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refuge, "LIMIT_BYTES", 300_000)

    async def story(bench: Bench) -> None:
        with disk_that_takes(0):
            for n in range(3000):
                await bench.outbox.record(position(n))
            await bench.outbox.record(Audit(action="order", by="test"))
            await bench.outbox.flush()
            assert bench.database.in_memory
            while not await bench.outbox._keep_within():
                pass
            assert (await bench.outbox._room()).used <= 300_000
            codes = [condition.code for condition in bench.health.conditions()]
            assert codes == ["store.memory", "store.full"]

    run(tmp_path, story)


def test_an_event_from_before_the_clock_was_set_is_dated_when_it_is(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        bench.clock.tq = "none"
        bench.clock.set_wall(1_000.0)
        await bench.outbox.record(position(1))
        await bench.clock.advance(60)
        (row,) = await bench.outbox.fetch("telemetry", 0, max_bytes=ALL)
        event = bench.outbox.event("telemetry", row, batched=False)
        assert (event.t, event.tq) == (1_000_000, "none")
        bench.clock.tq = "ntp"
        bench.clock.set_wall(1_800_000_060.0)
        event = bench.outbox.event("telemetry", row, batched=False)
        assert (event.t, event.tq) == (1_800_000_000_000, "ntp")

    run(tmp_path, story)
