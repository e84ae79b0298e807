"""The virtual printer as a driver (`simulated://`), in this process or behind a loopback port."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from drivers.base import Clock, Driver, DriverError, Printer, WriteError
from drivers.printer.session import Session, open_session
from drivers.printer.transport import Settings
from drivers.printer.virtual import VirtualPrinter

CHUNK = 4096


class VirtualTransport:
    """A cable within the process; waits like a real one."""

    readable = True

    def __init__(self, virtual: VirtualPrinter, settings: Settings) -> None:
        if not virtual.connect():
            raise DriverError(f"printer {settings.name} is switched off")
        self._virtual = virtual
        self._settings = settings
        self._changed = threading.Event()
        self._unlisten = virtual.listen(self._changed.set)

    def write(self, data: bytes) -> None:
        done = 0
        while done < len(data):
            self._changed.clear()
            done += self._virtual.receive(data[done : done + CHUNK])
            if not self._virtual.connected:
                raise WriteError(f"printer {self._settings.name} broke off", accepted=done)
            if done < len(data) and not self._changed.wait(self._settings.stall_s):
                raise WriteError(f"printer {self._settings.name} takes no more data", accepted=done)

    def drain(self) -> None:
        """Nothing is on its way: what was received is in the printer."""

    def read(self, wait_s: float) -> bytes:
        self._changed.clear()
        data = self._virtual.replies()
        if not data and wait_s and self._virtual.connected:
            self._changed.wait(wait_s)
            data = self._virtual.replies()
        if not data and not self._virtual.connected:
            raise DriverError(f"printer {self._settings.name} closed the connection")
        return data

    def fileno(self) -> int | None:
        return None

    def close(self) -> None:
        self._unlisten()


@asynccontextmanager
async def open_virtual(virtual: VirtualPrinter, settings: Settings) -> AsyncIterator[Session]:
    """A session with a virtual printer that the caller holds, to look at its paper."""
    async with open_session(settings, lambda: VirtualTransport(virtual, settings)) as session:
        yield session


@asynccontextmanager
async def open_printer(settings: Settings, clock: Clock) -> AsyncIterator[Printer]:
    del clock  # it prints at once
    virtual = VirtualPrinter(width_dots=settings.width_dots)
    async with open_virtual(virtual, settings) as session:
        yield session


DRIVER = Driver(
    name="simulated",
    summary="A virtual printer in this process: simulated://.",
    settings=Settings,
    open=open_printer,
)


@asynccontextmanager
async def serve(
    virtual: VirtualPrinter, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[int]:
    """The virtual printer behind a TCP port, as on a network; yields the port.

    One host at a time, as many printers have it: a second one waits until the first has gone.
    """
    turn = asyncio.Lock()
    hosts: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        hosts.add(task)
        try:
            async with turn:
                if virtual.connect():
                    await _attend(virtual, reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the host hung up, or the server ends (asyncio logs cancelled handlers)
        finally:
            hosts.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(accept, host, port, limit=CHUNK)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in hosts:
            task.cancel()
        await asyncio.gather(*hosts, return_exceptions=True)


async def _attend(
    virtual: VirtualPrinter, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """One connection; the printer takes bytes as it can, and speaks when it wants."""
    loop = asyncio.get_running_loop()
    room, speech = asyncio.Event(), asyncio.Event()

    def tell() -> None:  # faults may be set by any thread
        loop.call_soon_threadsafe(room.set)
        loop.call_soon_threadsafe(speech.set)

    unlisten = virtual.listen(tell)
    try:
        async with asyncio.TaskGroup() as group:
            taking = group.create_task(_take(virtual, reader, room))
            giving = group.create_task(_give(virtual, writer, speech))
            await asyncio.wait({taking, giving}, return_when=asyncio.FIRST_COMPLETED)
            taking.cancel()
            giving.cancel()
    except* ConnectionError:
        pass  # the host hung up: its own affair
    finally:
        unlisten()


async def _take(virtual: VirtualPrinter, reader: asyncio.StreamReader, room: asyncio.Event) -> None:
    while data := await reader.read(CHUNK):
        while data:
            room.clear()
            data = data[virtual.receive(data) :]
            if not virtual.connected:
                return
            if data:
                await room.wait()


async def _give(
    virtual: VirtualPrinter, writer: asyncio.StreamWriter, speech: asyncio.Event
) -> None:
    while virtual.connected:
        speech.clear()
        writer.write(virtual.replies())
        await writer.drain()
        await speech.wait()
