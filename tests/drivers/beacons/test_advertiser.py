"""The device's own beacon through a mocked bluetoothd on a real bus."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from agent.core.clock import SystemClock
from drivers.base import DriverError
from drivers.beacons import advert
from drivers.beacons.advertiser import PATH, SERVICE, Settings, open_sender
from tests.drivers.beacons.conftest import Bluetoothd, until

MANAGER = "org.bluez.LEAdvertisingManager1"


async def sending(daemon: Bluetoothd) -> int:
    value = await daemon.call(
        "/org/bluez/hci0",
        "org.freedesktop.DBus.Properties",
        "Get",
        "ss",
        MANAGER,
        "ActiveInstances",
    )
    return int(value.value)


async def frame(daemon: Bluetoothd, owner: str) -> bytes:
    """The properties of the advertisement, asked as bluetoothd asks."""
    from dbus_fast import Message

    bus = await daemon._connect()
    try:
        reply = await bus.call(
            Message(
                owner,
                PATH,
                "org.freedesktop.DBus.Properties",
                "GetAll",
                signature="s",
                body=["org.bluez.LEAdvertisement1"],
            )
        )
    finally:
        bus.disconnect()
        await bus.wait_for_disconnect()
    properties = {name: value.value for name, value in reply.body[0].items()}
    assert properties["Type"] == "broadcast"
    assert properties["MinInterval"] == properties["MaxInterval"] == 100
    return bytes(properties["ServiceData"][SERVICE].value)


def test_the_beacon_is_sent_changed_and_withdrawn(bluetoothd: Bluetoothd) -> None:
    async def main() -> None:
        bluetoothd.start()
        await bluetoothd.add_adapter()
        async with asyncio.timeout(30), open_sender(Settings(), SystemClock()) as sender:
            for identifier in (b"ABCDEFGH", b"HGFEDCBA"):
                await sender.send(identifier)
                assert await sending(bluetoothd) == 1
                data = await frame(bluetoothd, sender._bus.unique_name)  # type: ignore[attr-defined]
                found = advert.from_parts({}, {SERVICE: data}, Counter())
                assert found is not None
                assert found.identity == f"eddystone-eid:{identifier.hex()}"
                assert found.power_1m == -59
        assert await sending(bluetoothd) == 0

    asyncio.run(main())


def test_no_adapter_is_said_with_what_to_do(bluetoothd: Bluetoothd) -> None:
    async def main() -> None:
        bluetoothd.start()
        await bluetoothd.call("/", "org.freedesktop.DBus.Mock", "GetCalls", "")
        with pytest.raises(DriverError, match="rfkill list"):
            async with asyncio.timeout(30), open_sender(Settings(), SystemClock()):
                pass

    asyncio.run(main())


def test_without_bluetoothd_it_says_how_to_start_it(bluetoothd: Bluetoothd) -> None:
    async def main() -> None:
        bus = await bluetoothd._connect()
        bus.disconnect()
        await bus.wait_for_disconnect()
        with pytest.raises(DriverError, match="systemctl start bluetooth"):
            async with asyncio.timeout(30), open_sender(Settings(), SystemClock()):
                pass

    asyncio.run(main())


@pytest.mark.parametrize("accident", ["kill", "pull"])
def test_a_radio_that_goes_away_is_noticed(bluetoothd: Bluetoothd, accident: str) -> None:
    async def main() -> None:
        bluetoothd.start()
        await bluetoothd.add_adapter()
        async with asyncio.timeout(30), open_sender(Settings(), SystemClock()) as sender:
            await sender.send(b"ABCDEFGH")
            broken = asyncio.ensure_future(sender.broken())
            await until(lambda: sending(bluetoothd))
            if accident == "kill":
                bluetoothd.kill()
            else:
                await bluetoothd.pull_adapter()
            with pytest.raises(DriverError, match=r"bluetoothd is not running|pulled out"):
                await broken

    asyncio.run(main())
