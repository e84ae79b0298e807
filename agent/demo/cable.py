"""A cable that can be pulled: a TCP relay between a device and the broker, or a printer.

Cut means what an agent sees when its router dies: live connections break, new ones are refused. A
slow cable to the virtual printer makes it take its time, as paper does.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from agent.core.clock import Clock

CHUNK = 64 * 1024
SLOW_CHUNK = 256  # of a cable with a rate


class Cable:
    """`async with Cable(target_port, clock)`; listens on a free loopback port."""

    def __init__(self, target_port: int, clock: Clock, *, bytes_per_s: float | None = None) -> None:
        self.port = 0
        self.is_cut = False
        self._target = target_port
        self._clock = clock
        self._rate = bytes_per_s
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Break what is connected, at once and in the middle of whatever is passing."""
        self.is_cut = True
        for end in self._ends:
            end.transport.abort()

    def restore(self) -> None:
        self.is_cut = False

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._ends.add(writer)
        try:
            if not self.is_cut:
                await self._relay(reader, writer)
        except OSError:
            pass  # a broken connection is what a cable is for
        finally:
            self._tasks.discard(task)
            self._ends.discard(writer)
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._ends.add(far_writer)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, far_writer))
                group.create_task(self._pump(far_reader, writer))
        finally:
            self._ends.discard(far_writer)
            far_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Copy until either side ends; then the other direction is ended too."""
        size = CHUNK if self._rate is None else SLOW_CHUNK
        with contextlib.suppress(OSError):
            while data := await reader.read(size):
                writer.write(data)
                await writer.drain()
                if self._rate is not None:
                    await self._clock.sleep(len(data) / self._rate)
        writer.close()
