"""The control socket: how the command line and the demo reach a running agent.

A unix socket beside the store, mode 0660; who may open it may do what staff may do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from agent.contract.errors import NotRunning, Rejected
from agent.contract.local import LINE_MAX, request, result_of
from agent.contract.wire import decode, encode
from agent.core.supervisor import Heartbeat
from drivers.base import DriverError

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
            asked = decode(line, Request, max_bytes=LINE_MAX)
            result = await self._ask(asked.do, asked.params, "cli")
            return Reply(ok=True, result=msgspec.to_builtins(result))
        except Rejected as rejected:
            return Reply(ok=False, code=rejected.code, error=str(rejected))
        except DriverError as error:
            return Reply(ok=False, code="device", error=str(error))


async def ask(path: Path, do: str, params: dict[str, Any] | None = None) -> Any:
    """One request; raises Rejected as the agent said it, NotRunning where none answers."""
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=LINE_MAX)
    except OSError as error:
        raise NotRunning(f"no agent answers at {path} ({error})") from error
    try:
        writer.write(request(do, params or {}))
        await writer.drain()
        line = await reader.readline()
    except OSError as error:
        raise NotRunning(f"the agent at {path} went away ({error})") from error
    finally:
        writer.close()
    return result_of(line, path)
