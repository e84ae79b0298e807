"""Where audit events are read from: the reference consumer's store, or a file of lines."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from agent.contract.errors import Rejected
from agent.fleet.audit import Entry

# Epochs in the order in which the back end first heard of them: their names say nothing.
_SELECT = """
SELECT device, epoch, seq, body FROM (
    SELECT device, epoch, seq, body,
           min(received) OVER (PARTITION BY device, epoch) AS begun
    FROM event WHERE kind = 'audit'
) AS audit
ORDER BY device, begun, epoch, seq"""

Row = tuple[str, str, int, Any]


def read(where: str, device: str | None = None) -> Iterator[tuple[str, list[Entry]]]:
    """Each device with its audit events in order. Rejected where nothing can be read."""
    if where.startswith("sqlite:///"):
        rows = _sqlite(where.removeprefix("sqlite:///"))
    elif where.startswith(("postgresql://", "postgres://")):
        rows = _postgres(where)
    else:
        rows = _file(Path(where))
    for name, group in groupby(rows, key=lambda row: row[0]):
        if device in (None, name):
            yield name, [Entry(epoch, seq, _body(body)) for _, epoch, seq, body in group]


def _sqlite(path: str) -> Iterable[Row]:
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return connection.execute(_SELECT).fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise Rejected("no_store", f"{path} cannot be read: {error}") from None


def _postgres(url: str) -> Iterable[Row]:
    import psycopg

    try:
        with psycopg.connect(url) as connection:
            return connection.execute(_SELECT).fetchall()
    except psycopg.Error as error:
        text = " ".join(str(error).split())
        raise Rejected("no_store", f"the database cannot be read: {text}") from None


def _file(path: Path) -> Iterable[Row]:
    """Events as JSON, one a line, with `device`, `epoch`, `seq` and `body`; others are left out."""
    rows: list[Row] = []
    order: dict[tuple[str, str], int] = {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Rejected("no_file", f"{path} cannot be read: {error}") from None
    for number, line in enumerate(lines, 1):
        try:
            event = json.loads(line)
            if event.get("kind", "audit") != "audit":
                continue
            row = (str(event["device"]), str(event["epoch"]), int(event["seq"]), event["body"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Rejected("bad_line", f"{path}:{number} is no event with its device") from None
        order.setdefault(row[:2], len(order))
        rows.append(row)
    return sorted(rows, key=lambda row: (row[0], order[row[:2]], row[2]))


def _body(body: Any) -> dict[str, Any]:
    found = json.loads(body) if isinstance(body, str | bytes) else body
    return found if isinstance(found, dict) else {}
