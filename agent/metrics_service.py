"""`GET /metrics` on loopback, where `[metrics]` is configured: for a Prometheus on this machine,
or an agent of one that forwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from agent import metrics
from agent.core.clock import cpu_seconds
from agent.core.supervisor import Heartbeat
from agent.metrics import Process
from agent.page.guard import LOOPBACK, hosts, split_listen
from drivers.base import DriverError

CONNECTIONS = 8
REQUEST_BYTES = 8192
DEADLINE_S = 5.0

Status = Callable[[], Awaitable[dict[str, Any]]]


class MetricsService:
    name = "metrics"

    def __init__(self, listen: str, status: Status, started: float) -> None:
        """`started`: unix s."""
        self._host, self._port = split_listen(listen)
        self._status = status
        self._started = started
        self._open = 0
        self.port: int | None = None  # once it listens

    async def run(self, heartbeat: Heartbeat) -> None:
        try:
            server = await asyncio.start_server(
                self._serve, self._host, self._port, limit=REQUEST_BYTES
            )
        except OSError as error:
            where = f"{self._host} port {self._port}"
            raise DriverError(
                f"metrics cannot be offered at {where}: {error.strerror or error}; change"
                " metrics.listen"
            ) from error
        async with server:
            self.port = int(server.sockets[0].getsockname()[1])
            heartbeat.well()
            await heartbeat.idle(server.serve_forever())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= CONNECTIONS:
                async with asyncio.timeout(DEADLINE_S):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(await self._answer(head))
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # who asked went away, or never asked
        finally:
            self._open -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, head: bytes) -> bytes:
        line, *fields = head.decode("latin-1").split("\r\n")
        method, _, rest = line.partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        host = next((f[5:].strip() for f in fields if f.lower().startswith("host:")), "")
        # A web site must not read it through a browser on this machine (DNS rebinding).
        if host.lower() not in hosts(LOOPBACK, self.port or 0):
            return _response("403 Forbidden", "ask for it by localhost or 127.0.0.1\n")
        if path != "/metrics":
            return _response("404 Not Found", "there is only /metrics\n")
        if method != "GET":
            return _response("405 Method Not Allowed", "only GET\n")
        status = msgspec.to_builtins(await self._status())
        return _response("200 OK", metrics.render(status, process(self._started)))


def process(started: float) -> Process:
    """Of this process; zeros where there is no /proc."""
    resident = files = 0
    with contextlib.suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        resident = pages * os.sysconf("SC_PAGE_SIZE")
        files = sum(1 for _ in Path("/proc/self/fd").iterdir())
    return Process(resident, cpu_seconds(), files, started)


def _response(status: str, text: str) -> bytes:
    body = text.encode()
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {metrics.CONTENT_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    ).encode() + body
