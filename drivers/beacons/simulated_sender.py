"""A beacon that is sent to nobody, remembers what it sent, and can be unplugged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from drivers.base import BeaconSender, Clock, Driver, DriverError


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class SimulatedSender:
    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.sending: bytes | None = None
        self._gone = asyncio.Event()

    async def send(self, identifier: bytes) -> None:
        self.sent.append(identifier)
        self.sending = identifier

    async def withdraw(self) -> None:
        self.sending = None

    def unplug(self) -> None:
        self._gone.set()

    async def broken(self) -> None:
        await self._gone.wait()
        raise DriverError("the Bluetooth adapter is gone; plug it in again")


@asynccontextmanager
async def open_sender(_settings: Settings, _clock: Clock) -> AsyncIterator[BeaconSender]:
    yield SimulatedSender()


DRIVER = Driver(
    name="simulated",
    summary="A beacon that nobody can hear.",
    settings=Settings,
    open=open_sender,
)
