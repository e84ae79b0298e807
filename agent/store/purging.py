"""What may no longer be sent is taken back: deleted, overwritten, and explained by `gap` rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable
from typing import Any

from agent.contract.events import Gap, Stream

Row = tuple[Any, ...]  # as the tables have it: seq, kind, t, tq, mono, boot, body


def purge(
    tx: sqlite3.Connection, name: Stream, kinds: Collection[str], row: Callable[[int, Gap], Row]
) -> int:
    """Delete the events of these kinds; how many there were.

    `row` makes the row of a gap with that number. One gap explains those that follow each other.
    SQLite overwrites what is deleted here, also where a page is given back.
    """
    found = tx.execute(f"SELECT seq, kind FROM {name} ORDER BY seq").fetchall()  # noqa: S608 - ours
    tx.execute("PRAGMA secure_delete=ON")
    count = 0
    for gap in gaps(((seq, kind) for seq, kind in found), kinds):
        sql = f"DELETE FROM {name} WHERE seq BETWEEN ? AND ?"  # noqa: S608 - ours
        count += tx.execute(sql, (gap.first, gap.last)).rowcount
        sql = f"INSERT INTO {name} VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - ours
        tx.execute(sql, row(gap.last, gap))
    tx.execute("PRAGMA secure_delete=FAST")
    return count


def gaps(rows: Iterable[tuple[int, str]], kinds: Collection[str]) -> list[Gap]:
    """For each unbroken run of numbers of these kinds, the gap that stands for it."""
    runs: list[tuple[int, int]] = []
    for seq, kind in rows:
        if kind not in kinds:
            continue
        if runs and runs[-1][1] == seq - 1:
            runs[-1] = (runs[-1][0], seq)
        else:
            runs.append((seq, seq))
    return [Gap(first=first, last=last, reason="purged") for first, last in runs]
