"""What the control socket speaks: one JSON object a line.

A request `{"do": NAME, "params": {...}}` is answered by `{"ok": true, "result": ...}` or by
`{"ok": false, "code": ..., "error": ...}`. Plain `json`, because short commands start faster so.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent.contract.errors import NotRunning, Rejected

LINE_MAX = 4 * 1024 * 1024
STORE_DEFAULT = "/var/lib/edge-agent/agent.db"


def socket_path(store: Path) -> Path:
    """Beside the database, so that who finds the one finds the other."""
    return store.with_suffix(".sock")


def request(do: str, params: dict[str, Any]) -> bytes:
    return json.dumps({"do": do, "params": params}).encode() + b"\n"


def result_of(line: bytes, path: Path) -> Any:
    """The result in a reply line; raises Rejected as the agent said it."""
    if not line:
        raise NotRunning(f"the agent at {path} went away")
    reply = json.loads(line)
    if not reply["ok"]:
        raise Rejected(reply.get("code") or "failed", reply.get("error") or "failed")
    return reply.get("result")
