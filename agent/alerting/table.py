"""The table of alerts. Functions take the connection of the transaction that is under way."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from agent.alerting.policy import Alert, State
from agent.contract.wire import encode

_INSERT = """INSERT INTO alerts (alert_id, cause, state, order_id, raised, changed, by, detail)
VALUES (?, ?, 'sounding', ?, ?, ?, NULL, ?) ON CONFLICT (alert_id) DO NOTHING"""
_OPEN = """SELECT alert_id, cause, level, order_id, raised, detail FROM alerts
WHERE state IN ('sounding', 'escalated') ORDER BY raised, alert_id"""
_STATE = "UPDATE alerts SET state = ?, changed = ?, by = ?, level = ? WHERE alert_id = ?"
_PRUNE = """DELETE FROM alerts WHERE state NOT IN ('sounding', 'escalated') AND changed < ?"""


def insert(tx: sqlite3.Connection, alert: Alert) -> bool:
    """False when there was one of this id before, open or not."""
    row = (
        alert.alert_id,
        alert.cause,
        alert.order_id,
        alert.raised,
        alert.raised,
        encode(alert.detail),
    )
    return tx.execute(_INSERT, row).rowcount == 1


def unanswered(tx: sqlite3.Connection) -> list[Alert]:
    """All that are open, the oldest first."""
    return [
        Alert(
            alert_id,
            cause,
            raised,
            level=level,
            order_id=order_id,
            detail=msgspec.json.decode(detail, type=dict[str, Any]),
        )
        for alert_id, cause, level, order_id, raised, detail in tx.execute(_OPEN)
    ]


def set_state(
    tx: sqlite3.Connection, alert: Alert, state: State, changed_ms: int, by: str | None
) -> None:
    tx.execute(_STATE, (state, changed_ms, by, alert.level, alert.alert_id))


def prune(tx: sqlite3.Connection, before_ms: int) -> None:
    """Forget closed ones; an id that is forgotten could be raised again."""
    tx.execute(_PRUNE, (before_ms,))
