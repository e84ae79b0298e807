"""The virtual printer as a driver (`simulated://`), in this process or behind a loopback port."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from drivers.base import Clock, Driver, DriverError, Printer, WriteError
from drivers.printer.session import Session, open_session
from drivers.printer.transport import Settings
from drivers.printer.virtual import BUFFER_BYTES, VirtualPrinter

CHUNK = 4096
SLOW_CHUNK = 64  # of a serial line
BITS_A_BYTE = 10  # with start and stop

Seconds = Annotated[float, Meta(ge=0.01, le=86_400)]


class Behaviour(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of the URI: `simulated://?paper=60&refill_s=20`, for trying out what happens."""

    baud: Annotated[int, Meta(ge=300, le=1_000_000)] | None = None  # none: at once
    buffer: Annotated[int, Meta(ge=64)] = BUFFER_BYTES  # bytes that it takes while it cannot print
    paper: Annotated[int, Meta(ge=1)] | None = None  # lines on a roll; none: without end
    refill_s: Seconds = 30.0  # until somebody has put in a new one
    fault: Literal["cover_open", "offline", "error", "stall", "power_off"] | None = None
    every_s: Seconds = 300.0  # from the end of that fault to the next
    for_s: Seconds = 15.0  # how long it lasts
    mute: bool = False  # no way back
    counter: bool = True  # knows GS g 2
    job_ids: bool = True  # knows GS ( H
    asb: bool = True


def behaviour(settings: Settings) -> Behaviour:
    """Raises DriverError for an option that there is not."""
    try:
        return msgspec.convert(settings.parts()[1], Behaviour, strict=False)
    except msgspec.ValidationError as error:
        raise DriverError(
            f"printer {settings.name}: {error}; write it as simulated://?paper=60&refill_s=20"
        ) from error


class VirtualTransport:
    """A cable within the process; waits like a real one."""

    readable = True
    inherited = False
    keepable = False

    def __init__(
        self, virtual: VirtualPrinter, settings: Settings, baud: int | None = None
    ) -> None:
        self._byte_s = 0.0 if baud is None else BITS_A_BYTE / baud
        self._chunk = CHUNK if baud is None else SLOW_CHUNK
        if not virtual.connect():
            raise DriverError(f"printer {settings.name} is switched off")
        self._virtual = virtual
        self._settings = settings
        self._changed = threading.Event()
        self._on_the_line = threading.Event()  # never set: waiting for it is the time of the line
        self._unlisten = virtual.listen(self._changed.set)

    def write(self, data: bytes) -> None:
        done = 0
        while done < len(data):
            self._changed.clear()
            taken = self._virtual.receive(data[done : done + self._chunk])
            done += taken
            if self._byte_s:
                self._on_the_line.wait(taken * self._byte_s)
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
    """A new printer at each opening: one whose power failed has forgotten its counters, too."""
    way = behaviour(settings)
    virtual = VirtualPrinter(width_dots=settings.width_dots, mute=way.mute, buffer_bytes=way.buffer)
    virtual.counts, virtual.job_ids, virtual.reports = way.counter, way.job_ids, way.asb
    fate = asyncio.ensure_future(_live(virtual, way, clock))
    try:
        async with open_session(
            settings, lambda: VirtualTransport(virtual, settings, way.baud)
        ) as session:
            yield session
    finally:
        fate.cancel()
        await asyncio.gather(fate, return_exceptions=True)


async def _live(virtual: VirtualPrinter, way: Behaviour, clock: Clock) -> None:
    """What happens to it by and by."""
    async with asyncio.TaskGroup() as group:
        if way.paper is not None:
            group.create_task(_rolls(virtual, way.paper, way.refill_s, clock))
        if way.fault is not None:
            group.create_task(_faults(virtual, way.fault, way, clock))


async def _rolls(virtual: VirtualPrinter, lines: int, refill_s: float, clock: Clock) -> None:
    loop, changed = asyncio.get_running_loop(), asyncio.Event()

    def tell() -> None:
        loop.call_soon_threadsafe(changed.set)

    unlisten = virtual.listen(tell)
    try:
        while True:
            virtual.paper_for(lines)
            while virtual.condition.paper != "out":
                await changed.wait()
                changed.clear()
            await clock.sleep(refill_s)
            virtual.fault("paper_out", on=False)
    finally:
        unlisten()


async def _faults(virtual: VirtualPrinter, name: str, way: Behaviour, clock: Clock) -> None:
    while True:
        await clock.sleep(way.every_s)
        virtual.fault(name)
        await clock.sleep(way.for_s)
        virtual.fault(name, on=False)


DRIVER = Driver(
    name="simulated",
    summary="A virtual printer in this process: simulated://, with faults as its options say.",
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
