"""The table of orders. Functions take the connection of the transaction that is under way."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from agent.contract.orders import Order
from agent.contract.wire import encode
from agent.core.clock import BUILD_TIME
from agent.orders.lifecycle import Action, Owner, Stage

_PUT = """INSERT INTO orders (order_id, version, status, stage, received, document, acted, acted_by,
settled, conflict, remind_at, lapse_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (order_id) DO UPDATE SET
version = excluded.version, status = excluded.status, stage = excluded.stage,
document = excluded.document, acted = excluded.acted, acted_by = excluded.acted_by,
settled = excluded.settled, conflict = excluded.conflict, remind_at = excluded.remind_at,
lapse_at = excluded.lapse_at"""
_COLUMNS = "document, stage, received, acted, acted_by, settled, conflict, remind_at, lapse_at"
_GET = f"SELECT {_COLUMNS} FROM orders WHERE order_id = ?"  # noqa: S608 - of a constant
_LIST = f"""SELECT {_COLUMNS} FROM orders
WHERE received < ? ORDER BY received DESC LIMIT ?"""  # noqa: S608 - of a constant
_OLDEST = f"""SELECT {_COLUMNS} FROM orders
WHERE stage = ? AND received >= ? ORDER BY received LIMIT 1"""  # noqa: S608 - of a constant
_REMIND = f"SELECT {_COLUMNS} FROM orders WHERE remind_at <= ?"  # noqa: S608 - of a constant
_LAPSED = f"SELECT {_COLUMNS} FROM orders WHERE lapse_at <= ?"  # noqa: S608 - of a constant
_LATENCIES = """SELECT settled - received FROM orders
WHERE settled >= ? AND stage != 'rejected' ORDER BY settled DESC LIMIT ?"""
_KNOWN = """SELECT order_id, version FROM orders
WHERE received >= ? ORDER BY received DESC LIMIT ?"""
_PRUNE = "DELETE FROM orders WHERE received < ?"
_REDATE = "UPDATE orders SET received = ? WHERE received < ?"
_LIVE = """SELECT 1 FROM orders
WHERE received >= ? AND stage IN ('accepted', 'ready', 'picked_up') LIMIT 1"""
_AWAITED = """SELECT document, key, stage FROM orders
LEFT JOIN beacon_keys ON beacon_keys.order_id = orders.order_id AND owner = ?
WHERE received >= ? AND stage IN ('received', 'accepted', 'ready', 'picked_up')
ORDER BY received DESC LIMIT ?"""
_FORGET = "DELETE FROM beacon_keys WHERE order_id = ?"
_KEEP = "INSERT INTO beacon_keys VALUES (?, ?, ?)"
_LOST = "DELETE FROM beacon_keys WHERE order_id NOT IN (SELECT order_id FROM orders)"
_COUNT = "SELECT stage, count(*) FROM orders WHERE received >= ? GROUP BY stage"


class Stored(NamedTuple):
    order: Order
    stage: Stage
    received: int  # unix ms
    acted: Action | None = None  # by staff; the back end has not confirmed it
    acted_by: str | None = None  # the last who did something
    settled: int | None = None  # unix ms of its acceptance or rejection
    conflict: str | None = None
    remind_at: int | None = None  # unix ms, of a scheduled order
    lapse_at: int | None = None  # unix ms, while nobody accepted it


def put(tx: sqlite3.Connection, stored: Stored) -> None:
    """Insert, or replace all but when it was first received."""
    order = stored.order
    row = (order.order_id, order.version, order.status, stored.stage, stored.received)
    tx.execute(_PUT, (*row, encode(order), *stored[3:]))


def get(tx: sqlite3.Connection, order_id: str) -> Stored | None:
    row = tx.execute(_GET, (order_id,)).fetchone()
    return _stored(*row) if row else None


def oldest(tx: sqlite3.Connection, stage: Stage, since_ms: int) -> Stored | None:
    row = tx.execute(_OLDEST, (stage, since_ms)).fetchone()
    return _stored(*row) if row else None


def to_remind(tx: sqlite3.Connection, now_ms: int) -> list[Stored]:
    """Scheduled orders with which it is time to begin."""
    return [_stored(*row) for row in tx.execute(_REMIND, (now_ms,))]


def lapsed(tx: sqlite3.Connection, now_ms: int) -> list[Stored]:
    """Those whose time to be accepted is over."""
    return [_stored(*row) for row in tx.execute(_LAPSED, (now_ms,))]


def latencies(tx: sqlite3.Connection, since_ms: int, limit: int) -> list[int]:
    """Milliseconds from receipt to acceptance, of the orders accepted since then."""
    return [row[0] for row in tx.execute(_LATENCIES, (since_ms, limit))]


def newest(tx: sqlite3.Connection, limit: int, before_ms: int) -> list[Stored]:
    """The newest first; for the next page pass the `received` of the last."""
    return [_stored(*row) for row in tx.execute(_LIST, (before_ms, limit))]


def known(tx: sqlite3.Connection, since_ms: int, limit: int) -> dict[str, int]:
    """Order id -> version."""
    return dict(tx.execute(_KNOWN, (since_ms, limit)).fetchall())


def counts(tx: sqlite3.Connection, since_ms: int) -> dict[str, int]:
    """Orders by stage."""
    return dict(tx.execute(_COUNT, (since_ms,)).fetchall())


def any_live(connection: sqlite3.Connection, since_ms: int) -> bool:
    """Whether an order is being worked on or delivered."""
    return connection.execute(_LIVE, (since_ms,)).fetchone() is not None


def keep_keys(tx: sqlite3.Connection, order_id: str, keys: Mapping[Owner, bytes]) -> None:
    """Instead of those of an earlier version."""
    tx.execute(_FORGET, (order_id,))
    tx.executemany(_KEEP, [(order_id, owner, key) for owner, key in keys.items()])


def awaited(
    connection: sqlite3.Connection, owner: Owner, since_ms: int, limit: int
) -> list[tuple[Order, bytes | None, bool]]:
    """Orders that are not over with the key of the shop, or of the courier, and whether they were
    picked up; the newest last."""
    rows = connection.execute(_AWAITED, (owner, since_ms, limit)).fetchall()
    return [
        (msgspec.json.decode(document, type=Order), key, stage == "picked_up")
        for document, key, stage in reversed(rows)
    ]


def redate(tx: sqlite3.Connection, now_ms: int) -> None:
    """What came before the clock was set counts from when it was: it must not be old at once."""
    tx.execute(_REDATE, (now_ms, int(BUILD_TIME * 1000)))


def prune(tx: sqlite3.Connection, before_ms: int) -> None:
    tx.execute(_PRUNE, (before_ms,))
    tx.execute(_LOST)


def _stored(document: bytes, *rest: Any) -> Stored:
    return Stored(msgspec.json.decode(document, type=Order), *rest)
