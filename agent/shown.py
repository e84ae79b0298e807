"""What technicians may look at: the settings and what waits, without secrets."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from agent.config import Config

Table = Literal["critical", "state", "telemetry", "poison"]
ROWS = 15
HIDDEN = "(hidden)"

_SECRET = re.compile(r"(^|[._])(password|secret|token|pin|private)($|[._])")
_USERINFO = re.compile(r"(?<=://)[^/@\s]*@")
_STREAM = "SELECT seq, t, kind, body FROM {} WHERE seq > ? ORDER BY seq LIMIT ?"
_LIST: dict[Table, str] = {
    "critical": _STREAM.format("critical"),
    "state": _STREAM.format("state"),
    "telemetry": _STREAM.format("telemetry"),
    "poison": "SELECT id, t, topic, reason FROM poison WHERE id > ? ORDER BY id LIMIT ?",
}


def settings(config: Config, origin: Mapping[str, str]) -> dict[str, Any]:
    """`settings` by dotted key with secrets hidden, and `origin` of those that are not default."""
    values = dict(flat(msgspec.to_builtins(config), ""))
    return {
        "settings": {key: concealed(key, value) for key, value in values.items()},
        "origin": {key: origin[key] for key in values if key in origin},
    }


def concealed(key: str, value: Any) -> Any:
    """Names of files are shown, what could stand in them is not."""
    if _SECRET.search(key) and value not in (None, "", []):
        return HIDDEN
    if isinstance(value, list | tuple):
        return [concealed(key, one) for one in value]
    if isinstance(value, dict):
        return {name: concealed(f"{key}.{name}", one) for name, one in value.items()}
    return _USERINFO.sub(HIDDEN + "@", value) if isinstance(value, str) else value


def rows(tx: sqlite3.Connection, table: Table, after: int) -> dict[str, Any]:
    """The oldest that wait: `rows[{key, t, what, body}]` and whether there are `more`."""
    found = tx.execute(_LIST[table], (after, ROWS + 1)).fetchall()
    listed = [
        {"key": key, "t": t, "what": what, "body": _text(body)} for key, t, what, body in found
    ]
    return {"rows": listed[:ROWS], "more": len(found) > ROWS}


def _text(body: bytes | str) -> str:
    return body if isinstance(body, str) else body.decode("utf-8", "backslashreplace")


def flat(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    """`{"a": {"b": 1}}` -> `a.b`, 1"""
    if not isinstance(value, dict) or not value:
        yield at, value
        return
    for key, item in value.items():
        yield from flat(item, f"{at}.{key}" if at else key)
