"""What waits for too long is forgotten, explained and said; orders wait for ever."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agent.contract.events import Audit, Gap, Position, Shop
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.store import expiry
from agent.store.database import Database
from agent.store.expiry import AT_ONCE, expire
from agent.store.outbox import Outbox, Row

HOUR = 3600.0
SCHEMA = Path(expiry.__file__).parent / "migrations" / "0001_base.sql"


def position(n: int) -> Position:
    return Position(
        lat=31.0, lon=121.0, acc=5.0, speed=6.0, course=90.0, fix_t=n,
        reason="moved", profile="seed", datum="wgs84",
    )  # fmt: skip


class Bench:
    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.health = Health(self.clock)
        self.database = Database(folder / "a.db", self.clock, self.health)
        self.outbox = Outbox(
            self.database, self.clock, self.health, max_mb=50,
            keep_s={"telemetry": 24 * HOUR, "state": 48 * HOUR},
        )  # fmt: skip

    async def look(self) -> None:
        self.clock.jump(self.clock.monotonic() + 61.0)
        self.health.poll()
        await self.outbox.expiry.look(self.outbox.acked)

    async def events(self, stream: str) -> list[tuple[int, str, bytes]]:
        rows = await self.outbox.fetch(stream, 0, max_bytes=1 << 30)  # type: ignore[arg-type]
        return [(row.seq, row.kind, row.body) for row in rows]

    def codes(self) -> set[str]:
        return {condition.code for condition in self.health.conditions()}


def play(folder: Path, story: Callable[[Bench], Awaitable[None]]) -> None:
    async def tell() -> None:
        bench = Bench(folder)
        await bench.database.open()
        await bench.outbox.open()
        try:
            await story(bench)
        finally:
            await bench.database.close()

    asyncio.run(tell())


def pass_time(bench: Bench, seconds: float) -> None:
    bench.clock.jump(bench.clock.monotonic() + seconds)


def test_what_waited_too_long_becomes_one_gap_and_is_counted(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        outbox = bench.outbox
        for n in range(10):
            await outbox.record(position(n))
        await outbox.record(Audit(action="order", by="test"))
        await outbox.record(Shop(status="busy"))
        pass_time(bench, 25 * HOUR)
        await outbox.record(position(10))
        await outbox.flush()
        await bench.look()
        (seq, kind, body), (after, _, _) = await bench.events("telemetry")
        gap = msgspec.json.decode(body, type=Gap)
        assert (seq, kind, after) == (10, "gap", 11)
        assert (gap.first, gap.last, gap.reason) == (1, 10, "expired")
        assert outbox.expiry.gone == {"position": 10}
        assert bench.codes() == {"store.expired.telemetry"}
        assert len(await bench.events("critical")) == len(await bench.events("state")) == 1
        pass_time(bench, 25 * HOUR)
        await bench.look()  # the gap of before is taken in
        ((seq, kind, body),) = await bench.events("telemetry")
        assert msgspec.json.decode(body, type=Gap).first == 1
        assert (await bench.events("state"))[0][1] == "gap"
        assert len(await bench.events("critical")) == 1

    play(tmp_path, story)


def test_the_condition_ends_when_the_backlog_is_young_again(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        await bench.outbox.record(position(0))
        await bench.outbox.flush()
        pass_time(bench, 25 * HOUR)
        await bench.look()
        assert bench.codes()
        await bench.outbox.record(position(1))
        bench.outbox.ack("telemetry", 2)
        await bench.look()
        assert not bench.codes()

    play(tmp_path, story)


def test_nothing_expires_while_nobody_knows_the_time(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        await bench.outbox.record(position(0))
        await bench.outbox.flush()
        pass_time(bench, 90 * HOUR)
        bench.clock.tq = "none"
        await bench.look()
        assert (await bench.events("telemetry"))[0][1] == "position"
        bench.clock.tq = "ntp"
        await bench.look()
        assert (await bench.events("telemetry"))[0][1] == "gap"

    play(tmp_path, story)


def test_a_large_backlog_expires_in_pieces_and_leaves_one_gap(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        for n in range(2 * AT_ONCE + 5):
            await bench.outbox.record(position(n))
        await bench.outbox.flush()
        pass_time(bench, 25 * HOUR)
        await bench.look()
        ((seq, _, body),) = await bench.events("telemetry")
        assert (seq, msgspec.json.decode(body, type=Gap).first) == (2 * AT_ONCE + 5, 1)

    play(tmp_path, story)


def test_what_is_left_of_its_time_goes_with_a_message(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        now = int(bench.clock.wall() * 1000)
        left = bench.outbox.expiry.left_s
        assert left("telemetry", now, "ntp") == 24 * HOUR
        assert left("telemetry", now - 3_600_000, "ntp") == 23 * HOUR
        assert left("telemetry", now - 3_600_000, "none") == 24 * HOUR
        assert left("telemetry", 0, "ntp") == 1
        assert left("critical", 0, "ntp") is None

    play(tmp_path, story)


Rows = st.lists(
    st.tuples(
        st.integers(0, 20), st.sampled_from(["ntp", "none"]), st.sampled_from(["position", "gap"])
    ),
    max_size=30,
)


@given(Rows, st.integers(0, 30), st.integers(0, 25))
def test_only_a_run_of_old_rows_goes_and_the_gap_names_exactly_it(
    rows: list[tuple[int, str, str]], acked: int, before: int
) -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as tx:
        tx.executescript(SCHEMA.read_text())
        for seq, (t, tq, kind) in enumerate(rows, 1):
            body = msgspec.json.encode(Gap(first=seq, last=seq, reason="restart"))
            sql = "INSERT INTO telemetry VALUES (?, ?, ?, ?, NULL, NULL, ?)"
            tx.execute(sql, (seq, kind, t, tq, body))

        def row(seq: int, gap: Gap) -> Row:
            return Row(seq, "gap", 99, "ntp", None, None, msgspec.json.encode(gap))

        counts = expire(tx, "telemetry", acked, before, row)
        left = tx.execute("SELECT seq, kind, t, body FROM telemetry WHERE seq > ?", (acked,))
        found = left.fetchall()
        behind = [(seq, *rest) for seq, rest in enumerate(rows, 1) if seq > acked]
        if not counts:
            assert len(found) == len(behind)
            return
        gap = msgspec.json.decode(found[0][3], type=Gap)
        gone = [one for one in behind if one[0] <= gap.last]
        assert (gap.first, gap.reason) == (acked + 1, "expired")
        assert [seq for seq, *_ in found[1:]] == [one[0] for one in behind if one[0] > gap.last]
        assert all(t < before or tq == "none" or kind == "gap" for _, t, tq, kind in gone)
        assert sum(counts.values()) == sum(1 for *_, kind in gone if kind != "gap")
