"""Advertisements from the machine's Bluetooth adapter, by way of bluetoothd and bleak.

The scan is active and never pauses. bluetoothd asks the adapter to filter duplicates: one that
obeys gives a report per beacon and scan cycle (about 10.5 s), another every packet; whoever reads
must learn the rate. A scan can also fall silent without any error, which only the reader can see.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import msgspec

from drivers.base import Advert, BeaconScanner, Clock, Driver, DriverError, Rung
from drivers.beacons import advert, recovery
from drivers.beacons.bluetoothd import DEADLINE_S, explained, watch
from drivers.beacons.recording import valid_rssi

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

QUEUE = 2048  # adverts; a reader that is later than that loses the oldest


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    adapter: Annotated[str, msgspec.Meta(pattern="^hci[0-9]+$")] | None = None  # None: the first


class BluezScanner:
    """A `BeaconScanner` that bleak feeds."""

    def __init__(self, clock: Clock) -> None:
        self.rejected: Counter[str] = Counter()
        self._clock = clock
        self._heard: deque[Advert] = deque()
        self._wake = asyncio.Event()
        self._failure: DriverError | None = None

    def heard(self, device: BLEDevice, data: AdvertisementData) -> None:
        """Called by bleak, in the event loop."""
        if not valid_rssi(data.rssi):
            self.rejected["rssi_unknown"] += 1
            return
        found = advert.from_parts(data.manufacturer_data, data.service_data, self.rejected)
        if len(self._heard) >= QUEUE:
            self._heard.popleft()
            self.rejected["queue_full"] += 1
        self._heard.append(
            Advert(
                t=self._clock.monotonic(),
                address=device.address.upper(),
                rssi=data.rssi,
                identity=found.identity if found else None,
                power_1m=found.power_1m if found else None,
            )
        )
        self._wake.set()

    def fail(self, reason: str) -> None:
        """The radio is gone; whoever iterates hears of it. The first reason counts."""
        self._failure = self._failure or DriverError(reason)
        self._wake.set()

    async def adverts(self) -> AsyncIterator[Advert]:
        while True:
            while self._heard:
                yield self._heard.popleft()
            if self._failure is not None:
                raise self._failure
            self._wake.clear()
            await self._wake.wait()


@asynccontextmanager
async def open_scanner(settings: Settings, clock: Clock) -> AsyncIterator[BeaconScanner]:
    from bleak import BleakScanner

    port = BluezScanner(clock)
    async with watch(settings.adapter, port.fail):
        filters = {"DuplicateData": True}
        adapter = {"adapter": settings.adapter} if settings.adapter else {}
        scanner = BleakScanner(port.heard, bluez={"filters": filters, **adapter})  # type: ignore[typeddict-item]
        with explained("scan"):
            async with asyncio.timeout(DEADLINE_S):
                await scanner.start()
        try:
            yield port
        finally:
            # Without the adapter bleak's stop fails too, and must not hide why we are here.
            with suppress(DriverError), explained("scan"):
                async with asyncio.timeout(DEADLINE_S):
                    await scanner.stop()


async def recover(settings: Settings, rung: Rung) -> None:
    await recovery.recover(settings.adapter, rung)


DRIVER = Driver(
    name="bluez",
    summary="Advertisements from the machine's Bluetooth adapter, through BlueZ.",
    settings=Settings,
    open=open_scanner,
    recover=recover,
)
