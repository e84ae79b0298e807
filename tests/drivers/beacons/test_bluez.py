"""The real bleak against a mocked bluetoothd on a real bus."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dbus_fast import Variant

from agent.core.clock import ManualClock, SystemClock
from drivers.base import Advert, BeaconScanner, DriverError, Stuck
from drivers.beacons import bluez
from drivers.beacons.bluez import QUEUE, BluezScanner, Settings, open_scanner
from tests.drivers.beacons.conftest import Bluetoothd, until

UUID = "f7826da6-4fa2-4e98-8024-bc5b71e0893e"
IBEACON = b"\x02\x15" + uuid.UUID(UUID).bytes + struct.pack(">HHb", 7, 42, -59)


async def send(daemon: Bluetoothd, device: str, rssi: int) -> None:
    """One advertisement, as bluetoothd reports it."""
    manufacturer = {0x4C: Variant("ay", IBEACON)}
    await daemon.update(
        device,
        "org.bluez.Device1",
        RSSI=Variant("n", rssi),
        ServiceData=Variant("a{sv}", {}),
        ManufacturerData=Variant("a{qv}", manufacturer),
    )


async def add_device(daemon: Bluetoothd, address: str = "C0:00:00:00:00:01") -> str:
    path: str = await daemon.call(
        "/", "org.bluez.Mock", "AddDevice", "sss", "hci0", address, "shop"
    )
    return path


def test_adverts_arrive_with_rssi_and_identity(bluetoothd: Bluetoothd) -> None:
    async def main() -> None:
        bluetoothd.start()
        await bluetoothd.add_adapter()
        clock = SystemClock()
        async with asyncio.timeout(30), open_scanner(Settings(adapter="hci0"), clock) as scanner:
            assert await bluetoothd.discovering()
            device = await add_device(bluetoothd)
            for rssi in (-60, 127, -127, -61):
                await send(bluetoothd, device, rssi)
            heard: list[Advert] = []
            async for advert in scanner.adverts():
                if advert.identity:  # the new device itself is reported without data
                    heard.append(advert)
                if advert.rssi == -61:
                    break
        assert [advert.rssi for advert in heard] == [-60, -61]
        assert scanner.rejected["rssi_unknown"] >= 2
        assert {(a.address, a.identity, a.power_1m) for a in heard} == {
            ("C0:00:00:00:00:01", f"ibeacon:{UUID}/7/42", -59)
        }
        assert not await bluetoothd.discovering()

    asyncio.run(main())


def loses_its_radio(
    bluetoothd: Bluetoothd, accident: Callable[[], Awaitable[None]], settings: Settings
) -> str:
    """What the reader is told after the accident."""

    async def main() -> str:
        bluetoothd.start()
        await bluetoothd.add_adapter()
        async with asyncio.timeout(30):
            try:
                async with open_scanner(settings, SystemClock()) as scanner:
                    await accident()
                    async for _ in scanner.adverts():
                        pass
            except DriverError as error:
                return str(error)
        return "nothing"

    return asyncio.run(main())


@pytest.mark.parametrize("settings", [Settings(), Settings(adapter="hci0")])
def test_a_pulled_adapter_is_told_although_the_scan_cannot_be_stopped(
    bluetoothd: Bluetoothd, settings: Settings
) -> None:
    told = loses_its_radio(bluetoothd, bluetoothd.pull_adapter, settings)
    assert "hci0 was pulled out; plug it in again" in told


def test_another_adapter_may_go(bluetoothd: Bluetoothd) -> None:
    async def accident() -> None:
        await bluetoothd.add_adapter("hci1")
        await bluetoothd.pull_adapter("hci1")
        await bluetoothd.pull_adapter("hci0")

    told = loses_its_radio(bluetoothd, accident, Settings(adapter="hci0"))
    assert "hci0 was pulled out" in told


def test_a_switched_off_adapter_is_told(bluetoothd: Bluetoothd) -> None:
    async def accident() -> None:
        await bluetoothd.update(
            "/org/bluez/hci0", "org.bluez.Adapter1", Powered=Variant("b", False)
        )

    told = loses_its_radio(bluetoothd, accident, Settings())
    assert "hci0 is switched off" in told
    assert "bluetoothctl power on" in told


def test_a_dead_bluetoothd_is_told(bluetoothd: Bluetoothd) -> None:
    async def accident() -> None:
        bluetoothd.kill()

    told = loses_its_radio(bluetoothd, accident, Settings())
    assert "systemctl start bluetooth" in told


def test_a_dead_bus_is_told(bluetoothd: Bluetoothd) -> None:
    async def accident() -> None:
        bluetoothd.bus.kill()

    assert "D-Bus went away" in loses_its_radio(bluetoothd, accident, Settings())


def opening_fails(settings: Settings) -> str:
    async def main() -> None:
        async with open_scanner(settings, SystemClock()):
            pass

    with pytest.raises(DriverError) as error:
        asyncio.run(main())
    return str(error.value)


def test_a_missing_adapter_is_named(bluetoothd: Bluetoothd) -> None:
    bluetoothd.start()
    asyncio.run(bluetoothd.add_adapter())
    told = opening_fails(Settings(adapter="hci7"))
    assert "hci7" in told
    assert "bluetoothctl list" in told


def test_no_adapter_at_all_is_told(bluetoothd: Bluetoothd) -> None:
    bluetoothd.start()
    asyncio.run(bluetoothd.call("/", "org.freedesktop.DBus.Peer", "Ping", ""))
    assert "plug one in" in opening_fails(Settings())


def test_no_bluetoothd_is_told(bluetoothd: Bluetoothd) -> None:
    asyncio.run(until(Path(bluetoothd.address.partition("=")[2]).exists))
    assert "systemctl start bluetooth" in opening_fails(Settings())


def test_no_bus_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
    assert "is dbus running?" in opening_fails(Settings())


def test_the_scan_can_be_opened_again_after_the_adapter_came_back(bluetoothd: Bluetoothd) -> None:
    async def main() -> None:
        bluetoothd.start()
        await bluetoothd.add_adapter()
        async with asyncio.timeout(30):
            with contextlib.suppress(DriverError):
                async with open_scanner(Settings(), SystemClock()) as scanner:
                    await bluetoothd.pull_adapter()
                    async for _ in scanner.adverts():
                        pass
            await bluetoothd.add_adapter()
            async with open_scanner(Settings(), SystemClock()) as scanner:
                device = await add_device(bluetoothd)
                await send(bluetoothd, device, -50)
                assert await first(scanner)

    asyncio.run(main())


async def first(scanner: BeaconScanner) -> Advert:
    return await anext(aiter(scanner.adverts()))


def heard(rssi: int) -> tuple[Any, Any]:
    """A device and its data as bleak's callback gets them."""
    device = SimpleNamespace(address="c0:00:00:00:00:01")
    return device, SimpleNamespace(rssi=rssi, manufacturer_data={}, service_data={})


def test_a_late_reader_loses_the_oldest_and_it_is_counted() -> None:
    async def main() -> None:
        scanner = BluezScanner(ManualClock())
        for n in range(QUEUE + 10):
            scanner.heard(*heard(-20 - n % 50))
        assert scanner.rejected == {"queue_full": 10}
        assert (await first(scanner)).rssi == -30

    asyncio.run(main())


def test_bleak_is_only_imported_when_a_scanner_is_opened() -> None:
    assert not hasattr(bluez, "BleakScanner")


async def reply(daemon: Bluetoothd, method: str, error: str, text: str) -> None:
    """From now on the mocked adapter answers a method with this error."""
    code = f"raise dbus.exceptions.DBusException({text!r}, name={error!r})"
    await daemon.call(
        "/org/bluez/hci0",
        "org.freedesktop.DBus.Mock",
        "AddMethod",
        "sssss",
        "org.bluez.Adapter1",
        method,
        "",
        "",
        code,
    )


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        ("org.bluez.Error.InProgress", Stuck, "Operation already in progress"),
        ("org.bluez.Error.Failed", Stuck, "systemctl restart bluetooth"),
        ("org.bluez.Error.NotReady", Stuck, "refused to scan"),
        ("org.freedesktop.DBus.Error.AccessDenied", DriverError, "group bluetooth"),
    ],
)
def test_a_refused_scan_is_told_and_is_one_that_waking_the_radio_up_may_help(
    bluetoothd: Bluetoothd, error: str, kind: type[DriverError], words: str
) -> None:
    async def main() -> None:
        bluetoothd.start()
        await bluetoothd.add_adapter()
        await reply(bluetoothd, "StartDiscovery", error, "Operation already in progress")
        with pytest.raises(DriverError, match=words) as raised:
            async with asyncio.timeout(30), open_scanner(Settings(), SystemClock()):
                pass
        assert type(raised.value) is kind

    asyncio.run(main())


def test_a_switched_off_adapter_is_told_at_the_opening(bluetoothd: Bluetoothd) -> None:
    async def main() -> None:
        bluetoothd.start()
        await bluetoothd.add_adapter()
        await bluetoothd.update(
            "/org/bluez/hci0", "org.bluez.Adapter1", Powered=Variant("b", False)
        )
        with pytest.raises(DriverError, match=r"plug one in|switched off") as raised:
            async with asyncio.timeout(30), open_scanner(Settings(), SystemClock()):
                pass
        assert not isinstance(raised.value, Stuck)

    asyncio.run(main())


def test_after_bluetoothd_was_restarted_the_scan_can_be_opened_again(
    bluetoothd: Bluetoothd,
) -> None:
    async def main() -> None:
        bluetoothd.start()
        await bluetoothd.add_adapter()
        async with asyncio.timeout(40):
            with contextlib.suppress(DriverError):
                async with open_scanner(Settings(), SystemClock()) as scanner:
                    bluetoothd.kill()
                    await first(scanner)
            bluetoothd.start()
            await bluetoothd.add_adapter()
            async with open_scanner(Settings(), SystemClock()) as scanner:
                await send(bluetoothd, await add_device(bluetoothd), -50)
                assert await first(scanner)

    asyncio.run(main())


def test_a_device_that_vanishes_and_comes_back_is_heard_again(bluetoothd: Bluetoothd) -> None:
    async def main() -> None:
        bluetoothd.start()
        await bluetoothd.add_adapter()
        async with asyncio.timeout(30), open_scanner(Settings(), SystemClock()) as scanner:
            adverts = aiter(scanner.adverts())
            for rssi in (-50, -70):
                await send(bluetoothd, await add_device(bluetoothd), rssi)
                while (await anext(adverts)).rssi != rssi:
                    pass
                await bluetoothd.call(
                    "/org/bluez/hci0",
                    "org.bluez.Adapter1",
                    "RemoveDevice",
                    "o",
                    "/org/bluez/hci0/dev_C0_00_00_00_00_01",
                )

    asyncio.run(main())
