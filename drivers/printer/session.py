"""The `Printer` port over any transport: the dialogue runs in one thread per device.

The thread is a daemon: should a library hang beyond all deadlines, the call is given up and the
process can still end.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from drivers.base import DriverError, Evidence, Examination, PrinterStatus
from drivers.printer.dialogue import Dialogue
from drivers.printer.transport import Settings, Transport

T = TypeVar("T")
RESOLVE_S = 5.0  # names resolve slowly
HUNG_S = 60.0  # beyond every deadline of the calls themselves: a library or the kernel hangs


class Session:
    """An open printer; made by `open_session`."""

    def __init__(self, settings: Settings, dialogue: Dialogue, thread: DeviceThread) -> None:
        self.width_dots = settings.width_dots
        self._dialogue = dialogue
        self._thread = thread

    @property
    def talks(self) -> bool:
        return self._dialogue.talks

    @property
    def rejected(self) -> Counter[str]:
        """Bytes from the printer that are no reply, by cause."""
        return self._dialogue.rejected

    async def status(self) -> PrinterStatus:
        return await self._thread.call(self._dialogue.status, HUNG_S)

    async def resync(self) -> None:
        await self._thread.call(self._dialogue.resync, HUNG_S)

    async def write(self, data: bytes) -> None:
        await self._thread.call(lambda: self._dialogue.write(data), None)  # slow lines take minutes

    async def deliver(self, data: bytes, token: str) -> Evidence:
        return await self._thread.call(lambda: self._dialogue.deliver(data, token), None)

    async def resume(self, token: str) -> Evidence:
        return await self._thread.call(lambda: self._dialogue.resume(token), None)

    async def mark(self) -> str | None:
        if not self._dialogue.counts:
            return None
        if self._dialogue.counted:
            return self._dialogue.mark()  # known: its thread need not be asked
        return await self._thread.call(self._dialogue.mark, HUNG_S)

    async def came_out(self, mark: str) -> bool | None:
        return await self._thread.call(lambda: self._dialogue.came_out(mark), HUNG_S)

    async def barrier(self) -> Evidence:
        return await self._thread.call(self._dialogue.barrier, None)

    async def examine(self, pages: Sequence[bytes]) -> Examination:
        return await self._thread.call(lambda: self._dialogue.examine(pages), None)

    async def news(self) -> None:
        """Returns when the printer says something by itself; never, where it cannot."""
        fd = self._dialogue.fileno()
        loop = asyncio.get_running_loop()
        heard = loop.create_future()
        if fd is not None:
            loop.add_reader(fd, _resolve, heard)
        try:
            await heard
        finally:
            if fd is not None:
                loop.remove_reader(fd)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


@contextlib.asynccontextmanager
async def open_session(
    settings: Settings, connect: Callable[[], Transport]
) -> AsyncIterator[Session]:
    """Connects, probes and closes again, all in the device's thread."""
    thread = DeviceThread(settings.name)
    opened: list[tuple[Dialogue, Transport]] = []

    def begin() -> Dialogue:
        transport = connect()
        dialogue = Dialogue(settings, transport)
        opened.append((dialogue, transport))
        dialogue.probe()
        return dialogue

    def leave() -> None:
        for dialogue, transport in opened:
            with contextlib.suppress(DriverError):  # it may be the very reason for leaving
                dialogue.farewell()
            transport.close()

    try:
        dialogue = await thread.call(begin, settings.connect_s + settings.probe_s + RESOLVE_S)
        yield Session(settings, dialogue, thread)
    finally:
        thread.last(leave)
        await thread.end(settings.stall_s)


class DeviceThread:
    """Runs one call after the other for one device."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._ended: Future[None] = Future()
        threading.Thread(target=self._serve, name=f"printer {name}", daemon=True).start()

    async def call(self, function: Callable[[], T], deadline_s: float | None) -> T:
        """What `function` returns or raises; DriverError when it hangs beyond the deadline."""
        done: Future[T] = Future()
        self._calls.put((function, done))
        try:
            async with asyncio.timeout(deadline_s):
                return await asyncio.wrap_future(done)
        except TimeoutError:
            raise DriverError(f"printer {self._name} hangs; unplug it and plug it in") from None

    def last(self, function: Callable[[], None]) -> None:
        """Run this at the end, without waiting for it."""
        self._calls.put((function, Future()))

    async def end(self, patience_s: float) -> None:
        self._calls.put(None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await asyncio.wrap_future(self._ended)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            function, done = call
            if not done.set_running_or_notify_cancel():
                continue
            try:
                done.set_result(function())
            except BaseException as error:  # noqa: BLE001 - handed to the caller, who waits for it
                done.set_exception(error)
        if self._ended.set_running_or_notify_cancel():
            self._ended.set_result(None)
