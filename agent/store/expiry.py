"""What waited so long that nobody needs it any more is forgotten, and a `gap` says so.

Only telemetry and states have such an age; orders, prints, SOS, commands and audits never expire.
Rows lie in the order in which they were recorded, so what has expired is a run at the beginning.
Age is told by dates: as long as the clock is not set nothing expires, and a row whose time nobody
knows goes with the next one that is known to be too old.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from agent.contract.events import Gap, Stream
from agent.core.clock import Clock
from agent.core.health import Health
from agent.store.database import Database

LOOK_S = 60.0
AT_ONCE = 2000  # rows in a transaction: the store's thread has others to serve
STEPS = 10  # transactions in a look
CALM = 0.9  # of the time to keep; when the oldest is younger the condition is over

Row = tuple[Any, ...]  # as the tables have it: seq, kind, t, tq, mono, boot, body


@dataclass(slots=True)
class Expiry:
    """`keep_s`: how long an event of a stream may wait; `row` makes the row of a gap there."""

    database: Database
    clock: Clock
    health: Health
    keep_s: Mapping[Stream, float]
    row: Callable[[int, Gap], Row]
    gone: Counter[str] = field(default_factory=Counter)  # by kind, since the start
    _looked: float | None = None  # monotonic s

    def left_s(self, name: Stream, t: int, tq: str) -> int | None:
        """Seconds that an event of `t` (unix ms) may still wait; None: for ever."""
        keep = self.keep_s.get(name)
        if keep is None:
            return None
        known = tq != "none" and self.clock.quality() != "none"
        age = max(0.0, self.clock.wall() - t / 1000) if known else 0.0
        return max(1, int(keep - age))

    async def look(self, acked: Callable[[Stream], int]) -> None:
        """Forget what is too old; at most once in LOOK_S, and not before the time is known."""
        now = self.clock.monotonic()
        waited = self._looked is None or now - self._looked >= LOOK_S
        if not waited or self.clock.quality() == "none":
            return
        self._looked = now
        wall = int(self.clock.wall() * 1000)
        for name, keep in self.keep_s.items():
            await self._look(name, wall, int(keep * 1000), acked(name))

    async def _look(self, name: Stream, wall: int, keep_ms: int, acked: int) -> None:
        gone = Counter[str]()
        for _ in range(STEPS):
            # A read costs the card nothing, and mostly there is nothing to do.
            first = await self.database.read(lambda tx: oldest(tx, name, acked))
            young = first is None or first[3] == "none" or first[2] >= wall - keep_ms * CALM
            if young or not (more := await self._expire(name, acked, wall - keep_ms)):
                break
            gone += more
        if gone:
            self.gone += gone
            self.health.set(
                f"store.expired.{name}",
                f"{name} events waited for more than {keep_ms / 3_600_000:.3g} hours and were given"
                " up; orders are kept. Restore the network.",
            )
        elif young:
            self.health.clear(f"store.expired.{name}")

    async def _expire(self, name: Stream, acked: int, before: int) -> Counter[str]:
        return await self.database.write(lambda tx: expire(tx, name, acked, before, self.row))


def expire(
    tx: sqlite3.Connection,
    name: Stream,
    acked: int,
    before: int,
    row: Callable[[int, Gap], Row],
) -> Counter[str]:
    """Replace events behind `acked` and older than `before` (unix ms) by one gap; how many of
    which kind went. A gap that stands among them is taken in."""
    sql = f"SELECT seq, kind, t, tq FROM {name} WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 - ours
    kinds: list[str] = []
    last, gone = 0, 0
    for seq, kind, t, tq in tx.execute(sql, (acked, AT_ONCE)):
        kinds.append(kind)
        if kind == Gap.KIND or tq == "none":
            continue
        if t >= before:
            break
        last, gone = seq, len(kinds)
    if not gone:
        return Counter()
    sql = f"SELECT seq, kind, body FROM {name} WHERE seq > ? ORDER BY seq LIMIT 1"  # noqa: S608 - ours
    first, kind, body = tx.execute(sql, (acked,)).fetchone()
    if kind == Gap.KIND:
        first = msgspec.json.decode(body, type=Gap).first
    tx.execute(f"DELETE FROM {name} WHERE seq <= ?", (last,))  # noqa: S608 - ours
    gap = row(last, Gap(first=first, last=last, reason="expired"))
    tx.execute(f"INSERT INTO {name} VALUES (?, ?, ?, ?, ?, ?, ?)", gap)  # noqa: S608 - ours
    return Counter(kind for kind in kinds[:gone] if kind != Gap.KIND)


def oldest(connection: sqlite3.Connection, name: Stream, after: int) -> Row | None:
    """The first event behind `after`; a gap is none."""
    sql = f"SELECT * FROM {name} WHERE seq > ? AND kind != 'gap' ORDER BY seq LIMIT 1"  # noqa: S608 - ours
    found: Row | None = connection.execute(sql, (after,)).fetchone()
    return found
