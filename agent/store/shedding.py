"""What is given up when there is no more room, and in which order.

1. Positions are thinned: of a stretch of them only as many are kept as tell it within 10 m. Once
   all of the ride is, what is left is thinned by 20 m, then 40 m ... 320 m. These add up: a line
   within 10, 30, 70 ... 630 m of every position remains. A coarser trace of the whole day is worth
   more than a fine one of its end.
2. The oldest telemetry of any kind.
3. The oldest states.

Orders, prints, SOS, commands and audits never. Every hole is explained by a `gap` row in the place
of the last event that it stands for; gaps that meet become one.

Thinned rows lie all over the table, and SQLite gives a page back only when most of it is empty: so
a stretch is written anew, without gaps between its rows. (In place, 18 % of the room came free
where 60 % of the positions went; so, 51 %. docs/decisions/0015-positions-are-thinned.md)
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import msgspec

from agent.contract.events import Gap, Stream
from agent.store import refuge

SHED_SHARE = 0.1  # of a stream's rows at a time
SHED_ORDER: tuple[Stream, ...] = ("telemetry", "state")
EPS_M = (10, 20, 40, 80, 160, 320)  # by which a trace is thinned, one after another
WITHIN_M = tuple(accumulate(EPS_M))  # what it is then true to
STRETCH = 500  # positions thinned at a time: the store's thread has others to serve
STRETCH_MIN = 50  # fewer are not worth it yet
FREE_BYTES = 8 * 1024 * 1024  # left to others and to SQLite's log; below, the file does not grow
LEAST_BYTES = 4 * 1024 * 1024  # however full the disk is, this much may wait

Row = tuple[Any, ...]  # as the tables have it: seq, kind, t, tq, mono, boot, body

# Bodies of positions, times (unix ms) around which nothing may go, metres -> indices to keep.
Thin = Callable[[Sequence[bytes], Sequence[int], float], Collection[int]]

_POSITIONS = """SELECT seq, body, t FROM telemetry
WHERE kind = 'position' AND seq >= ? AND seq <= ? ORDER BY seq LIMIT ?"""
_MOMENTS = """SELECT t FROM critical WHERE kind IN ('order', 'sos') AND t BETWEEN ? AND ?
UNION SELECT t FROM state WHERE kind IN ('fence', 'arrival') AND t BETWEEN ? AND ?"""
_LEVELS = "SELECT value FROM meta WHERE key = 'thinned'"
_SET_LEVELS = "INSERT OR REPLACE INTO meta VALUES ('thinned', ?)"


@dataclass(slots=True)
class Shed:
    """What was given up: rows by kind and way, as in `position.thinned`, `health.evicted`."""

    counts: Counter[str] = field(default_factory=Counter)
    within_m: int | None = None  # what positions were thinned to, if they were
    stream: Stream | None = None  # whose oldest went, if any did

    @property
    def nothing(self) -> bool:
        return self.within_m is None and self.stream is None

    def add(self, later: Shed) -> None:
        self.counts += later.counts
        self.within_m = later.within_m or self.within_m
        self.stream = later.stream or self.stream


@dataclass(slots=True)
class Shedding:
    """`row` makes the row of a gap with that number; without `thin` positions go oldest first."""

    row: Callable[[int, Gap], Row]
    thin: Thin | None = None

    def step(self, tx: sqlite3.Connection, acked: int) -> Shed:
        """Give up a little, or `nothing` where nothing is left that may go.

        `acked`: telemetry up to here is forgotten soon anyway.
        """
        if self.thin is not None and (shed := self._thin_next(tx, acked, self.thin)) is not None:
            return shed
        for name in SHED_ORDER:
            (count,) = tx.execute(f"SELECT count(*) FROM {name}").fetchone()  # noqa: S608 - ours
            if count > 1:
                return self._evict(tx, name, max(2, int(count * SHED_SHARE)))
        return Shed()

    # --- thinning ---------------------------------------------------------------------------------

    def _thin_next(self, tx: sqlite3.Connection, acked: int, thin: Thin) -> Shed | None:
        """The stretch that is told finest so far, the oldest first; None when all is at its end."""
        found = tx.execute(_LEVELS).fetchone()
        done = msgspec.json.decode(found[0], type=dict[int, int]) if found else {}
        upto = 1 << 62  # what the level before has done
        for eps, within_m in zip(EPS_M, WITHIN_M, strict=True):
            begin = max(done.get(within_m, 0), acked)
            rows = tx.execute(_POSITIONS, (begin, upto, STRETCH)).fetchall()
            if len(rows) >= STRETCH_MIN:
                done[within_m] = rows[-1][0]
                tx.execute(_SET_LEVELS, (msgspec.json.encode(done).decode(),))
                times = [t for _, _, t in rows]
                span = (min(times), max(times))
                moments = [t for (t,) in tx.execute(_MOMENTS, span + span)]
                kept = thin([body for _, body, _ in rows], moments, eps)
                gone = {row[0] for i, row in enumerate(rows) if i not in set(kept)}
                if gone:
                    self._rewrite(tx, (rows[0][0], rows[-1][0]), gone, within_m)
                    return Shed(Counter({"position.thinned": len(gone)}), within_m=within_m)
            upto = done.get(within_m, 0)
        return None

    def _rewrite(
        self, tx: sqlite3.Connection, span: tuple[int, int], gone: Collection[int], within_m: int
    ) -> None:
        """Write these rows anew, densely, with a gap for each hole."""
        sql = "SELECT * FROM telemetry WHERE seq BETWEEN ? AND ? ORDER BY seq"
        rows = tx.execute(sql, span).fetchall()
        tx.execute("DELETE FROM telemetry WHERE seq BETWEEN ? AND ?", span)
        hole: int | None = None  # where it begins
        for row in rows:
            seq, begin = row[0], _thinned_from(row)
            if seq in gone or begin is not None:
                hole = hole or begin or seq
                last = seq
                continue
            if hole is not None:
                self._explain(tx, hole, last, within_m)
                hole = None
            _insert(tx, "telemetry", row)
        if hole is not None:
            self._explain(tx, hole, last, within_m)

    def _explain(self, tx: sqlite3.Connection, first: int, last: int, within_m: int) -> None:
        gap = Gap(first=first, last=last, reason="thinned", within_m=within_m)
        _insert(tx, "telemetry", self.row(last, gap))

    # --- the oldest -------------------------------------------------------------------------------

    def _evict(self, tx: sqlite3.Connection, name: Stream, count: int) -> Shed:
        """Replace the oldest rows by one gap event, taking in a gap that stands among them."""
        sql = f"SELECT seq, kind, body FROM {name} ORDER BY seq LIMIT ?"  # noqa: S608 - ours
        rows = tx.execute(sql, (count,)).fetchall()
        last, (first, kind, body) = rows[-1][0], rows[0]
        if kind == Gap.KIND:
            first = msgspec.json.decode(body, type=Gap).first
        tx.execute(f"DELETE FROM {name} WHERE seq <= ?", (last,))  # noqa: S608 - ours
        _insert(tx, name, self.row(last, Gap(first=first, last=last, reason="evicted")))
        kinds = Counter(f"{kind}.evicted" for _, kind, _ in rows if kind != Gap.KIND)
        return Shed(kinds, stream=name)


def _insert(tx: sqlite3.Connection, name: Stream, row: Row) -> None:
    tx.execute(f"INSERT INTO {name} VALUES (?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608 - ours


def _thinned_from(row: Row) -> int | None:
    """Where the hole begins that this row explains as thinned."""
    if row[1] != Gap.KIND:
        return None
    gap = msgspec.json.decode(row[6], type=Gap)
    return gap.first if gap.reason == "thinned" else None


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes in use, how many may be, and what to say when they are more."""

    used: int
    limit: int
    why: str
    remedy: str


def measure(connection: sqlite3.Connection, max_bytes: int, free: int | None) -> Room:
    """`free`: bytes that the disk has left; None while the database is in memory."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (unused,) = connection.execute("PRAGMA freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    used = (pages - unused) * size
    quota = max_bytes if free is not None else min(max_bytes, refuge.LIMIT_BYTES)
    limit = quota
    if free is not None:  # what the file has already, and what it may take from others
        limit = min(quota, max(LEAST_BYTES, pages * size + free - FREE_BYTES))
    if limit < quota:
        why = f"only {(free or 0) >> 20} MB are free on the disk"
        return Room(used, limit, why, "Free some space on it.")
    return Room(used, limit, f"more than {limit >> 20} MB wait to be sent", "Restore the network.")
