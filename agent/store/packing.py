"""A long backlog as it travels, put together by SQLite.

An object of Python for each event is what draining costs most, and the event loop waits meanwhile;
one statement for a whole batch lets the store's thread and the loop work at the same time.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from agent.contract.events import STREAMS, Stream


class Pack(NamedTuple):
    """Events that follow each other, a line each as in a batch."""

    seq: int  # of the last
    rows: int
    size: int  # bytes of their bodies
    lines: bytes


# As agent.contract.events.Event; only of rows whose time is known. The epoch is read together with
# the rows, because a number is only worth something in its own.
_SQL = {
    name: f"""
SELECT max(seq), count(*), sum(length(body)), CAST(group_concat(printf(
    '{{"epoch":"%s","stream":"{name}","seq":%d,"t":%d,"tq":"%s","body":%s,"kind":"%s"}}',
    (SELECT value FROM meta WHERE key = 'epoch'), seq, t, tq, body, kind), char(10)) AS BLOB)
FROM (SELECT * FROM {name} WHERE seq > ? ORDER BY seq LIMIT ?)
"""  # noqa: S608 - ours
    for name in STREAMS
}


def pack(
    connection: sqlite3.Connection, name: Stream, after: int, *, rows: int, max_bytes: int
) -> Pack | None:
    """The events after a number; at most `rows`, and fewer where they are much too large."""
    while True:
        found = connection.execute(_SQL[name], (after, rows)).fetchone()
        if found[0] is None:
            return None
        packed = Pack(*found)
        if packed.size <= 2 * max_bytes or packed.rows == 1:
            return packed
        rows = max(1, packed.rows * max_bytes // packed.size)
