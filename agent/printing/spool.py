"""Print jobs on the disk: rows of table `jobs` as values. Every function runs in a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

import msgspec

from agent.core.clock import BUILD_TIME
from agent.printing.jobs import Job, State, check
from agent.printing.ticket import Ticket
from agent.store import jobs as sql

ANY_TIME = 1 << 62  # unix ms behind every `not_before`
_FIELDS = [field.name for field in fields(Job)]
_TICKET = _FIELDS.index("ticket")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Ticket).decode


def insert(tx: sqlite3.Connection, job: Job) -> bool:
    """False when the job is there already: the same version came twice."""
    row = [getattr(job, name) for name in _FIELDS]
    row[_TICKET] = _encode(job.ticket)
    return tx.execute(sql.INSERT, (*row, job.ticket.what)).rowcount == 1


def get(tx: sqlite3.Connection, job_id: str) -> Job | None:
    row = tx.execute(sql.BY_ID, (job_id,)).fetchone()
    return None if row is None else _job(row)


def of_order(tx: sqlite3.Connection, order_id: str) -> list[Job]:
    return _jobs(tx.execute(sql.OF_ORDER, (order_id,)))


def recent(tx: sqlite3.Connection, limit: int) -> list[Job]:
    """The newest jobs first."""
    return _jobs(tx.execute(sql.RECENT, (limit,)))


def waiting(
    tx: sqlite3.Connection, printer: str, now_ms: int = ANY_TIME, limit: int = -1
) -> list[Job]:
    """Jobs that may be sent by `now_ms`, in the order in which they are; without it all of them."""
    return _jobs(tx.execute(sql.WAITING, (printer, now_ms, limit)))


def in_state(tx: sqlite3.Connection, printer: str, state: State) -> list[Job]:
    return _jobs(tx.execute(sql.IN_STATE, (printer, state)))


def marked(tx: sqlite3.Connection, printer: str) -> list[Job]:
    """Waiting jobs whose last attempt the printer's counter can tell of."""
    return _jobs(tx.execute(sql.MARKED, (printer,)))


def any_unheld(tx: sqlite3.Connection, printer: str, now_ms: int = ANY_TIME) -> bool:
    """Whether a job waits of which nobody was told that it waits for the printer."""
    return bool(tx.execute(sql.ANY_UNHELD, (printer, now_ms)).fetchone()[0])


def scheduled(tx: sqlite3.Connection, now_ms: int) -> dict[str, int]:
    """Jobs whose time has not come, by printer."""
    return dict(tx.execute(sql.SCHEDULED, (now_ms,)).fetchall())


def answered(tx: sqlite3.Connection, printer: str, since_ms: int) -> bool:
    """Whether the printer has proved a job since: then it can, and silence is a fault."""
    return bool(tx.execute(sql.ANSWERED, (printer, since_ms)).fetchone()[0])


def printers(tx: sqlite3.Connection) -> set[str]:
    """Printers that have something to do, configured or not."""
    return {name for (name,) in tx.execute(sql.PRINTERS)}


def counts(tx: sqlite3.Connection) -> dict[tuple[str, str], int]:
    """(printer, state) -> jobs"""
    return {(printer, state): n for printer, state, n in tx.execute(sql.COUNTS)}


def move(tx: sqlite3.Connection, job: Job, state: State, now_ms: int, **changes: Any) -> Job | None:
    """The job in its new state; None when somebody else has moved it meanwhile.

    `changes` are other fields of Job: printer, attempt, doubts, evidence, reason, mark, not_before.
    """
    check(job.state, state)
    new = replace(job, state=state, changed=now_ms, **changes)
    if new.printer != job.printer:
        new = replace(new, mark=None)  # it is the other printer's counter
    values = (
        *(new.printer, state, new.attempt, new.doubts, new.evidence, now_ms, new.reason),
        *(new.mark, new.not_before),
    )
    done = tx.execute(sql.UPDATE, (*values, job.job_id, job.state)).rowcount
    return new if done else None


def forget(tx: sqlite3.Connection, before_ms: int, now_ms: int) -> int:
    """Delete what has ended; how many. What came before the clock was set counts from now on."""
    tx.execute(sql.REDATE, (now_ms, int(BUILD_TIME * 1000)))
    return tx.execute(sql.FORGET, (before_ms,)).rowcount


def _jobs(rows: Iterable[tuple[Any, ...]]) -> list[Job]:
    return [_job(row) for row in rows]


def _job(row: tuple[Any, ...]) -> Job:
    values = list(row)
    values[_TICKET] = _decode(values[_TICKET])
    return Job(*values)
