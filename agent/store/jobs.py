"""The SQL of print jobs; agent/printing/spool.py runs it."""

from __future__ import annotations

COLUMNS = (
    "job_id, order_id, version, station, copy, printer, home, state, attempt, doubts, evidence,"
    " priority, created, changed, ticket, reason, mark"
)
SELECT = f"SELECT {COLUMNS} FROM jobs "  # noqa: S608 - constants only
INSERT = (
    f"INSERT OR IGNORE INTO jobs ({COLUMNS}, kind)"  # noqa: S608 - constants only
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
UPDATE = (
    "UPDATE jobs SET printer = ?, state = ?, attempt = ?, doubts = ?, evidence = ?, changed = ?,"
    " reason = ?, mark = ? WHERE job_id = ? AND state = ?"
)
BY_ID = SELECT + "WHERE job_id = ?"
OF_ORDER = SELECT + "WHERE order_id = ? ORDER BY version, created, rowid"
RECENT = SELECT + "ORDER BY created DESC, rowid DESC LIMIT ?"
WAITING = (
    SELECT + "WHERE printer = ? AND state IN ('queued', 'held', 'in_doubt')"
    " ORDER BY priority DESC, created, rowid LIMIT ?"
)
MARKED = (
    SELECT + "WHERE printer = ? AND state IN ('held', 'in_doubt') AND mark IS NOT NULL"
    " ORDER BY created, rowid"
)
IN_STATE = SELECT + "WHERE printer = ? AND state = ? ORDER BY created, rowid"
ANY_WAITING = (
    "SELECT EXISTS (SELECT 1 FROM jobs"
    " WHERE printer = ? AND state IN ('queued', 'held', 'in_doubt'))"
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
