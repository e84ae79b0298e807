"""The SQL of print jobs; agent/printing/spool.py runs it."""

from __future__ import annotations

COLUMNS = (
    "job_id, order_id, version, station, copy, printer, home, state, attempt, doubts, evidence,"
    " priority, created, changed, ticket, reason, mark, not_before"
)
SELECT = f"SELECT {COLUMNS} FROM jobs "  # noqa: S608 - constants only
INSERT = (
    f"INSERT OR IGNORE INTO jobs ({COLUMNS}, kind)"  # noqa: S608 - constants only
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
UPDATE = (
    "UPDATE jobs SET printer = ?, state = ?, attempt = ?, doubts = ?, evidence = ?, changed = ?,"
    " reason = ?, mark = ?, not_before = ? WHERE job_id = ? AND state = ?"
)
BY_ID = SELECT + "WHERE job_id = ?"
OF_ORDER = SELECT + "WHERE order_id = ? ORDER BY version, created, rowid"
RECENT = SELECT + "ORDER BY created DESC, rowid DESC LIMIT ?"
_NEXT_FIRST = " ORDER BY priority DESC, max(created, ifnull(not_before, 0)), rowid"
WAITING = (  # sorted without their tickets: a thousand of them may wait
    SELECT + "WHERE rowid IN (SELECT rowid FROM jobs"  # noqa: S608 - constants only
    " WHERE printer = ? AND state IN ('queued', 'held', 'in_doubt')"
    " AND (not_before IS NULL OR not_before <= ?)" + _NEXT_FIRST + " LIMIT ?)" + _NEXT_FIRST
)
MARKED = (
    SELECT + "WHERE printer = ? AND state IN ('held', 'in_doubt') AND mark IS NOT NULL"
    " ORDER BY created, rowid"
)
IN_STATE = SELECT + "WHERE printer = ? AND state = ? ORDER BY created, rowid"
ANY_UNHELD = (
    "SELECT EXISTS (SELECT 1 FROM jobs WHERE printer = ? AND state IN ('queued', 'in_doubt')"
    " AND (not_before IS NULL OR not_before <= ?))"
)
SCHEDULED = (
    "SELECT printer, count(*) FROM jobs WHERE state IN ('queued', 'held', 'in_doubt')"
    " AND not_before > ? GROUP BY printer"
)
COUNTS = "SELECT printer, state, count(*) FROM jobs GROUP BY printer, state"
PRINTERS = (
    "SELECT DISTINCT printer FROM jobs"
    " WHERE state IN ('queued', 'held', 'in_doubt', 'parked', 'sending')"
)
ANSWERED = (
    "SELECT EXISTS (SELECT 1 FROM jobs WHERE printer = ? AND state = 'printed' AND created > ?)"
)
FORGET = (
    "DELETE FROM jobs WHERE created < ?"
    " AND state IN ('printed', 'sent_unconfirmed', 'cancelled', 'expired')"
)
REDATE = "UPDATE jobs SET created = ? WHERE created < ?"
# Of what waits nobody knows any more whether it is out; what is in doubt already stays so.
DOUBT_WAITING = (
    "UPDATE jobs SET doubts = 1, state = iif(state = 'queued', 'in_doubt', state)"
    " WHERE doubts = 0 AND state IN ('queued', 'held', 'parked')"
)
