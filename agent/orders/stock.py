"""What is running out or sold out: set by the back end or by staff, shown, and heard once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, NamedTuple

from agent.alerting.service import AlertingService
from agent.contract.errors import Rejected
from agent.contract.events import Stock
from agent.core.clock import Clock
from agent.core.recorder import Recorder
from agent.store.database import Database

GOODS_MAX = 2000  # a menu is shorter; a sender that invents names must not fill the disk
CAUSE = "low_stock"
_PUT = """INSERT INTO stock (sku, name, portions, available, changed, by, low_since)
VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sku) DO UPDATE SET
name = excluded.name, portions = excluded.portions, available = excluded.available,
changed = excluded.changed, by = excluded.by, low_since = excluded.low_since"""
_COLUMNS = "sku, name, portions, available, changed, by, low_since"
_GET = f"SELECT {_COLUMNS} FROM stock WHERE sku = ?"  # noqa: S608 - of a constant
_SHORT = f"""SELECT {_COLUMNS} FROM stock
WHERE available = 0 OR low_since IS NOT NULL
ORDER BY available, portions, sku LIMIT ?"""  # noqa: S608 - of a constant
_COUNT = "SELECT count(*) FROM stock"


class Goods(NamedTuple):
    sku: str
    name: str | None
    left: int | None  # portions; None: nobody counts them
    available: bool
    changed: int  # unix ms
    by: str
    low_since: int | None  # unix ms


class StockService:
    """Not a service that waits: `put` is called by commands."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        recorder: Recorder,
        bell: AlertingService,
        changed: Callable[[], None],
        *,
        low: int,
    ) -> None:
        """Fewer than `low` portions are an alert."""
        self._database = database
        self._clock = clock
        self._recorder = recorder
        self._bell = bell
        self._changed = changed
        self._low = low

    async def put(
        self, sku: str, *, name: str | None, left: int | None, available: bool | None, by: str
    ) -> Goods:
        """What is not said stays; without any portion left it is sold out. Rejected: too_many."""

        def apply(tx: sqlite3.Connection) -> tuple[Goods, bool]:
            old = _get(tx, sku)
            if old is None and tx.execute(_COUNT).fetchone()[0] >= GOODS_MAX:
                raise Rejected("too_many", f"{GOODS_MAX} goods are known here already")
            now = int(self._clock.wall() * 1000)
            goods = self._next(
                old, Goods(sku, name, left, bool(available), now, by, None), available
            )
            if old is not None and old._replace(changed=goods.changed, by=by) == goods:
                return old, False
            tx.execute(_PUT, goods)
            self._ring(tx, old, goods)
            return goods, True

        goods, news = await self._database.write(apply)
        if news:
            event = Stock(sku=sku, available=goods.available, by=goods.by, left=goods.left)
            await self._recorder.record(event)
        self._bell.wake()
        self._changed()
        return goods

    async def short(self, limit: int) -> list[Goods]:
        """Sold out or low, the sold out first."""
        return await self._database.read(
            lambda tx: [_goods(r) for r in tx.execute(_SHORT, (limit,))]
        )

    def _next(self, old: Goods | None, told: Goods, available: bool | None) -> Goods:  # noqa: FBT001 - not a switch but a value
        """`told` over what was known."""
        name, left = told.name, told.left
        if old is not None:
            name = old.name if name is None else name
            if left is None:  # back on sale ends an empty count; sold out says nothing of it
                left = None if available and old.left == 0 else old.left
        if available is None:
            available = left > 0 if left is not None else old is None or old.available
        low = available and left is not None and left < self._low
        since = (old.low_since if old else None) or told.changed
        return told._replace(
            name=name, left=left, available=available, low_since=since if low else None
        )

    def _ring(self, tx: sqlite3.Connection, old: Goods | None, goods: Goods) -> None:
        """Once for each time that it gets low, until somebody heard it or it is low no more."""
        was = None if old is None else old.low_since
        if was is not None and goods.low_since is None:
            self._bell.end_in(tx, f"{CAUSE}:{goods.sku}:{was}", goods.by)
        elif was is None and goods.low_since is not None:
            alert = f"{CAUSE}:{goods.sku}:{goods.low_since}"
            detail = {"sku": goods.sku, "name": goods.name, "left": goods.left}
            self._bell.raise_in(tx, CAUSE, alert, None, detail)


def _get(tx: sqlite3.Connection, sku: str) -> Goods | None:
    row = tx.execute(_GET, (sku,)).fetchone()
    return None if row is None else _goods(row)


def _goods(row: Any) -> Goods:
    return Goods(*row)._replace(available=bool(row[3]))
