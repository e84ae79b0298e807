"""Positions that wait are told anew, in fewer events: those that were recorded live make room."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from agent.contract.events import Gap, OrderEvent

MOMENTS_MAX = 500  # in some minutes; more are no moments
_MOMENTS = """SELECT t, mono, boot, kind, body FROM critical WHERE kind IN ('order', 'sos')
UNION ALL SELECT t, mono, boot, kind, body FROM state WHERE kind = 'arrival'"""

Row = tuple[Any, ...]  # as the tables have it: seq, kind, t, tq, mono, boot, body
Told = tuple[int, float]  # seq of an event and the monotonic second that it tells of, both rising


def moments(
    tx: sqlite3.Connection, begin: float, end: float, boot: str, zero_ms: int
) -> list[float]:
    """Monotonic seconds between these two at which an order moved, an SOS or an arrival was.

    Of those that wait. `zero_ms`: unix ms of this boot's monotonic zero.
    """
    found: list[float] = []
    for t, mono, of, kind, body in tx.execute(_MOMENTS):
        at = (mono if mono is not None and of == boot else t - zero_ms) / 1000
        if begin <= at <= end and len(found) < MOMENTS_MAX:
            if kind == "order" and msgspec.json.decode(body, type=OrderEvent).action == "reconcile":
                continue
            found.append(at)
    return found


def places(old: Sequence[Told], times: Sequence[float]) -> list[int] | None:
    """For each new event the index of the old one whose number it takes; None if there is no room.

    It is that of the newest old event that is not later, so that both tell the ride in one order.
    """
    spare = len(old) - len(times)
    if spare < 0:
        return None
    at = [t for _, t in old]
    found: list[int] = []
    free = len(old)
    for n in range(len(times) - 1, -1, -1):
        free = max(n, min(free, bisect_right(at, times[n])) - 1)
        found.append(free)
    return found[::-1]


def rewrite(
    tx: sqlite3.Connection,
    old: Sequence[Told],
    new: Sequence[tuple[float, Callable[[int], Row]]],
    gap: Callable[[Gap], Row],
    within_m: int,
) -> bool:
    """Put `new` (its time, and its row for a number) in the place of the positions `old`.

    False, and nothing is changed, when one of those is gone or there would not be fewer.
    """
    chosen = places(old, [t for t, _ in new])
    if chosen is None or not old:
        return False
    span = (old[0][0], old[-1][0])
    sql = "SELECT seq FROM telemetry WHERE kind = 'position' AND seq BETWEEN ? AND ?"
    if {seq for (seq,) in tx.execute(sql, span)} != {seq for seq, _ in old}:
        return False
    tx.executemany("DELETE FROM telemetry WHERE seq = ?", [(seq,) for seq, _ in old])
    rows = {old[i][0]: make for i, (_, make) in zip(chosen, new, strict=True)}
    hole: int | None = None
    for n, (seq, _) in enumerate(old):
        if seq in rows:
            _insert(tx, rows[seq](seq))
            hole = None
            continue
        hole = seq if hole is None else hole
        follows = n + 1 < len(old) and old[n + 1][0] == seq + 1 and seq + 1 not in rows
        if not follows:
            _insert(tx, gap(Gap(first=hole, last=seq, reason="thinned", within_m=within_m)))
            hole = None
    return True


def _insert(tx: sqlite3.Connection, row: Row) -> None:
    tx.execute("INSERT INTO telemetry VALUES (?, ?, ?, ?, ?, ?, ?)", row)
