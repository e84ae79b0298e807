"""After a life whose end is not on the disk: what comes again may have been printed already.

Such a life ended while the database was in memory (see refuge), or its file was damaged and set
aside. The disk then knows less than happened. Tickets that it believes to be waiting may be out on
paper, and the back end sends orders again that it believes to be missing here: all of these are in
doubt, and their paper says POSSIBLE DUPLICATE. Orders placed after this start are not.
"""

from __future__ import annotations

import sqlite3

from agent.core.clock import Clock
from agent.store import jobs

SLACK_MS = 600_000  # that a clock may be off which nobody but a battery keeps

_GET = "SELECT value FROM meta WHERE key = 'lost_before'"
_SET = "INSERT OR REPLACE INTO meta VALUES ('lost_before', ?)"


def begin(tx: sqlite3.Connection, clock: Clock) -> None:
    """In the first transaction of the life that follows."""
    tx.execute(_SET, (_now(clock),))
    tx.execute(jobs.DOUBT_WAITING)


def in_doubt(tx: sqlite3.Connection, placed_ms: int, clock: Clock) -> bool:
    """Whether an order that was placed then may have been printed in a life that is lost."""
    found = tx.execute(_GET).fetchone()
    if found is None:
        return False
    (value,) = found
    if ":" in value and clock.quality() != "none":
        boot, mono = value.split(":")
        value = _now(clock, float(mono)) if boot == clock.boot_id else _now(clock)
        tx.execute(_SET, (value,))
    return ":" in value or placed_ms <= int(value)


def _now(clock: Clock, mono: float | None = None) -> str:
    """Unix ms, or the boot and its second while nobody knows the time."""
    at = clock.monotonic() if mono is None else mono
    quality = clock.quality()
    if quality == "none":
        return f"{clock.boot_id}:{at}"
    return str(int(clock.wall_at(at) * 1000) + (SLACK_MS if quality == "rtc" else 0))
