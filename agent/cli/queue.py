"""`queue`: what waits on the disk, read beside a running agent."""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from agent.cli import common
from drivers.base import DriverError

STREAMS = ("critical", "state", "telemetry")
TABLES = (*STREAMS, "orders", "jobs", "alerts", "commands", "poison")


def add(groups: common.Groups) -> None:
    sub = common.group(groups, "queue", "What waits on this device.")
    common.reading(common.command(sub, "stats", "How much of what, and how old.", _stats))
    listed = common.command(sub, "list", "The rows of a table.", _list)
    common.reading(listed).add_argument("table", choices=TABLES)
    listed.add_argument("--limit", type=int, default=20)
    export = common.command(sub, "export", "All rows of a table, as NDJSON or CSV.", _export)
    export.add_argument("table", choices=TABLES)
    export.add_argument("--csv", action="store_true")
    retry = common.command(sub, "retry", "Handle messages again that were set aside.", _retry)
    retry.add_argument("id", nargs="?", type=int, metavar="ID", help="default: all of them")
    export.add_argument("--out", metavar="FILE", help="default: standard output")


@contextlib.contextmanager
def _open(arguments: argparse.Namespace) -> Iterator[Any]:
    import sqlite3

    from sqlite_utils import Database

    path = common.store_path(arguments)
    if not path.exists():
        raise DriverError(f"there is no database at {path}; has the agent run?")
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        yield Database(connection)


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
                sql = f"SELECT min(seq) AS first, max(seq) AS last, min(t) AS oldest_t FROM {table}"  # noqa: S608
                stats[table] |= next(iter(database.query(sql)))

    def text(stats: dict[str, dict[str, Any]]) -> str:
        rows: list[list[object]] = [
            [name, s["rows"], s.get("first") or "", s.get("last") or "", _utc(s.get("oldest_t"))]
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
        rows = _rows(stack.enter_context(_open(arguments)), arguments.table)
        out: TextIO = sys.stdout
        if arguments.out:
            out = stack.enter_context(Path(arguments.out).open("w", encoding="utf-8", newline=""))
        if arguments.csv:
            writer = csv.writer(out)
            for n, row in enumerate(rows):
                if n == 0:
                    writer.writerow(row)
                writer.writerow(row.values())
        else:
            for row in rows:
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
    return 0


def _retry(arguments: argparse.Namespace) -> int:
    params = {} if arguments.id is None else {"id": arguments.id}
    outcome = common.ask(arguments, "queue.retry", **params)
    print(f"{outcome['handled']} handled, {outcome['again']} set aside again")
    return 0 if not outcome["again"] else 1


def _utc(t: int | None) -> str:
    return "" if t is None else datetime.fromtimestamp(t / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
