"""The control socket: how the command line reaches a running agent.

A unix socket beside the store, mode 0660: one JSON object a line, `{"do": NAME, "params": {...}}` ->
`{"ok": true, "result": ...}` or `{"ok": false, "code": ..., "error": ...}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from agent.contract.wire import Rejected, decode, encode
from agent.core.supervisor import Heartbeat
from drivers.base import DriverError

LINE_MAX = 4 * 1024 * 1024
CONNECTIONS = 32

Ask = Callable[[str, dict[str, Any], str], Awaitable[Any]]


class Request(msgspec.Struct, frozen=True):
    do: str
    params: dict[str, Any] = {}


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    ok: bool
    result: Any = None
    code: str | None = None
    error: str | None = None


def socket_path(store: Path) -> Path:
    return store.with_suffix(".sock")


class ControlService:
    name = "control"

    def __init__(self, path: Path, ask: Ask) -> None:
        self._path = path
        self._ask = ask
        self._open = 0

    async def run(self, heartbeat: Heartbeat) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        mask = os.umask(0o117)
        try:
            server = await asyncio.start_unix_server(self._serve, self._path, limit=LINE_MAX)
        except OSError as error:
            raise DriverError(f"{self._path} cannot be made: {error.strerror or error}") from error
        finally:
            os.umask(mask)
        async with server:
            await heartbeat.idle(server.serve_forever())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            while self._open <= CONNECTIONS and (line := await reader.readline()):
                writer.write(encode(await self._answer(line)) + b"\n")
                await writer.drain()
        except (OSError, ValueError):
            pass  # the caller went away, or sent a line without an end
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, line: bytes) -> Reply:
        try:
            request = decode(line, Request, max_bytes=LINE_MAX)
            result = await self._ask(request.do, request.params, "cli")
            return Reply(ok=True, result=msgspec.to_builtins(result))
        except Rejected as rejected:
            return Reply(ok=False, code=rejected.code, error=str(rejected))
        except DriverError as error:
            return Reply(ok=False, code="device", error=str(error))


class NotRunning(Exception):
    """No agent listens there."""


def ask_now(path: Path, do: str, params: dict[str, Any], *, timeout_s: float = 30.0) -> Any:
    """One request without an event loop, for the command line; Rejected as the agent said it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as unix:
        unix.settimeout(timeout_s)
        try:
            unix.connect(str(path))
            unix.sendall(encode(Request(do, params)) + b"\n")
            with unix.makefile("rb") as lines:
                line = lines.readline(LINE_MAX)
        except (OSError, TimeoutError) as error:
            raise NotRunning(f"no agent answers at {path} ({error}); is it running?") from error
    return _result(line, path)


async def ask(path: Path, do: str, params: dict[str, Any] | None = None) -> Any:
    """One request from an event loop."""
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=LINE_MAX)
    except OSError as error:
        raise NotRunning(f"no agent answers at {path} ({error})") from error
    try:
        writer.write(encode(Request(do, params or {})) + b"\n")
        await writer.drain()
        line = await reader.readline()
    except OSError as error:
        raise NotRunning(f"the agent at {path} went away ({error})") from error
    finally:
        writer.close()
    return _result(line, path)


def _result(line: bytes, path: Path) -> Any:
    if not line:
        raise NotRunning(f"the agent at {path} went away")
    reply = decode(line, Reply, max_bytes=LINE_MAX)
    if not reply.ok:
        raise Rejected(reply.code or "failed", reply.error or "failed")
    return reply.result
