"""`queue`: what waits on the disk, read beside a running agent.

What the agent holds in memory, for a few seconds while the link is up, is in `status` only.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import quote

from agent.cli import common
from drivers.errors import DriverError

if TYPE_CHECKING:
    import sqlite3

STREAMS = ("critical", "state", "telemetry")
TABLES = (*STREAMS, "orders", "jobs", "alerts", "commands", "poison")
_SPAN = """SELECT min(seq) AS first, max(seq) AS last,
(SELECT min(t) FROM {table} WHERE tq != 'none' AND kind != 'gap') AS oldest_t FROM {table}"""


def add(groups: common.Groups) -> None:
    sub = common.group(groups, "queue", "What waits on this device.")
    common.reading(common.command(sub, "stats", "How much of what, and how old.", _stats))
    listed = common.command(sub, "list", "The rows of a table.", _list)
    common.reading(listed).add_argument("table", choices=TABLES)
    listed.add_argument("--limit", type=_positive, default=20, metavar="ROWS")
    export = common.command(sub, "export", "All rows of a table, as NDJSON or CSV.", _export)
    export.add_argument("table", choices=TABLES)
    export.add_argument("--csv", action="store_true")
    export.add_argument("--out", metavar="FILE", help="default: standard output")
    retry = common.command(sub, "retry", "Handle messages again that were set aside.", _retry)
    common.reading(retry).add_argument(
        "id", nargs="?", type=_positive, metavar="ID", help="default: all of them"
    )


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 1 << 62:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


@contextlib.contextmanager
def _open(arguments: argparse.Namespace) -> Iterator[Any]:
    import sqlite3

    from sqlite_utils import Database

    path = common.store_path(arguments)
    try:
        if not path.exists():
            raise DriverError(f"there is no database at {path}; has the agent run?")
        with contextlib.closing(_connect(path)) as connection:
            yield Database(connection)
    except (PermissionError, sqlite3.OperationalError) as error:
        if isinstance(error, sqlite3.OperationalError) and "no such table" in str(error):
            raise DriverError(f"{path} is of another version of the agent: {error}") from error
        user = f"its owner ({path.owner()})" if _visible(path) else "the agent's user, or as root"
        raise DriverError(f"{path} cannot be read ({error}); run this as {user}") from error
    except sqlite3.DatabaseError as error:
        raise DriverError(f"{path} is damaged or no database of the agent: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    """Without a log beside it nobody writes, and a folder that we may not write to is no matter."""
    import sqlite3

    how = "mode=ro" if Path(f"{path}-wal").exists() else "mode=ro&immutable=1"
    connection = sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True)
    try:
        connection.execute("SELECT count(*) FROM stream").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _visible(path: Path) -> bool:
    try:
        path.owner()
    except (OSError, KeyError):
        return False
    return True


def _rows(database: Any, table: str, limit: int | None = None) -> Iterator[dict[str, Any]]:
    for row in database[table].rows_where(order_by=database[table].pks[0], limit=limit):
        yield {key: _readable(value) for key, value in row.items()}


def _readable(value: Any) -> Any:
    """JSON columns as what they say, other bytes as text that cannot hurt."""
    if not isinstance(value, bytes):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value.decode("utf-8", "backslashreplace")


def _stats(arguments: argparse.Namespace) -> int:
    stats: dict[str, dict[str, Any]] = {}
    with _open(arguments) as database:
        for table in TABLES:
            stats[table] = {"rows": database[table].count}
            if table in STREAMS:
                stats[table] |= next(iter(database.query(_SPAN.format(table=table))))

    def text(stats: dict[str, dict[str, Any]]) -> str:
        rows: list[list[object]] = [
            [name, s["rows"], *(s.get(key) or "" for key in ("first", "last")), _oldest(s)]
            for name, s in stats.items()
        ]
        return common.table(rows, ["TABLE", "ROWS", "FIRST", "LAST", "OLDEST (UTC)"])

    return common.show(arguments, stats, text)


def _list(arguments: argparse.Namespace) -> int:
    with _open(arguments) as database:
        rows = list(_rows(database, arguments.table, arguments.limit))

    def text(rows: list[dict[str, Any]]) -> str:
        if not rows:
            return f"nothing in {arguments.table}"
        return common.table([list(row.values()) for row in rows], list(rows[0]))

    return common.show(arguments, rows, text)


def _export(arguments: argparse.Namespace) -> int:
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(_open(arguments))
        rows = _rows(database, arguments.table)
        out: TextIO = sys.stdout
        if arguments.out:
            out = stack.enter_context(_create(Path(arguments.out), common.store_path(arguments)))
        if arguments.csv:
            writer = csv.writer(out)
            writer.writerow(column.name for column in database[arguments.table].columns)
            for row in rows:
                writer.writerow(_cell(value) for value in row.values())
        else:
            for row in rows:
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
    return 0


def _retry(arguments: argparse.Namespace) -> int:
    params = {} if arguments.id is None else {"id": arguments.id}
    outcome = common.ask(arguments, "queue.retry", **params)
    common.show(
        arguments, outcome, lambda o: f"{o['handled']} handled, {o['again']} set aside again"
    )
    return 0 if not outcome["again"] else 1


def _create(path: Path, store: Path) -> TextIO:
    """A new file to write to; not over the agent's own."""
    if path.resolve().parent == store.resolve().parent and path.name.startswith(store.stem):
        raise DriverError(f"{path} is the agent's own file; choose another name")
    try:
        return path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise DriverError(f"{path} cannot be written: {error.strerror}") from error


def _oldest(stats: dict[str, Any]) -> str:
    return common.utc(stats.get("oldest_t"))


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value
