"""Events kept until the back end has them: three streams, one key, no hole without a reason.

`critical` is on the disk before `record()` returns. `state` and `telemetry` stay in memory for the
time of their group (0.5 s, 5 s): what is confirmed in that time never costs the card a write, what
is not is committed. So a power cut puts at most that many seconds of these two streams at risk.

A commit costs the card a page for each table that it changes, so a critical event changes one: its
newest number is the greatest that there is, and what was acknowledged is what is no longer there.

Sequence numbers of the grouped streams are reserved on the disk in blocks, so that one which may
have been sent is never given out twice; after a crash the rest of a block becomes a `gap` event. A
gap stands in the place (seq) of the last event that it explains.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from agent.contract.events import STREAMS, Body, ErrorEvent, Event, Gap, Stream, TimeQuality
from agent.contract.presence import StreamState
from agent.contract.wire import encode_body
from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.store import refuge
from agent.store.database import Database, StoreError
from agent.store.expiry import Expiry, oldest
from agent.store.packing import Pack, pack
from agent.store.purging import gaps, purge
from agent.store.rewriting import Told, moments, rewrite
from agent.store.shedding import SHED_ORDER, Room, Shed, Shedding, Thin, measure

log = logging.getLogger(__name__)

HOLD_S: dict[Stream, float] = {"critical": 0.0, "state": 0.5, "telemetry": 5.0}
BLOCK = 1000  # sequence numbers reserved at a time
TICK_S = 0.25
FORGET_S = 5.0  # acknowledged rows are deleted by then, with or without new ones
QUOTA_CHECK_S = 10.0
QUOTA_CALM = 0.8  # of the quota; below it the condition is over
REFUSED_S = 1.0  # until a disk that refused is tried again
MEMORY_ROWS = 20_000  # rows of a stream that may wait in memory while the disk refuses
SHED_TO = 0.95  # of the quota, once it is exceeded
SHED_STEPS = 8  # at a time; groups wait for their commit meanwhile
SHED_REPORT_S = 3600.0  # what was given up is counted for so long at most


class Row(NamedTuple):
    """A stored event. `mono`/`boot` are set while its time is only known relative to a boot."""

    seq: int
    kind: str
    t: int  # unix ms
    tq: TimeQuality
    mono: int | None  # monotonic ms
    boot: str | None
    body: bytes

    @property
    def size(self) -> int:
        return len(self.body)


@dataclass(slots=True)
class _State:
    issued: int = 0  # no greater seq was given out
    reserved: int = 0  # ... and none beyond this may be, until more are reserved
    acked: int = 0
    stored: int = 0  # no row on the disk has a greater seq
    forgotten: int = 0  # rows up to here are deleted from the disk
    row_bytes: int = 200  # of a body, about
    tail: deque[tuple[float, Row]] = field(default_factory=deque)  # (monotonic s, row), not on disk

    @property
    def forgettable(self) -> bool:
        """Whether there are rows on the disk that nobody needs. What never got there costs none."""
        return self.forgotten < min(self.acked, self.stored)


class Outbox:
    """The recorder of all services and the source of the uplink.

    `committed` is called in the event loop whenever there is something new to send.
    """

    name = "outbox"

    def __init__(
        self,
        database: Database,
        clock: Clock,
        health: Health,
        *,
        max_mb: float,
        thin: Thin | None = None,
        keep_s: Mapping[Stream, float] = MappingProxyType({}),
    ) -> None:
        """`keep_s`: longer no event of that stream waits; `critical` is never in it."""
        self._database = database
        self._clock = clock
        self._health = health
        self._max_bytes = int(max_mb * 1024 * 1024)
        self._streams: dict[Stream, _State] = {name: _State() for name in STREAMS}
        self._shedding = Shedding(lambda seq, gap: self._row(seq, gap, None), thin)
        self.expiry = Expiry(
            database, clock, health, keep_s, lambda seq, gap: self._row(seq, gap, None)
        )
        self._news = 0  # rises with each event and acknowledgement
        self._oldest: tuple[int, dict[Stream, int | None]] = (-1, {})  # as of which news
        self._given_up: Counter[str] = Counter()  # not reported yet
        self._given_up_since = 0.0  # monotonic s
        self._reserving = asyncio.Lock()
        self._undated = False  # there may be rows on the disk that wait for the time of this boot
        self.epoch = ""
        self.committed: Callable[[], None] = lambda: None
        # What a critical event is in the end, within its transaction, at unix ms.
        self.seal: Callable[[sqlite3.Connection, Body, int], Body] = lambda _tx, body, _at: body
        self.moved: Callable[[], None] = lambda: None  # the epoch is a new one: say so
        self.taken_back: Callable[[], None] = lambda: None  # what was read before may be gone
        self._busy = asyncio.Event()  # there may be something to commit, to forget or to shed

    async def open(self) -> None:
        """Read where the last run ended, and explain what it may have lost."""
        self._database.committed = self._on_commit
        self._database.moved = self._on_moved
        await self._database.write(self._recover)

    # --- recording --------------------------------------------------------------------------------

    async def record(self, body: Body, *, t: float | None = None) -> int:
        """Store an event, return its seq. A critical one is on the disk then; StoreError if not."""
        if body.STREAM == "critical":
            return await self._database.write(lambda tx: self.put(tx, body, t=t))
        stream = self._streams[body.STREAM]
        while stream.issued >= stream.reserved:
            await self._reserve(body.STREAM)
        stream.issued += 1
        stream.tail.append((self._clock.monotonic(), self._row(stream.issued, body, t)))
        self._on_commit()
        return stream.issued

    def _on_moved(self, epoch: str) -> None:
        self.epoch = epoch
        self.moved()

    def _on_commit(self) -> None:
        self._news += 1
        self._busy.set()
        self.committed()

    def put(self, tx: sqlite3.Connection, body: Body, *, t: float | None = None) -> int:
        """Add a critical event to a transaction under way (in the store's thread)."""
        assert body.STREAM == "critical", body
        at = self._clock.monotonic() if t is None else t
        body = self.seal(tx, body, int(self._clock.wall_at(at) * 1000))
        row = self._row(_issued(tx, "critical") + 1, body, at)
        _insert(tx, "critical", row)
        if (critical := self._streams["critical"]).forgettable:
            tx.execute("DELETE FROM critical WHERE seq <= ?", (critical.acked,))
        return row.seq

    def _row(self, seq: int, body: Body, t: float | None) -> Row:
        at = self._clock.monotonic() if t is None else t
        quality = self._clock.quality()
        unknown = quality == "none"
        self._undated = self._undated or unknown
        return Row(
            seq,
            body.KIND,
            int(self._clock.wall_at(at) * 1000),
            quality,
            int(at * 1000) if unknown else None,
            self._clock.boot_id if unknown else None,
            encode_body(body),
        )

    async def _reserve(self, name: Stream) -> None:
        async with self._reserving:
            stream = self._streams[name]
            if stream.issued < stream.reserved:
                return
            end = stream.reserved + BLOCK
            sql = "UPDATE stream SET issued = ?, acked = ? WHERE name = ?"
            known = (end, stream.acked, name)
            await self._database.write(lambda tx: tx.execute(sql, known))
            stream.reserved = end

    # --- sending ----------------------------------------------------------------------------------

    async def fetch(self, name: Stream, after: int, *, max_bytes: int) -> list[Row]:
        """The rows that follow `after`, in order, about `max_bytes` of them; [] if none.

        What is acknowledged is never among them, wherever the caller still stands.
        """
        stream = self._streams[name]
        after = max(after, stream.acked)
        first_in_memory = stream.tail[0][1].seq if stream.tail else stream.issued + 1
        rows: list[Row] = []
        if name == "critical" or after + 1 < first_in_memory:
            rows = await self._database.read(lambda tx: _select(tx, name, after, max_bytes))
            after = max(rows[-1].seq if rows else after, stream.acked)
        size = sum(len(row.body) for row in rows)
        for _, row in stream.tail:
            if size >= max_bytes:
                break
            # A group may have moved to the disk since it was read: stop at a hole that no gap
            # explains; `committed` wakes the sender to look again.
            if row.seq > after and _begins(row) <= after + 1:
                rows.append(row)
                after, size = row.seq, size + len(row.body)
        if rows and name == "critical":
            stream.issued = stream.stored = max(stream.issued, rows[-1].seq)
        return rows

    async def pack(self, name: Stream, after: int, *, max_bytes: int, count: int) -> list[Pack]:
        """What follows `after` on the disk, up to `count` times about `max_bytes` of it.

        [] while there are events whose time may become known: those are for `fetch`.
        """
        stream = self._streams[name]
        begin = max(after, stream.acked)

        def read(tx: sqlite3.Connection) -> list[Pack]:
            found: list[Pack] = []
            while len(found) < count:
                seq, rows = found[-1].seq if found else begin, max(1, max_bytes // stream.row_bytes)
                packed = pack(tx, name, seq, rows=rows, max_bytes=max_bytes)
                if packed is None:
                    break
                found.append(packed)
                stream.row_bytes = max(1, packed.size // packed.rows)
            return found

        packs = [] if self._undated else await self._database.read(read)
        if packs and name == "critical":
            stream.issued = stream.stored = max(stream.issued, packs[-1].seq)
        return packs

    def event(self, stream: Stream, row: Row, *, batched: bool) -> Event:
        """As it travels; dated anew where its boot's clock has become known meanwhile."""
        row = self._dated(row)
        return Event(
            epoch=self.epoch,
            stream=stream,
            seq=row.seq,
            t=row.t,
            tq=row.tq,
            body=msgspec.Raw(row.body),
            kind=row.kind if batched else msgspec.UNSET,
        )

    def _dated(self, row: Row) -> Row:
        """With its time, where its boot's clock has become known."""
        if row.mono is None or row.boot != self._clock.boot_id:
            return row  # and the kernel is not asked for each row of a backlog
        quality = self._clock.quality()
        if quality == "none":
            return row
        return row._replace(t=self._boot_ms() + row.mono, tq=quality, mono=None, boot=None)

    def _boot_ms(self) -> int:
        """Unix ms of the monotonic zero."""
        return int(self._clock.wall_at(0.0) * 1000)

    def ack(self, name: Stream, seq: int) -> None:
        """Everything of the stream up to `seq` is stored elsewhere and may be forgotten.

        A number that was never issued is a mistake: whoever says it knows not what he has.
        """
        stream = self._streams[name]
        if not stream.acked < seq <= stream.issued:
            return
        stream.acked = seq
        self._news += 1
        self._busy.set()
        while stream.tail and stream.tail[0][1].seq <= seq:
            stream.tail.popleft()

    def acked(self, name: Stream) -> int:
        return self._streams[name].acked

    async def states(self) -> dict[str, StreamState]:
        """For the presence message."""
        critical = await self._database.read(lambda tx: _issued(tx, "critical"))
        return {
            name: StreamState(
                first_unacked=stream.acked + 1,
                last=critical if name == "critical" else stream.issued,
            )
            for name, stream in self._streams.items()
        }

    async def oldest(self) -> dict[Stream, int | None]:
        """Unix ms of the event that waits for longest, by stream; asks the disk only after news."""
        news, known = self._oldest
        if news != self._news:
            news, known = self._news, {}
            acked = {name: stream.acked for name, stream in self._streams.items()}
            rows = await self._database.read(
                lambda tx: {name: oldest(tx, name, upto) for name, upto in acked.items()}
            )
            for name, found in rows.items():
                tail = (row for _, row in self._streams[name].tail if row.kind != Gap.KIND)
                row = Row(*found) if found is not None else next(tail, None)
                known[name] = None if row is None else self._dated(row).t
            self._oldest = news, known
        return known

    async def backlog(self) -> dict[str, int]:
        """Events waiting, by stream. Numbers are no measure: a crash leaves a block half used."""
        spans = {
            name: (stream.acked, stream.tail[0][1].seq if stream.tail else stream.issued + 1)
            for name, stream in self._streams.items()
        }
        in_memory = {name: len(stream.tail) for name, stream in self._streams.items()}
        on_disk = await self._database.read(lambda tx: _count(tx, spans))
        return {name: in_memory[name] + on_disk[name] for name in spans}

    # --- keeping house ----------------------------------------------------------------------------

    async def run(self, heartbeat: Heartbeat) -> None:
        """Commits the groups, forgets what is acknowledged, keeps within the quota."""
        last_forget = last_quota = self._clock.monotonic()
        while True:
            await heartbeat.idle(self._busy.wait())
            await heartbeat.idle(self._clock.sleep(TICK_S))
            if not any(s.tail or s.forgettable for s in self._streams.values()):
                self._busy.clear()  # an idle device does not wake up for this
            now = self._clock.monotonic()
            try:
                due = [
                    name
                    for name, stream in self._streams.items()
                    if stream.tail and now - stream.tail[0][0] >= HOLD_S[name]
                ]
                if due:
                    await self.flush(due)
                if self._undated and self._clock.quality() != "none":
                    await self._database.write(self._date)
                if now - last_forget >= FORGET_S:
                    last_forget = now
                    if any(stream.forgettable for stream in self._streams.values()):
                        await self.flush(())
                await self.expiry.look(self.acked)
                if now - last_quota >= QUOTA_CHECK_S:
                    if await heartbeat.idle(self._keep_within()):
                        last_quota = now
                    await self._database.keep_reserve()
            except StoreError as error:
                self._health.set(
                    "store", f"{error}. Free some space or change the card.", severity="critical"
                )
                self._bound_memory()
                await heartbeat.idle(self._clock.sleep(REFUSED_S))
            else:
                self._health.clear("store")

    async def flush(self, names: Collection[Stream] = STREAMS) -> None:
        """Commit the rows of these streams that are only in memory; forget what is acknowledged."""
        waiting = {name: [row for _, row in self._streams[name].tail] for name in names}
        for name, rows in waiting.items():
            if rows:
                self._streams[name].stored = rows[-1].seq

        def store(tx: sqlite3.Connection) -> dict[Stream, int]:
            for name, rows in waiting.items():
                for row in rows:
                    if row.seq > self._streams[name].acked:
                        _insert(tx, name, self._dated(row))
            return self._forget(tx)

        for name, upto in (await self._database.write(store)).items():
            self._streams[name].forgotten = upto
        for name, rows in waiting.items():
            stream = self._streams[name]
            while rows and stream.tail and stream.tail[0][1].seq <= rows[-1].seq:
                stream.tail.popleft()

    async def rewrite(
        self, old: Sequence[Told], new: Sequence[tuple[float, Body]], *, within_m: int
    ) -> bool:
        """Tell these positions, which wait, by fewer ones; see rewriting.py.

        `new`: with the monotonic second of each. False when they do not wait any more.
        """
        await self.flush(["telemetry"])
        rows = [(t, partial(self._row_at, body, t)) for t, body in new]

        def act(tx: sqlite3.Connection) -> bool:
            if not old or old[0][0] <= self._streams["telemetry"].acked:
                return False
            return rewrite(tx, old, rows, lambda gap: self._row(gap.last, gap, None), within_m)

        done = await self._database.write(act)
        if done:
            self.taken_back()
        return done

    async def moments(self, begin: float, end: float) -> list[float]:
        """When orders moved, an SOS or an arrival was, in monotonic seconds; of what waits."""
        await self.flush(["state"])
        boot, zero_ms = self._clock.boot_id, self._boot_ms()
        return await self._database.read(lambda tx: moments(tx, begin, end, boot, zero_ms))

    def _row_at(self, body: Body, t: float, seq: int) -> Row:
        return self._row(seq, body, t)

    def _date(self, tx: sqlite3.Connection) -> None:
        """Write down the times that became known: after a power cut nobody could tell any more."""
        quality = self._clock.quality()
        self._undated = quality == "none"
        known = (self._boot_ms(), quality, self._clock.boot_id)
        for name in () if self._undated else STREAMS:
            sql = f"UPDATE {name} SET t = mono + ?, tq = ?, mono = NULL, boot = NULL"  # noqa: S608 - ours
            tx.execute(f"{sql} WHERE boot = ?", known)

    async def purge(self, kinds: Collection[str]) -> int:
        """Take back what nobody has received yet of these kinds; how many there were.

        Nothing of it can be read from the disk afterwards. Not for kinds of `critical`.
        """
        names: tuple[Stream, ...] = ("state", "telemetry")
        count = sum(self._purge_memory(name, kinds) for name in names)

        def act(tx: sqlite3.Connection) -> tuple[int, dict[Stream, int]]:
            forgotten = self._forget(tx)
            return sum(purge(tx, name, kinds, self._gap_row) for name in names), forgotten

        more, forgotten = await self._database.write(act)
        self.taken_back()
        for name, upto in forgotten.items():
            self._streams[name].forgotten = upto
        await self._database.scrub()
        return count + more

    def _purge_memory(self, name: Stream, kinds: Collection[str]) -> int:
        """A group that is just being committed is on the disk before the disk's turn comes."""
        tail = self._streams[name].tail
        made = {gap.last: gap for gap in gaps(((r.seq, r.kind) for _, r in tail), kinds)}
        kept = [(t, row) for t, row in tail if row.kind not in kinds or row.seq in made]
        count = sum(row.kind in kinds for _, row in tail)
        tail.clear()
        for t, row in kept:
            gap = made.get(row.seq)
            tail.append((t, row if gap is None else self._gap_row(row.seq, gap)))
        return count

    def _gap_row(self, seq: int, gap: Gap) -> Row:
        return self._row(seq, gap, None)

    async def close(self) -> None:
        """Everything on disk, and no reservation left open: nothing to explain next time."""
        await self.flush()
        while any(stream.tail for stream in self._streams.values()):  # recorded meanwhile
            await self.flush()
        exact = [(s.issued, s.acked, name) for name, s in self._streams.items()]
        sql = "UPDATE stream SET issued = ?, acked = ? WHERE name = ?"
        await self._database.write(lambda tx: tx.executemany(sql, exact))

    def _recover(self, tx: sqlite3.Connection) -> None:
        found = tx.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
        self.epoch = found[0] if found else refuge.new_epoch()
        if not found:
            tx.execute("INSERT INTO meta VALUES ('epoch', ?)", (self.epoch,))
        for name, acked in tx.execute("SELECT name, acked FROM stream").fetchall():
            issued = _issued(tx, name)
            tx.execute(f"DELETE FROM {name} WHERE seq <= ?", (acked,))  # noqa: S608 - ours
            sql = f"SELECT min(seq), max(seq) FROM {name}"  # noqa: S608 - ours
            oldest, newest = tx.execute(sql).fetchone()
            if name == "critical":
                acked = oldest - 1 if oldest else issued  # noqa: PLW2901 - never evicted, so gone
            elif issued > (known := max(newest or 0, acked)):
                gap = Gap(first=known + 1, last=issued, reason="restart")
                _insert(tx, name, self._row(issued, gap, None))
            self._streams[name] = _State(issued, issued, acked, issued, acked)
        self._date(tx)

    def _forget(self, tx: sqlite3.Connection) -> dict[Stream, int]:
        """Delete what is acknowledged; up to where, once that is committed."""
        done: dict[Stream, int] = {}
        for name, stream in self._streams.items():
            if stream.forgettable:
                done[name] = upto = stream.acked
                tx.execute(f"DELETE FROM {name} WHERE seq <= ?", (upto,))  # noqa: S608 - ours
                tx.execute("UPDATE stream SET acked = ? WHERE name = ?", (upto, name))
        return done

    async def _keep_within(self) -> bool:
        """Give up what there is no room for; False when there is more to do at once."""
        room, shed, steps = await self._room(), Shed(), 0
        while room.used > room.limit * (1.0 if shed.nothing else SHED_TO) and steps < SHED_STEPS:
            acked = self._streams["telemetry"].acked
            more = await self._database.write(partial(self._shedding.step, acked=acked))
            if more.nothing:
                break
            shed.add(more)
            room, steps = await self._room(), steps + 1
        if shed.counts and not self._given_up:
            self._given_up_since = self._clock.monotonic()
        self._given_up += shed.counts
        self._tell_quota(room, shed)
        await self._report_given_up(room)
        return steps < SHED_STEPS

    async def _room(self) -> Room:
        free = self._database.free_bytes()
        return await self._database.read(lambda tx: measure(tx, self._max_bytes, free))

    def _tell_quota(self, room: Room, shed: Shed) -> None:
        full = "store.full"
        if shed.stream is not None:
            self._health.set(
                full,
                f"{room.why}; the oldest {shed.stream} events are given up, orders are kept. "
                f"{room.remedy}",
            )
        elif shed.within_m is not None:
            self._health.set(
                full,
                f"{room.why}; positions are thinned to a line within {shed.within_m} m, orders are "
                f"kept. {room.remedy}",
            )
        elif room.used > room.limit:
            self._health.set(
                full, f"{room.why}, orders and prints alone. {room.remedy}", severity="critical"
            )
        elif room.used < QUOTA_CALM * room.limit:
            self._health.clear(full)

    async def _report_given_up(self, room: Room) -> None:
        """Counts by kind, when it is over or has gone on for long."""
        lasts = self._clock.monotonic() - self._given_up_since
        over = room.used < QUOTA_CALM * room.limit
        if self._given_up and (over or lasts >= SHED_REPORT_S):
            counts = dict(self._given_up)
            await self.record(ErrorEvent(source="store", counts=counts, text="no more room"))
            self._given_up.clear()

    def _bound_memory(self) -> None:
        """While the disk refuses, memory is the outbox; it gives up the oldest telemetry first."""
        for name in SHED_ORDER:
            tail = self._streams[name].tail
            if len(tail) > MEMORY_ROWS:
                t, oldest = tail.popleft()
                first = _begins(oldest)
                while len(tail) > MEMORY_ROWS // 2:
                    t, oldest = tail.popleft()
                gap = Gap(first=first, last=oldest.seq, reason="evicted")
                tail.appendleft((t, self._row(oldest.seq, gap, None)))


def _begins(row: Row) -> int:
    """The first number that it accounts for."""
    return msgspec.json.decode(row.body, type=Gap).first if row.kind == Gap.KIND else row.seq


def _insert(tx: sqlite3.Connection, name: str, row: Row) -> None:
    tx.execute(f"INSERT OR REPLACE INTO {name} VALUES (?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608 - ours


def _select(connection: sqlite3.Connection, name: str, after: int, max_bytes: int) -> list[Row]:
    rows: list[Row] = []
    size = 0
    sql = f"SELECT * FROM {name} WHERE seq > ? ORDER BY seq"  # noqa: S608 - one of our three tables
    for found in connection.execute(sql, (after,)):
        rows.append(Row(*found))
        size += len(rows[-1].body)
        if size >= max_bytes:
            break
    return rows


def _issued(connection: sqlite3.Connection, name: str) -> int:
    """No greater seq was given out, nor is reserved."""
    sql = f"SELECT max(issued, acked, coalesce((SELECT max(seq) FROM {name}), 0)) FROM stream"  # noqa: S608 - ours
    (issued,) = connection.execute(f"{sql} WHERE name = ?", (name,)).fetchone()
    return int(issued)


def _count(
    connection: sqlite3.Connection, spans: Mapping[Stream, tuple[int, int]]
) -> dict[str, int]:
    """Rows strictly between two numbers; all of `critical` above the first, it has no memory."""
    found: dict[str, int] = {}
    for name, (above, below) in spans.items():
        end = below if name != "critical" else 1 << 62
        sql = f"SELECT count(*) FROM {name} WHERE seq > ? AND seq < ?"  # noqa: S608 - ours
        (found[name],) = connection.execute(sql, (above, end)).fetchone()
    return found
