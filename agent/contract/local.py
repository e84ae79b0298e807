"""What the control socket speaks: one JSON object a line, a request and its reply."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from agent.contract.wire import Rejected, decode

LINE_MAX = 4 * 1024 * 1024


class NotRunning(Exception):
    """No agent listens at the socket, or it went away."""


class Request(msgspec.Struct, frozen=True):
    do: str
    params: dict[str, Any] = {}


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    ok: bool
    result: Any = None
    code: str | None = None
    error: str | None = None


def socket_path(store: Path) -> Path:
    """Beside the database, so that who finds the one finds the other."""
    return store.with_suffix(".sock")


def result_of(line: bytes, path: Path) -> Any:
    """The result in a reply line; raises Rejected as the agent said it."""
    if not line:
        raise NotRunning(f"the agent at {path} went away")
    reply = decode(line, Reply, max_bytes=LINE_MAX)
    if not reply.ok:
        raise Rejected(reply.code or "failed", reply.error or "failed")
    return reply.result
