"""Waking a radio up: over a mocked bluetoothd on a real bus, and a made-up sysfs."""

from __future__ import annotations

import asyncio
import fcntl
from pathlib import Path

import pytest
from dbus_fast import Variant

from agent.core.clock import SystemClock
from drivers.base import DriverError
from drivers.beacons import recovery
from drivers.beacons.bluez import DRIVER, Settings, open_scanner
from tests.drivers.beacons.conftest import Bluetoothd

ADAPTER, DEVICE = "org.bluez.Adapter1", "org.bluez.Device1"


async def powered(daemon: Bluetoothd, name: str = "hci0") -> bool:
    value = await daemon.call(
        f"/org/bluez/{name}", "org.freedesktop.DBus.Properties", "Get", "ss", ADAPTER, "Powered"
    )
    return bool(value.value)


def test_the_adapter_is_switched_off_and_on(bluetoothd: Bluetoothd) -> None:
    async def main() -> None:
        bluetoothd.start()
        await bluetoothd.add_adapter()
        told: list[bool] = []
        bus = await bluetoothd._connect()
        bus.add_message_handler(
            lambda message: (
                told.append(message.body[1]["Powered"].value)
                if message.member == "PropertiesChanged" and "Powered" in message.body[1]
                else None
            )
        )
        await bus.call(_watch())
        assert DRIVER.recover is not None
        await DRIVER.recover(Settings(), "power")
        assert await powered(bluetoothd)
        assert told == [False, True]
        async with asyncio.timeout(30), open_scanner(Settings(), SystemClock()):
            assert await bluetoothd.discovering()
        bus.disconnect()
        await bus.wait_for_disconnect()

    asyncio.run(main())


def _watch() -> object:
    from dbus_fast import Message

    return Message(
        "org.freedesktop.DBus",
        "/org/freedesktop/DBus",
        "org.freedesktop.DBus",
        "AddMatch",
        signature="s",
        body=["type='signal',member='PropertiesChanged'"],
    )


@pytest.mark.parametrize("rung", ["power", "reset"])
def test_a_radio_that_somebody_is_connected_to_is_left_alone(
    bluetoothd: Bluetoothd, rung: str
) -> None:
    async def main() -> None:
        bluetoothd.start()
        await bluetoothd.add_adapter()
        headset = await bluetoothd.call(
            "/", "org.bluez.Mock", "AddDevice", "sss", "hci0", "C0:00:00:00:00:01", "headset"
        )
        await bluetoothd.update(headset, DEVICE, Connected=Variant("b", True))
        with pytest.raises(DriverError, match="somebody is connected to it"):
            await recovery.recover("hci0", rung)  # type: ignore[arg-type]
        assert await powered(bluetoothd)

    asyncio.run(main())


def test_without_the_adapter_it_is_said(bluetoothd: Bluetoothd) -> None:
    bluetoothd.start()
    asyncio.run(bluetoothd.add_adapter())
    with pytest.raises(DriverError, match="hci7 is missing"):
        asyncio.run(recovery.recover("hci7", "power"))


def tree(root: Path, *, usb: bool) -> Path:
    """A sysfs with hci0 on the first interface of device 5 on bus 1, or on a UART."""
    device = root / "devices" / ("usb1/1-1/1-1:1.0" if usb else "soc/serial0-0")
    device.mkdir(parents=True)
    if usb:
        (device.parent / "busnum").write_text("1\n")
        (device.parent / "devnum").write_text("5\n")
    hci = root / "class" / "hci0"
    hci.mkdir(parents=True)
    (hci / "device").symlink_to(device)
    return root / "class"


def test_the_file_of_a_usb_adapter_is_found(tmp_path: Path) -> None:
    found = recovery.usb_device("hci0", tree(tmp_path, usb=True), Path("/dev/bus/usb"))
    assert found == Path("/dev/bus/usb/001/005")


def test_an_adapter_on_a_uart_is_not_reset_and_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="not on a USB"):
        recovery.usb_device("hci0", tree(tmp_path, usb=False))


def test_the_reset_is_asked_of_that_device(tmp_path: Path) -> None:
    asked: list[tuple[str, int]] = []
    device = tmp_path / "005"
    device.touch()

    def ioctl(file: int, request: int) -> None:
        asked.append((Path(f"/proc/self/fd/{file}").readlink().name, request))

    recovery.reset(device, ioctl)
    assert asked == [("005", 0x5514)]


def test_what_is_no_usb_device_is_said(tmp_path: Path) -> None:
    device = tmp_path / "005"
    device.touch()
    with pytest.raises(DriverError, match="cannot be reset: Inappropriate ioctl"):
        recovery.reset(device, fcntl.ioctl)


def test_missing_rights_are_named(tmp_path: Path) -> None:
    def refused(_file: int, _request: int) -> None:
        raise PermissionError(13, "Permission denied")

    device = tmp_path / "005"
    device.touch()
    with pytest.raises(DriverError, match="udev rules of the package"):
        recovery.reset(device, refused)
