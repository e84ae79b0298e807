"""One virtual printer behind every kind of transport."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest

from agent.core.clock import SystemClock
from drivers.base import Printer
from drivers.printer import network, serial
from drivers.printer.simulated import open_virtual, serve
from drivers.printer.transport import Settings
from drivers.printer.virtual import VirtualPrinter

FAST = {"stall_s": 0.4, "probe_s": 0.3, "connect_s": 1.0}


@dataclass
class Rig:
    """`open()` opens the printer that prints on `virtual`."""

    kind: str
    virtual: VirtualPrinter
    open: Callable[..., AbstractAsyncContextManager[Printer]]


@pytest.fixture(params=["simulated", "tcp", "serial"])
def rig(request: pytest.FixtureRequest) -> Rig:
    virtual = VirtualPrinter()
    opener = {"simulated": _simulated, "tcp": _tcp, "serial": _serial}[request.param]
    return Rig(request.param, virtual, lambda **settings: opener(virtual, FAST | settings))


@asynccontextmanager
async def _simulated(virtual: VirtualPrinter, settings: dict) -> AsyncIterator[Printer]:
    async with open_virtual(virtual, Settings(uri="simulated://", **settings)) as printer:
        yield printer


@asynccontextmanager
async def _tcp(virtual: VirtualPrinter, settings: dict) -> AsyncIterator[Printer]:
    async with serve(virtual) as port:
        uri = f"tcp://127.0.0.1:{port}"
        async with network.DRIVER.open(Settings(uri=uri, **settings), SystemClock()) as printer:
            yield printer


@asynccontextmanager
async def _serial(virtual: VirtualPrinter, settings: dict) -> AsyncIterator[Printer]:
    with _pty(virtual) as path:
        uri = f"serial://{path}?baud=115200"
        async with serial.DRIVER.open(Settings(uri=uri, **settings), SystemClock()) as printer:
            yield printer


@contextlib.contextmanager
def _pty(virtual: VirtualPrinter) -> Iterator[str]:
    """A pseudo terminal with the virtual printer at its far end."""
    master, slave = os.openpty()
    ended = threading.Event()
    virtual.connect()

    def speak() -> None:
        waiting = b""
        while not ended.is_set():
            if not waiting and select.select([master], [], [], 0.01)[0]:
                waiting = os.read(master, 4096)
            if waiting:
                waiting = waiting[virtual.receive(waiting) :]
            if said := virtual.replies():
                os.write(master, said)

    thread = threading.Thread(target=speak)
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        ended.set()
        thread.join()
        os.close(slave)
        os.close(master)
