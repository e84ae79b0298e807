"""The queries of docs/arrival.md, run on the tables of the reference consumer."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

HOUSE = Path(__file__).parents[2]
PAGE = (HOUSE / "docs" / "arrival.md").read_text("utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)


def tables() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript((HOUSE / "agent" / "consumer" / "sqlite.sql").read_text("utf-8"))
    rows = [
        ("rd-7", 1, 1_000, "shop-021", "arrived", ["o1", "o2"]),
        ("sh-021", 1, 3_000, "rider:rd-7", "arrived", ["o1"]),
        ("sh-099", 1, 200_000, "rider:rd-7", "arrived", ["o9"]),
        ("sh-100", 1, 900_000, "rider:rd-7", "arrived", ["o9"]),
        ("sh-021", 2, 9_000, "rider:rd-7", "exit", ["o1"]),
        ("rd-7", 2, 9_500, "mall", "floor", None),
    ]
    for device, seq, t, place, event, orders in rows:
        body = {"place": place, "event": event, "evidence": {"orders": orders} if orders else {}}
        row = (device, "e", "state", seq, "arrival", t, "ntp", json.dumps(body), t)
        connection.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    return connection


def test_who_says_that_a_courier_arrived() -> None:
    found = tables().execute(QUERIES[0]).fetchall()
    assert found == [("o1", 1_000, 1, 1), ("o2", 1_000, 1, 0), ("o9", 200_000, 0, 1)]


def test_a_courier_at_two_shops_at_once_is_found() -> None:
    assert tables().execute(QUERIES[1]).fetchall() == [("rider:rd-7", "sh-021", "sh-099", 3_000)]
