"""One SQLite file: for one machine and up to a few instances on it."""

from __future__ import annotations

import contextlib
import select
import sqlite3
from collections.abc import Collection, Iterator, Sequence

from agent.consumer.booking import Mark, Outcome, Run, book
from agent.consumer.ledger import Span
from agent.consumer.records import EventRow, GapRow, Known, Record, SetAside, StateRow, StreamKey
from agent.consumer.store import SCHEMA_VERSION, Counts, Unavailable, check_version, script
from agent.contract.errors import Rejected
from agent.layers import ConfigError

APPLICATION_ID = 0x65646263  # "edbc"; a file of another program is not ours to touch
BUSY_S = 10.0  # so long another instance may hold the file
MODE_RETRY_S = 0.05

MAKE_MARK = "INSERT INTO mark (device, epoch, stream) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
MARK = "SELECT contiguous, newest, told FROM mark WHERE (device, epoch, stream) = (?, ?, ?)"
WRITE_MARK = """
UPDATE mark SET contiguous = ?, newest = ?, told = ? WHERE (device, epoch, stream) = (?, ?, ?)"""
EVENT = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
GAP = "INSERT INTO gap VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
AHEAD = """
SELECT first, last FROM ahead
WHERE (device, epoch, stream) = (?, ?, ?) AND first <= ? AND last >= ? ORDER BY first"""
DROP_AHEAD = "DELETE FROM ahead WHERE (device, epoch, stream, first) = (?, ?, ?, ?)"
ADD_AHEAD = "INSERT INTO ahead VALUES (?, ?, ?, ?, ?)"
KNOWN = "SELECT epoch, bd_seq, state, since FROM device WHERE device = ?"
DEVICE = "INSERT OR REPLACE INTO device VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
ASIDE = """
INSERT INTO set_aside VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET times = times + 1, last_received = excluded.last_received"""
COUNTS = """
SELECT (SELECT count(*) FROM device),
       (SELECT coalesce(sum(last - first + 1), 0) FROM missing WHERE awaited),
       (SELECT count(*) FROM set_aside)"""


class SqliteStore:
    def __init__(self, path: str) -> None:
        self.name = f"sqlite:///{path}"
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def apply(self, records: Sequence[Record], now_ms: int) -> Outcome:
        with self._ready() as connection, _transaction(connection):
            return book(_Transaction(connection), records, now_ms)

    def counts(self) -> Counts:
        with self._ready() as connection:
            return Counts(*connection.execute(COUNTS).fetchone())

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def _ready(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._connection is None:
                self._connection = self._open()
            yield self._connection
        except (sqlite3.DataError, OverflowError) as error:
            raise Rejected("refused_by_database", str(error)) from None
        except sqlite3.DatabaseError as error:
            if isinstance(error, (sqlite3.IntegrityError, sqlite3.ProgrammingError)):
                raise  # a bug of ours
            self.close()
            if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
                raise ConfigError([f"{self.name} is no database"]) from None
            raise Unavailable(f"{self.name}: {error}") from None

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None)
        try:
            _keep_log(connection)
            connection.execute("PRAGMA synchronous = FULL")
            with _transaction(connection):  # of two instances that start together one makes it
                self._check(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and owner != APPLICATION_ID:
            raise ConfigError([f"{self.name} is another program's database"])

        def make() -> None:
            for statement in script("sqlite.sql", "views.sql").split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

        check_version(found, make, self.name)


def _keep_log(connection: sqlite3.Connection) -> None:
    """Of several that open a new file at once one changes its mode. SQLite does not wait there for
    the others, whatever its timeout (sqlite.org/wal.html)."""
    for _ in range(int(BUSY_S / MODE_RETRY_S)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            select.select([], [], [], MODE_RETRY_S)
        else:
            return
    connection.execute("PRAGMA journal_mode = WAL")


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


class _Transaction:
    """agent.consumer.booking.Transaction; BEGIN IMMEDIATE is the lock."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def lock(self, keys: Sequence[StreamKey]) -> dict[StreamKey, Mark]:
        self._db.executemany(MAKE_MARK, keys)
        return {key: Mark(*self._db.execute(MARK, key).fetchone()) for key in keys}

    def insert_events(self, rows: Sequence[EventRow], now_ms: int) -> int:
        done = self._db.executemany(
            EVENT,
            (
                (r.device, r.epoch, r.stream, r.seq, r.kind, r.t, r.tq, _text(r), now_ms)
                for r in rows
            ),
        )
        return done.rowcount

    def insert_gaps(self, rows: Sequence[GapRow], now_ms: int) -> None:
        self._db.executemany(GAP, [(*r.key, *r.span, r.reason, now_ms) for r in rows])

    def ahead(self, windows: Sequence[Run]) -> list[Run]:
        return [
            Run(key, Span(*row))
            for key, (low, high) in windows
            for row in self._db.execute(AHEAD, (*key, high, low))
        ]

    def replace_ahead(self, gone: Collection[Run], new: Collection[Run]) -> None:
        self._db.executemany(DROP_AHEAD, [(*run.key, run.span.first) for run in gone])
        self._db.executemany(ADD_AHEAD, [(*run.key, *run.span) for run in new])

    def write_marks(self, marks: dict[StreamKey, Mark]) -> None:
        self._db.executemany(WRITE_MARK, [(*mark, *key) for key, mark in marks.items()])

    def known(self, devices: Sequence[str]) -> dict[str, Known]:
        found = {device: self._db.execute(KNOWN, (device,)).fetchone() for device in devices}
        return {device: Known(*row) for device, row in found.items() if row}

    def write_devices(self, rows: Sequence[StateRow], now_ms: int) -> None:
        self._db.executemany(DEVICE, [row.values(now_ms) for row in rows])

    def set_aside(self, rows: Sequence[SetAside], now_ms: int) -> None:
        self._db.executemany(ASIDE, [row.values(now_ms) for row in rows])


def _text(row: EventRow) -> str:
    return bytes(row.body).decode()
