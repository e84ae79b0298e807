"""The outbox against a plain model: whatever happens in whatever order, its promises hold.

The model knows what was given out, what must be on the disk, and what the back end confirmed. After
each step everything that waits is fetched and judged. A crash drops the memory and opens a copy of
the files as they were; a disk that refuses is a limit on the size of files.

Nothing here depends on time or on threads: a step ends when the house-keeping sleeps or waits and
the store's thread has nothing more to do, so a disk refuses for whole steps and a copy is of files
at rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agent.contract.events import STREAMS, Audit, Body, ErrorEvent, Fence, Gap, Position, Stream
from agent.core.clock import ManualClock, settle
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.positioning.thinning import thin
from agent.store import database, expiry, outbox, refuge, shedding
from agent.store.database import Database, StoreError
from agent.store.outbox import FORGET_S, REFUSED_S, Outbox, Row
from agent.store.packing import Pack
from tests.support import disk_that_takes

ALL = 1 << 30
MEMORY_ROWS = 40
LIMIT_BYTES = 200_000
KEEP_S: dict[Stream, float] = {"telemetry": 3600.0, "state": 7200.0}
Spot = tuple[str, Stream, int]  # epoch, stream, seq


def body(stream: Stream, n: int, size: int) -> Body:
    match stream:
        case "critical":
            return Audit(action="a" * size, by=str(n))
        case "state":
            return Fence(fence="f" * size, event="enter", distance_m=float(n))
    if n % 4:
        return Position(
            lat=31.0 + n % 7 / 1e3, lon=121.0, acc=5.0, speed=6.0, course=90.0, fix_t=n * 1000,
            reason="moved", profile="p" * size, datum="wgs84",
        )  # fmt: skip
    return ErrorEvent(source="s" * size, counts={"n": n})


def is_position(content: bytes) -> bool:
    return b'"fix_t"' in content


class AtOnce(ThreadPoolExecutor):
    """What asyncio would do in another thread is done here and now."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **more))
        return done


class Bell(asyncio.Event):
    """Knows whether somebody waits for it."""

    waiting = False

    async def wait(self) -> Any:
        self.waiting = True
        try:
            return await super().wait()
        finally:
            self.waiting = False


class Clock(ManualClock):
    """Knows whether somebody sleeps."""

    asleep = 0

    async def sleep(self, seconds: float) -> None:
        self.asleep += 1
        try:
            await super().sleep(seconds)
        finally:
            self.asleep -= 1


@dataclass
class Ledger:
    """What may be relied on."""

    kept: dict[Stream, dict[int, bytes]] = field(  # must be there, or shed where that is allowed
        default_factory=lambda: {name: {} for name in STREAMS}
    )
    forgotten: dict[Stream, int] = field(  # never comes back
        default_factory=lambda: dict.fromkeys(STREAMS, 0)
    )
    taken_back: set[tuple[Stream, int]] = field(default_factory=set)  # the same


class Machine(RuleBasedStateMachine):
    memory = True  # whether there is room for the database in memory

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(AtOnce(1))
        self.stack = contextlib.ExitStack()
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        patch = self.stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(outbox, "MEMORY_ROWS", MEMORY_ROWS)
        patch.setattr(outbox, "BLOCK", 20)
        patch.setattr(refuge, "LIMIT_BYTES", LIMIT_BYTES if self.memory else 0)
        patch.setattr(database, "RESERVE_BYTES", 100)
        patch.setattr(shedding, "STRETCH_MIN", 5)
        patch.setattr(expiry, "LOOK_S", 5.0)
        patch.setattr(expiry, "AT_ONCE", 7)
        self.clock = Clock()
        self.lives = 0
        self.count = 0
        self.refuses = False
        self.contents: dict[Spot, bytes] = {}  # every number ever given out
        self.born: dict[Spot, float] = {}  # unix s
        self.ledger = Ledger()
        self.at_home = Ledger()  # as it was when the disk began to refuse
        self.issued: dict[Stream, int] = dict.fromkeys(STREAMS, 0)
        self.acked: dict[Stream, int] = dict.fromkeys(STREAMS, 0)

    # --- the agent's lives ------------------------------------------------------------------------

    def do(self, what: Coroutine[Any, Any, Any]) -> Any:
        async def act() -> Any:
            try:
                return await what
            finally:
                await self.calm()

        with disk_that_takes(0) if self.refuses else contextlib.nullcontext():
            return self.loop.run_until_complete(act())

    @initialize()
    def begin(self) -> None:
        self.do(self.open())

    async def open(self) -> None:
        self.health = Health(self.clock)
        self.database = Database(self.folder / "agent.db", self.clock, self.health)
        await self.database.open()
        self.outbox = Outbox(
            self.database, self.clock, self.health, max_mb=0.06, thin=thin, keep_s=KEEP_S
        )
        self.outbox._busy = Bell()
        await self.outbox.open()
        self.epoch = self.outbox.epoch
        beat = Heartbeat("outbox", self.clock, self.health)
        self.keeping = asyncio.ensure_future(self.outbox.run(beat))
        for name, state in (await self.outbox.states()).items():
            self.issued[name] = state.last
            assert self.outbox.acked(name) <= self.acked[name]
            self.acked[name] = self.outbox.acked(name)

    async def shut(self) -> None:
        self.keeping.cancel()
        await asyncio.gather(self.keeping, return_exceptions=True)
        await self.database.close()

    async def calm(self) -> None:
        """The house-keeping and the store's thread have done what they had to do."""
        if self.keeping.done():
            return
        parked = 0
        while parked < 2:  # the second answer comes after all that followed the first
            await self.database.read(lambda _: None)
            await settle(5)
            assert not self.keeping.done(), self.keeping
            bell = self.outbox._busy
            assert isinstance(bell, Bell)
            parked = parked + 1 if self.clock.asleep or bell.waiting else 0

    def teardown(self) -> None:
        if self.lives or hasattr(self, "database"):
            self.refuses = False
            self.do(self.shut())
        self.loop.close()
        self.stack.close()

    @property
    def in_memory(self) -> bool:
        return self.epoch_changed or any(c.code == "store.memory" for c in self.health.conditions())

    @property
    def epoch_changed(self) -> bool:
        return self.outbox.epoch != self.epoch

    def note(self) -> None:
        """After each step: has the database moved?"""
        if self.epoch_changed:
            old, self.epoch = self.epoch, self.outbox.epoch
            for (epoch, stream, seq), content in list(self.contents.items()):
                if epoch == old and seq > self.acked[stream]:
                    self.contents.setdefault((self.epoch, stream, seq), content)
                    self.born[self.epoch, stream, seq] = self.born[epoch, stream, seq]
        if not self.in_memory:
            self.at_home = copy.deepcopy(self.ledger)

    # --- what happens -----------------------------------------------------------------------------

    def given(self, stream: Stream, seq: int, content: bytes) -> None:
        spot = (self.outbox.epoch, stream, seq)
        assert spot not in self.contents, "a number was given out twice"
        self.contents[spot] = content
        self.born[spot] = self.clock.wall()
        self.issued[stream] = max(self.issued[stream], seq)

    async def record_one(self, stream: Stream, size: int) -> None:
        self.count += 1
        event = body(stream, self.count, size)
        try:
            seq = await self.outbox.record(event)
        except StoreError:
            assert self.refuses
            return
        self.given(stream, seq, msgspec.json.encode(event))
        if stream == "critical":
            self.ledger.kept[stream][seq] = msgspec.json.encode(event)

    @rule(stream=st.sampled_from(STREAMS), count=st.sampled_from([1, 1, 2, 30]),
          size=st.sampled_from([1, 200, 1500]))  # fmt: skip
    def record(self, stream: Stream, count: int, size: int) -> None:
        async def tell() -> None:
            for _ in range(count):
                await self.record_one(stream, size)

        self.do(tell())
        self.note()

    @rule(count=st.integers(1, 5), together=st.sampled_from(STREAMS))
    def rush(self, count: int, together: Stream) -> None:
        """Everything at once: records, a flush, an acknowledgement in their middle."""

        async def tell() -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(count):
                    group.create_task(self.record_one(together, 50))
                    group.create_task(self.record_one("critical", 50))
                group.create_task(self.flush_all())
                await asyncio.sleep(0)
                self.ack_upto(together, self.issued[together])

        self.do(tell())
        self.note()

    async def flush_all(self) -> None:
        waiting = {
            name: [row for _, row in self.outbox._streams[name].tail]
            for name in STREAMS
        }  # fmt: skip
        try:
            await self.outbox.flush()
        except StoreError:
            assert self.refuses
            return
        for name, rows in waiting.items():
            for row in rows:
                if row.seq > self.acked[name] and row.kind != Gap.KIND:
                    self.ledger.kept[name][row.seq] = row.body

    @rule()
    def flush(self) -> None:
        self.do(self.flush_all())
        self.note()

    @rule()
    def a_transaction_that_fails(self) -> None:
        def fail(tx: sqlite3.Connection) -> None:
            self.outbox.put(tx, Audit(action="never", by="x"))
            raise KeyError("no")

        with pytest.raises((KeyError, StoreError)):
            self.do(self.database.write(fail))
        self.note()

    @rule(stream=st.sampled_from(STREAMS), share=st.floats(0, 1.2))
    def ack(self, stream: Stream, share: float) -> None:
        """Old, right or too high."""
        self.fetch_and_judge(stream)  # what was never fetched cannot be acknowledged
        first = self.acked[stream]
        self.ack_upto(stream, first + int((self.issued[stream] - first + 3) * share) - 1)

    def ack_upto(self, stream: Stream, seq: int) -> None:
        before = self.outbox.acked(stream)
        self.outbox.ack(stream, seq)
        after = self.outbox.acked(stream)
        assert after in (before, seq)
        assert before <= after <= self.issued[stream]
        self.acked[stream] = after
        for number in [n for n in self.ledger.kept[stream] if n <= after]:
            del self.ledger.kept[stream][number]

    @rule(seconds=st.sampled_from([0.3, 1.0, 6.0, 11.0]))
    def time_passes(self, seconds: float) -> None:
        """The house-keeping commits groups, forgets, sheds; the database may come home."""

        async def tell() -> None:
            for _ in range(int(seconds / 0.25) + 1):
                await self.clock.advance(0.25)
                await self.calm()

        self.do(tell())
        self.note()
        for name, stream in self.outbox._streams.items():
            if self.refuses:
                assert len(stream.tail) <= MEMORY_ROWS or seconds < outbox.HOLD_S[name] + REFUSED_S
            elif seconds > 2 * outbox.HOLD_S[name] + REFUSED_S:
                assert not stream.tail, "a group was not committed"
                rows = self.do(self.outbox.fetch(name, 0, max_bytes=ALL))
                self.ledger.kept[name].update({r.seq: r.body for r in rows if r.kind != Gap.KIND})
        if not self.refuses and seconds > FORGET_S + REFUSED_S + 1:
            assert not self.in_memory
            self.ledger.forgotten = dict(self.acked)
        self.note()

    @rule(stream=st.sampled_from(("state", "telemetry")))
    def more_than_the_quota(self, stream: Stream) -> None:
        self.record(stream, 60, 1500)
        self.time_passes(11.0)

    @rule(hours=st.sampled_from([-1.5, 0.6, 1.5]))
    def the_date_moves(self, hours: float) -> None:
        """What is too old now may go when the house is kept next."""
        self.clock.set_wall(self.clock.wall() + hours * 3600)

    @rule(quality=st.sampled_from(["none", "ntp"]))
    def the_clock_is(self, quality: Any) -> None:
        self.clock.tq = quality

    @rule()
    def take_positions_back(self) -> None:
        waiting = {
            row.seq
            for row in self.do(self.outbox.fetch("telemetry", 0, max_bytes=ALL))
            if row.kind == Position.KIND
        }
        try:
            count = self.do(self.outbox.purge([Position.KIND]))
        except StoreError:
            assert self.refuses
            return
        self.note()
        assert count == len(waiting)
        self.ledger.taken_back |= {("telemetry", seq) for seq in waiting}
        for seq in waiting:
            self.ledger.kept["telemetry"].pop(seq, None)
        if not self.in_memory:
            self.at_home = copy.deepcopy(self.ledger)

    @rule(begin=st.floats(0, 1), end=st.floats(0, 1), share=st.floats(0, 0.9))
    def tell_positions_anew(self, begin: float, end: float, share: float) -> None:
        rows = [
            row
            for row in self.do(self.outbox.fetch("telemetry", 0, max_bytes=ALL))
            if row.kind == Position.KIND
        ]
        first, last = sorted((int(begin * len(rows)), int(end * len(rows))))
        old = [(row.seq, float(row.seq)) for row in rows[first:last]]
        new = []
        for n in range(int(len(old) * share)):
            self.count += 1
            told = msgspec.structs.replace(body("telemetry", 1, 10), fix_t=self.count)
            new.append((old[0][1] + n * 1.3, told))
        try:
            done = self.do(self.outbox.rewrite(old, new, within_m=10))
        except StoreError:
            assert self.refuses
            return
        self.note()
        assert done == bool(old)
        after = self.do(self.outbox.fetch("telemetry", 0, max_bytes=ALL))
        between = [row for row in after if old and old[0][0] <= row.seq <= old[-1][0]]
        told_now = [row for row in between if row.kind == Position.KIND]
        assert [row.body for row in told_now] == [msgspec.json.encode(event) for _, event in new]
        for seq, _ in old:
            self.ledger.kept["telemetry"].pop(seq, None)
        for row in told_now:
            self.contents[self.epoch, "telemetry", row.seq] = row.body
        if done:  # all of its group was committed
            self.ledger.kept["telemetry"] |= {r.seq: r.body for r in after if r.kind != Gap.KIND}
        if not self.in_memory:
            self.at_home = copy.deepcopy(self.ledger)

    @rule()
    def the_disk_refuses(self) -> None:
        self.refuses = True

    @rule()
    def the_disk_takes_again(self) -> None:
        self.refuses = False

    @precondition(lambda self: not self.refuses)
    @rule()
    def crash(self) -> None:
        aside = self.folder / "as-it-was"
        aside.mkdir()
        for suffix in ("", "-wal"):
            if (file := self.folder / f"agent.db{suffix}").exists():
                shutil.copy(file, aside / file.name)
        lost = self.in_memory
        self.do(self.shut())
        for file in self.folder.glob("agent.db*"):
            file.unlink()
        for file in aside.iterdir():
            file.rename(self.folder / file.name)
        aside.rmdir()
        if lost:
            self.ledger = copy.deepcopy(self.at_home)
        self.do(self.open())
        self.note()

    @precondition(lambda self: not self.refuses)
    @rule()
    def stop_and_start(self) -> None:
        gaps = {name: self.gaps(name) for name in STREAMS}

        async def tell() -> None:
            await self.flush_all()
            self.keeping.cancel()
            await asyncio.gather(self.keeping, return_exceptions=True)
            await self.outbox.close()
            await self.database.close()
            self.ledger.forgotten = dict(self.acked)
            await self.open()

        self.do(tell())
        self.note()
        assert {name: self.gaps(name) for name in STREAMS} == gaps, "nothing was lost"

    # --- what must hold ---------------------------------------------------------------------------

    def gaps(self, stream: Stream) -> list[tuple[int, int]]:
        rows = self.do(self.outbox.fetch(stream, 0, max_bytes=ALL))
        found = [msgspec.json.decode(row.body, type=Gap) for row in rows if row.kind == Gap.KIND]
        return [(gap.first, gap.last) for gap in found]

    def fetch_and_judge(self, stream: Stream) -> None:
        rows: list[Row] = self.do(self.outbox.fetch(stream, self.acked[stream], max_bytes=ALL))
        self.note()
        upto = self.acked[stream]
        present = {}
        evicted: list[tuple[int, int]] = []
        for row in rows:
            if row.kind == Gap.KIND:
                gap = msgspec.json.decode(row.body, type=Gap)
                assert stream != "critical"
                assert gap.last == row.seq
                assert gap.first <= upto + 1 <= row.seq
                assert upto < gap.first or not present, "a gap covers what is there"
                if gap.reason in ("thinned", "purged"):
                    told = range(gap.first, gap.last + 1)
                    held = [self.contents.get((self.epoch, stream, seq)) for seq in told]
                    assert all(is_position(content) for content in held if content is not None)
                if gap.reason in ("evicted", "thinned", "expired"):
                    evicted.append((gap.first, gap.last))
            else:
                assert row.seq == upto + 1, "a hole that nothing explains"
                assert row.seq > self.ledger.forgotten[stream], "what was forgotten is back"
                assert (stream, row.seq) not in self.ledger.taken_back, "what was purged is back"
                if (self.epoch, stream, row.seq) not in self.contents:  # the outbox's own count
                    assert msgspec.json.decode(row.body, type=ErrorEvent).source == "store"
                    self.given(stream, row.seq, row.body)
                assert self.contents[self.epoch, stream, row.seq] == row.body
                present[row.seq] = row.body
            upto = row.seq
        assert upto == max(self.issued[stream], self.acked[stream])
        for seq, content in self.ledger.kept[stream].items():
            if seq > self.acked[stream]:
                shed = any(first <= seq <= last for first, last in evicted)
                assert shed or present[seq] == content, "what was promised is gone"

    @invariant()
    def every_number_is_there_or_explained(self) -> None:
        if hasattr(self, "outbox"):
            for stream in STREAMS:
                self.fetch_and_judge(stream)
            waiting = self.do(self.outbox.backlog())
            for stream in STREAMS:
                rows = self.do(self.outbox.fetch(stream, 0, max_bytes=ALL))
                assert len(rows) == waiting[stream]

    @rule(stream=st.sampled_from(STREAMS), share=st.floats(0, 1), size=st.sampled_from([1, 3000]))
    def fetch_from_anywhere(self, stream: Stream, share: float, size: int) -> None:
        after = int(self.issued[stream] * share)
        rows = self.do(self.outbox.fetch(stream, after, max_bytes=size))
        seqs = [row.seq for row in rows]
        assert seqs == sorted(set(seqs))
        assert all(seq > max(after, self.acked[stream]) for seq in seqs)
        assert bool(rows) == (max(after, self.acked[stream]) < self.issued[stream])

    @rule(stream=st.sampled_from(STREAMS), share=st.floats(0, 1), count=st.integers(1, 4),
          size=st.sampled_from([1, 300, 3000]))  # fmt: skip
    def pack_from_anywhere(self, stream: Stream, share: float, count: int, size: int) -> None:
        after = int(self.issued[stream] * share)
        packs = self.do(self.outbox.pack(stream, after, max_bytes=size, count=count))
        rows = self.do(self.outbox.fetch(stream, after, max_bytes=ALL))
        lines = [json.loads(line) for pack in packs for line in pack.lines.splitlines()]
        assert len(packs) <= count
        assert len(lines) == sum(pack.rows for pack in packs)
        for line, row in zip(lines, rows, strict=False):
            event = self.outbox.event(stream, row, batched=True)
            assert line == json.loads(msgspec.json.encode(event))
        assert [pack.seq for pack in packs] == [rows[n - 1].seq for n in ends(packs)]


def ends(packs: list[Pack]) -> list[int]:
    return list(accumulate(pack.rows for pack in packs))


class NoRoomInMemory(Machine):
    memory = False


@pytest.mark.parametrize("machine", [Machine, NoRoomInMemory])
def test_the_outbox_keeps_its_promises(machine: type[Machine]) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
