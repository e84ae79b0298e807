"""PostgreSQL, by psycopg 3: for several instances on several machines.

Rows travel as one JSON parameter a statement, which the server takes apart: cheaper than a
parameter a value, and the bodies are JSON already. Every statement that locks does so in the order
of the keys.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import psycopg
from psycopg import Connection, errors

from agent.consumer.booking import Mark, Outcome, Run, book
from agent.consumer.ledger import Span
from agent.consumer.records import EventRow, GapRow, Known, Record, SetAside, StateRow, StreamKey
from agent.consumer.store import SCHEMA_VERSION, Counts, Unavailable, check_version, script
from agent.contract.errors import Rejected
from agent.layers import ConfigError

# An instance that stands still must not keep a stream locked for the others.
SETTINGS = """
SET statement_timeout = '60s';
SET idle_in_transaction_session_timeout = '20s';
SET client_encoding = 'UTF8'"""
CONNECT: Mapping[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 20,
    "tcp_user_timeout": 30_000,
}
SCHEMA_LOCK = 0x65646263
UNFIT = ("22", "54")  # SQLSTATE classes: the value is no good, or too much for the server

KEYS = "json_to_recordset(%s::json) AS k(device text, epoch text, stream text)"
MAKE_MARKS = f"""
INSERT INTO mark (device, epoch, stream) SELECT * FROM {KEYS} ON CONFLICT DO NOTHING"""  # noqa: S608 - ours
MARKS = f"""
SELECT mark.device, mark.epoch, mark.stream, contiguous, newest, told
FROM mark JOIN {KEYS} USING (device, epoch, stream)
ORDER BY mark.device, mark.epoch, mark.stream FOR UPDATE OF mark"""  # noqa: S608
WRITE_MARKS = """
UPDATE mark SET contiguous = k.contiguous, newest = k.newest, told = k.told
FROM json_to_recordset(%s::json) AS k(device text, epoch text, stream text,
                                      contiguous bigint, newest bigint, told bigint)
WHERE (mark.device, mark.epoch, mark.stream) = (k.device, k.epoch, k.stream)"""
EVENTS = """
INSERT INTO event
SELECT r.*, %s FROM json_to_recordset(%s::json) AS r(device text, epoch text, stream text,
    seq bigint, kind text, t bigint, tq text, body jsonb)
ON CONFLICT DO NOTHING"""
RUNS = "device text, epoch text, stream text, first bigint, last bigint"
GAPS = f"""
INSERT INTO gap SELECT r.*, %s FROM json_to_recordset(%s::json) AS r({RUNS}, reason text)
ON CONFLICT DO NOTHING"""  # noqa: S608
AHEAD = f"""
SELECT ahead.device, ahead.epoch, ahead.stream, ahead.first, ahead.last
FROM ahead JOIN json_to_recordset(%s::json) AS w({RUNS}) USING (device, epoch, stream)
WHERE ahead.first <= w.last AND ahead.last >= w.first"""  # noqa: S608
DROP_AHEAD = f"""
DELETE FROM ahead USING json_to_recordset(%s::json) AS r({RUNS})
WHERE (ahead.device, ahead.epoch, ahead.stream, ahead.first)
    = (r.device, r.epoch, r.stream, r.first)"""  # noqa: S608
ADD_AHEAD = f"INSERT INTO ahead SELECT * FROM json_to_recordset(%s::json) AS r({RUNS})"  # noqa: S608
KNOWN = """
SELECT device, epoch, bd_seq, state, since FROM device WHERE device = ANY(%s)
ORDER BY device FOR UPDATE"""
DEVICE = """
INSERT INTO device VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (device) DO UPDATE SET
    (state, epoch, bd_seq, since, boot_id, agent, role, site, open_commands, heard)
    = (excluded.state, excluded.epoch, excluded.bd_seq, excluded.since, excluded.boot_id,
       excluded.agent, excluded.role, excluded.site, excluded.open_commands, excluded.heard)"""
ASIDE = """
INSERT INTO set_aside VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (digest) DO UPDATE
SET times = set_aside.times + 1, last_received = excluded.last_received"""
COUNTS = """
SELECT (SELECT count(*) FROM device),
       (SELECT coalesce(sum(last - first + 1), 0)::bigint FROM missing WHERE awaited),
       (SELECT count(*) FROM set_aside)"""


class PostgresStore:
    def __init__(self, url: str, *, application: str) -> None:
        try:
            known = psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            raise ConfigError([f"--to: {error}"]) from None
        self.name = f"postgresql://{known.get('host') or ''}/{known.get('dbname') or ''}"
        self._url = url
        self._application = application
        self._connection: Connection[tuple[Any, ...]] | None = None

    def apply(self, records: Sequence[Record], now_ms: int) -> Outcome:
        with self._ready() as connection, connection.transaction():
            return book(_Transaction(connection), records, now_ms)

    def counts(self) -> Counts:
        with self._ready() as connection:
            row = connection.execute(COUNTS).fetchone()
            assert row is not None
            return Counts(*row)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def _ready(self) -> Iterator[Connection[tuple[Any, ...]]]:
        try:
            if self._connection is None:
                self._connection = self._open()
            yield self._connection
        except psycopg.Error as error:
            if (error.sqlstate or "")[:2] in UNFIT:
                raise Rejected("refused_by_database", str(error).splitlines()[0]) from None
            self.close()
            if isinstance(error, errors.InsufficientPrivilege):
                raise ConfigError([f"{self.name}: {error}"]) from None
            if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
                raise Unavailable(f"{self.name}: {' '.join(str(error).split())}") from None
            raise  # a bug of ours

    def _open(self) -> Connection[tuple[Any, ...]]:
        connection = psycopg.connect(
            self._url, autocommit=True, application_name=self._application, **CONNECT
        )
        try:
            connection.execute(SETTINGS)
            with connection.transaction():  # of two instances that start together one makes it
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
                self._check(connection)
            _durable(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: Connection[tuple[Any, ...]]) -> None:
        (encoding,) = _one(connection, "SHOW server_encoding")
        if encoding != "UTF8":
            raise ConfigError([f"{self.name} is encoded in {encoding}; UTF8 is needed"])
        (made,) = _one(connection, "SELECT to_regclass('consumer_schema') IS NOT NULL")
        version = _one(connection, "SELECT version FROM consumer_schema")[0] if made else 0

        def make() -> None:
            connection.execute(script("postgres.sql", "views.sql").encode())
            connection.execute("INSERT INTO consumer_schema VALUES (%s)", (SCHEMA_VERSION,))

        check_version(version, make, self.name)


def _durable(connection: Connection[tuple[Any, ...]]) -> None:
    """A device forgets what is acknowledged: a commit that may still be lost is none."""
    if _one(connection, "SHOW synchronous_commit")[0] == "off":
        connection.execute("SET synchronous_commit = on")


def _one(connection: Connection[tuple[Any, ...]], sql: str) -> tuple[Any, ...]:
    row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return row


class _Transaction:
    """agent.consumer.booking.Transaction; the rows of `mark` are the locks."""

    def __init__(self, connection: Connection[tuple[Any, ...]]) -> None:
        self._db = connection

    def lock(self, keys: Sequence[StreamKey]) -> dict[StreamKey, Mark]:
        wanted = _json([key._asdict() for key in keys])
        self._db.execute(MAKE_MARKS, (wanted,))
        found = self._db.execute(MARKS, (wanted,))
        return {StreamKey(*row[:3]): Mark(*row[3:]) for row in found}

    def insert_events(self, rows: Sequence[EventRow], now_ms: int) -> int:
        return self._db.execute(EVENTS, (now_ms, _json(rows))).rowcount

    def insert_gaps(self, rows: Sequence[GapRow], now_ms: int) -> None:
        values = [_run(Run(row.key, row.span)) | {"reason": row.reason} for row in rows]
        self._db.execute(GAPS, (now_ms, _json(values)))

    def ahead(self, windows: Sequence[Run]) -> list[Run]:
        found = self._db.execute(AHEAD, (_runs(windows),))
        return [Run(StreamKey(*row[:3]), Span(*row[3:])) for row in found]

    def replace_ahead(self, gone: Collection[Run], new: Collection[Run]) -> None:
        self._db.execute(DROP_AHEAD, (_runs(gone),))
        self._db.execute(ADD_AHEAD, (_runs(new),))

    def write_marks(self, marks: Mapping[StreamKey, Mark]) -> None:
        values = [key._asdict() | mark._asdict() for key, mark in marks.items()]
        self._db.execute(WRITE_MARKS, (_json(values),))

    def known(self, devices: Sequence[str]) -> dict[str, Known]:
        return {row[0]: Known(*row[1:]) for row in self._db.execute(KNOWN, (list(devices),))}

    def write_devices(self, rows: Sequence[StateRow], now_ms: int) -> None:
        with self._db.cursor() as cursor:
            cursor.executemany(DEVICE, [row.values(now_ms) for row in rows])

    def set_aside(self, rows: Sequence[SetAside], now_ms: int) -> None:
        with self._db.cursor() as cursor:
            cursor.executemany(ASIDE, [row.values(now_ms) for row in rows])


def _run(run: Run) -> dict[str, str | int]:
    return run.key._asdict() | run.span._asdict()


def _runs(runs: Collection[Run]) -> str:
    return _json([_run(run) for run in runs])


def _json(values: object) -> str:
    return msgspec.json.encode(values).decode()
