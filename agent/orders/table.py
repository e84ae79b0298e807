"""The table of orders. Functions take the connection of the transaction that is under way."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from agent.contract.orders import Order
from agent.contract.wire import encode
from agent.core.clock import BUILD_TIME
from agent.orders.lifecycle import Owner, Stage

_PUT = """INSERT INTO orders (order_id, version, status, stage, received, document)
VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (order_id) DO UPDATE SET
version = excluded.version, status = excluded.status, stage = excluded.stage,
document = excluded.document"""
_GET = "SELECT stage, received, document FROM orders WHERE order_id = ?"
_STAGE = "UPDATE orders SET stage = ? WHERE order_id = ?"
_LIST = """SELECT stage, received, document FROM orders
WHERE received < ? ORDER BY received DESC LIMIT ?"""
_KNOWN = """SELECT order_id, version FROM orders
WHERE received >= ? ORDER BY received DESC LIMIT ?"""
_PRUNE = "DELETE FROM orders WHERE received < ?"
_REDATE = "UPDATE orders SET received = ? WHERE received < ?"
_LIVE = """SELECT 1 FROM orders
WHERE received >= ? AND stage IN ('accepted', 'ready', 'picked_up') LIMIT 1"""
_AWAITED = """SELECT document, key FROM orders
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


def put(tx: sqlite3.Connection, order: Order, stage: Stage, received_ms: int) -> None:
    """Insert, or replace the document and keep when it was first received."""
    row = (order.order_id, order.version, order.status, stage, received_ms, encode(order))
    tx.execute(_PUT, row)


def get(tx: sqlite3.Connection, order_id: str) -> Stored | None:
    row = tx.execute(_GET, (order_id,)).fetchone()
    return _stored(*row) if row else None


def set_stage(tx: sqlite3.Connection, order_id: str, stage: Stage) -> None:
    tx.execute(_STAGE, (stage, order_id))


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
) -> list[tuple[Order, bytes | None]]:
    """Orders that are not over with the key of the shop, or of the courier; the newest last."""
    rows = connection.execute(_AWAITED, (owner, since_ms, limit)).fetchall()
    return [(msgspec.json.decode(document, type=Order), key) for document, key in reversed(rows)]


def redate(tx: sqlite3.Connection, now_ms: int) -> None:
    """What came before the clock was set counts from when it was: it must not be old at once."""
    tx.execute(_REDATE, (now_ms, int(BUILD_TIME * 1000)))


def prune(tx: sqlite3.Connection, before_ms: int) -> None:
    tx.execute(_PRUNE, (before_ms,))
    tx.execute(_LOST)


def _stored(stage: Stage, received: int, document: bytes) -> Stored:
    return Stored(msgspec.json.decode(document, type=Order), stage, received)
