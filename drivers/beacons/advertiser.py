"""The device's own beacon: an Eddystone-EID frame, ten times a second, sent by bluetoothd.

bluetoothd asks for the advertisement's properties over D-Bus and sends it until it is withdrawn
(org.bluez.LEAdvertisingManager1). The interval is a wish: a bluetoothd that does not know
`MinInterval` sends at its own pace, which `[LE] MinAdvertisementInterval` of its main.conf sets.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from drivers.base import BeaconSender, Clock, Driver, DriverError
from drivers.beacons.bluetoothd import adapter_path, call, connected, watch

if TYPE_CHECKING:
    from dbus_fast import Message, Variant
    from dbus_fast.aio import MessageBus

PATH = "/edge_agent/beacon"
INTERVAL_MS = 100
SERVICE = "0000feaa-0000-1000-8000-00805f9b34fb"
_MANAGER = "org.bluez.LEAdvertisingManager1"
_ADVERTISEMENT = "org.bluez.LEAdvertisement1"
DOING = "send a beacon"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    adapter: Annotated[str, msgspec.Meta(pattern="^hci[0-9]+$")] | None = None  # None: the first
    power_0m: Annotated[int, msgspec.Meta(ge=-100, le=20)] = -18  # dBm; -59 at 1 m


class BluezSender:
    """A `BeaconSender` that bluetoothd serves."""

    def __init__(self, bus: MessageBus, adapter: str, power_0m: int) -> None:
        self._bus = bus
        self._adapter = adapter
        self._power = power_0m
        self._frame = b""
        self._gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def send(self, identifier: bytes) -> None:
        await self.withdraw()
        self._frame = bytes((0x30, self._power & 0xFF)) + identifier
        await self._ask("RegisterAdvertisement", "oa{sv}", [PATH, {}])

    async def withdraw(self) -> None:
        if self._frame:
            self._frame = b""
            await self._ask("UnregisterAdvertisement", "o", [PATH])

    async def broken(self) -> None:
        raise DriverError(await asyncio.shield(self._gone))

    def fail(self, reason: str) -> None:
        if not self._gone.done():
            self._gone.set_result(reason)

    def answer(self, message: Message) -> Message | None:
        """What bluetoothd asks of the advertisement; None for what is not about it."""
        from dbus_fast import Message as Reply

        if message.path != PATH:
            return None
        if message.member == "GetAll":
            return Reply.new_method_return(message, "a{sv}", [self._properties()])
        if message.interface == _ADVERTISEMENT and message.member == "Release":
            self.fail("bluetoothd has stopped sending the beacon; is the adapter switched off?")
            return Reply.new_method_return(message)
        return None

    def _properties(self) -> dict[str, Variant]:
        from dbus_fast import Variant

        return {
            "Type": Variant("s", "broadcast"),
            "ServiceUUIDs": Variant("as", [SERVICE]),
            "ServiceData": Variant("a{sv}", {SERVICE: Variant("ay", self._frame)}),
            "MinInterval": Variant("u", INTERVAL_MS),
            "MaxInterval": Variant("u", INTERVAL_MS),
        }

    async def _ask(self, member: str, signature: str, body: list[Any]) -> None:
        await call(self._bus, self._adapter, _MANAGER, member, signature, body, doing=DOING)


@asynccontextmanager
async def open_sender(settings: Settings, _clock: Clock) -> AsyncIterator[BeaconSender]:
    async with connected(DOING) as bus:
        adapter = await adapter_path(bus, settings.adapter, _MANAGER, doing=DOING)
        sender = BluezSender(bus, adapter, settings.power_0m)
        bus.add_message_handler(sender.answer)
        async with watch(adapter.rpartition("/")[2], sender.fail):
            try:
                yield sender
            finally:
                # Without adapter or bluetoothd there is nothing left to withdraw.
                with suppress(DriverError):
                    await sender.withdraw()


DRIVER = Driver(
    name="bluez",
    summary="The device's own beacon, sent by the machine's Bluetooth adapter through BlueZ.",
    settings=Settings,
    open=open_sender,
)
