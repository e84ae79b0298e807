"""Advertisements from the machine's Bluetooth adapter, by way of bluetoothd and bleak.

The scan is active and never pauses. bluetoothd asks the adapter to filter duplicates: one that
obeys gives a report per beacon and scan cycle (about 10.5 s), another every packet; whoever reads
must learn the rate. A scan can also fall silent without any error, which only the reader can see.
bleak does not tell that the adapter or bluetoothd went away, so this module watches D-Bus itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import msgspec

from drivers.base import Advert, BeaconScanner, Clock, Driver, DriverError
from drivers.beacons import advert
from drivers.beacons.recording import valid_rssi

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

QUEUE = 2048  # adverts; a reader that is later than that loses the oldest
DEADLINE_S = 15.0  # for one call of bluetoothd
_ADAPTER = "org.bluez.Adapter1"
_NO_BLUETOOTHD = "bluetoothd is not running; `systemctl start bluetooth`"
_SIGNALS = (
    "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.bluez'",
    "type='signal',sender='org.bluez',member='InterfacesRemoved'",
    f"type='signal',sender='org.bluez',member='PropertiesChanged',arg0='{_ADAPTER}'",
)


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
    async with _watch(settings.adapter, port.fail):
        filters = {"DuplicateData": True}
        adapter = {"adapter": settings.adapter} if settings.adapter else {}
        scanner = BleakScanner(port.heard, bluez={"filters": filters, **adapter})  # type: ignore[typeddict-item]
        with _explained():
            async with asyncio.timeout(DEADLINE_S):
                await scanner.start()
        try:
            yield port
        finally:
            # Without the adapter bleak's stop fails too, and must not hide why we are here.
            with suppress(DriverError), _explained():
                async with asyncio.timeout(DEADLINE_S):
                    await scanner.stop()


@asynccontextmanager
async def _watch(adapter: str | None, gone: Callable[[str], None]) -> AsyncIterator[None]:
    """Calls `gone(reason)` when the adapter, bluetoothd or D-Bus goes away."""
    from dbus_fast import BusType
    from dbus_fast.aio import MessageBus

    with _explained():
        bus = MessageBus(bus_type=BusType.SYSTEM)
        try:
            async with asyncio.timeout(DEADLINE_S):
                await bus.connect()
                await _subscribe(bus)
        except BaseException:
            bus.disconnect()
            raise
    bus.add_message_handler(lambda message: _judge(message, adapter, gone))
    ended: asyncio.Future[None] = asyncio.ensure_future(
        bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
    )

    def bus_ended(end: asyncio.Future[None]) -> None:
        if not end.cancelled():
            gone(f"the system D-Bus went away ({end.exception()}); is dbus running?")

    ended.add_done_callback(bus_ended)
    try:
        yield
    finally:
        ended.cancel()
        bus.disconnect()


async def _subscribe(bus: MessageBus) -> None:
    from dbus_fast import Message, MessageType

    for rule in _SIGNALS:
        reply = await bus.call(
            Message(
                destination="org.freedesktop.DBus",
                path="/org/freedesktop/DBus",
                interface="org.freedesktop.DBus",
                member="AddMatch",
                signature="s",
                body=[rule],
            )
        )
        if reply.message_type is MessageType.ERROR:
            raise DriverError(f"the system D-Bus refused to watch bluetoothd: {reply.body}")


def _judge(message: Message, adapter: str | None, gone: Callable[[str], None]) -> None:
    """What a D-Bus signal means for the scan."""
    body = message.body

    def ours(path: str | None) -> bool:
        return adapter is None or path == f"/org/bluez/{adapter}"

    match message.member:
        case "NameOwnerChanged" if body[0] == "org.bluez" and not body[2]:
            gone(_NO_BLUETOOTHD)
        case "InterfacesRemoved" if _ADAPTER in body[1] and ours(body[0]):
            gone(f"Bluetooth adapter {body[0].rpartition('/')[2]} was pulled out; plug it in again")
        case "PropertiesChanged" if body[0] == _ADAPTER and ours(message.path):
            powered = body[1].get("Powered")
            if powered is not None and not powered.value:
                gone(_switched_off(str(message.path).rpartition("/")[2]))
        case _:
            pass


def _switched_off(adapter: str) -> str:
    return (
        f"Bluetooth adapter {adapter} is switched off;"
        " `rfkill unblock bluetooth`, then `bluetoothctl power on`"
    )


@contextmanager
def _explained() -> Iterator[None]:
    """Errors of bleak and D-Bus as DriverError, with what to do."""
    from bleak.exc import BleakBluetoothNotAvailableError, BleakDBusError, BleakError
    from bleak.exc import BleakBluetoothNotAvailableReason as Reason
    from dbus_fast.errors import AuthError, DBusError

    try:
        yield
    except TimeoutError:
        text = f"bluetoothd did not answer in {DEADLINE_S:.0f} s; `systemctl restart bluetooth`"
        raise DriverError(text) from None
    except (OSError, EOFError, AuthError) as error:
        text = f"the system D-Bus cannot be reached ({error}); is dbus running?"
        raise DriverError(text) from error
    except BleakBluetoothNotAvailableError as error:
        if error.reason is Reason.POWERED_OFF:
            raise DriverError(_switched_off("")) from error
        text = f"{error}; plug one in, or see `rfkill list` and `bluetoothctl list`"
        raise DriverError(text) from error
    except BleakDBusError as error:
        if error.dbus_error.endswith((".ServiceUnknown", ".NameHasNoOwner", ".Spawn.ExecFailed")):
            raise DriverError(_NO_BLUETOOTHD) from error
        text = f"bluetoothd refused to scan: {error}; `systemctl restart bluetooth`"
        raise DriverError(text) from error
    except (BleakError, DBusError) as error:
        raise DriverError(f"{error}; `bluetoothctl list` shows the adapters") from error


DRIVER = Driver(
    name="bluez",
    summary="Advertisements from the machine's Bluetooth adapter, through BlueZ.",
    settings=Settings,
    open=open_scanner,
)
