"""Waking up a radio that is there and does not hear: switched off and on, or reset on its USB.

    restart   nothing here: the scan is closed and opened again
    power     org.bluez.Adapter1 Powered: off, then on; whoever may talk to bluetoothd may do it
    reset     USBDEVFS_RESET (linux/usbdevice_fs.h) on the adapter's device, as if it was pulled out
              and plugged in again; only where it hangs on USB, and needs to write its device file

A radio to which something is connected, such as the rider's headset, is left alone.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from drivers.base import DriverError, Rung, Stuck
from drivers.beacons.bluetoothd import adapter_path, call, connected

if TYPE_CHECKING:
    from dbus_fast.aio import MessageBus

SYSFS = Path("/sys/class/bluetooth")
USB = Path("/dev/bus/usb")
USBDEVFS_RESET = 0x5514  # _IO('U', 20)
RESET_S = 10.0
_ADAPTER = "org.bluez.Adapter1"
_DEVICE = "org.bluez.Device1"
_PROPERTIES = "org.freedesktop.DBus.Properties"
POWER, RESET = "switch the adapter off and on", "reset the adapter"


async def recover(adapter: str | None, rung: Rung) -> None:
    """DriverError where that cannot be done, with the reason. The scan must be closed."""
    if rung == "power":
        await power_cycle(adapter)
    elif rung == "reset":
        await usb_reset(adapter)


async def power_cycle(adapter: str | None) -> None:
    async with connected(POWER) as bus:
        path = await adapter_path(bus, adapter, _ADAPTER, doing=POWER)
        await _unused(bus, path, POWER)
        for on in (False, True):
            await _power(bus, path, on=on)


async def usb_reset(adapter: str | None) -> None:
    async with connected(RESET) as bus:
        path = await adapter_path(bus, adapter, _ADAPTER, doing=RESET)
        await _unused(bus, path, RESET)
    device = usb_device(path.rpartition("/")[2])
    try:
        async with asyncio.timeout(RESET_S):
            await asyncio.to_thread(reset, device)
    except TimeoutError:
        raise Stuck(f"{device} was not reset in {RESET_S:.0f} s; pull the adapter out") from None


def usb_device(adapter: str, sysfs: Path = SYSFS, usb: Path = USB) -> Path:
    """Its file under /dev/bus/usb; DriverError when it is not on a USB."""
    device = (sysfs / adapter / "device").resolve()
    for folder in (device, *device.parents):
        try:
            bus, number = (int((folder / name).read_text()) for name in ("busnum", "devnum"))
        except (OSError, ValueError):
            continue
        return usb / f"{bus:03}" / f"{number:03}"
    raise DriverError(f"{adapter} is not on a USB: it cannot be reset, only switched off and on")


def reset(device: Path, ioctl: Callable[[int, int], object] = fcntl.ioctl) -> None:
    """Blocks until the device is back, some hundred milliseconds."""
    try:
        file = os.open(device, os.O_WRONLY)
        try:
            ioctl(file, USBDEVFS_RESET)
        finally:
            os.close(file)
    except PermissionError as error:
        text = f"{device} may not be written: the udev rules of the package are missing"
        raise DriverError(text) from error
    except OSError as error:
        raise DriverError(f"{device} cannot be reset: {error.strerror}; pull it out") from error


async def _power(bus: MessageBus, path: str, *, on: bool) -> None:
    """Bluetoothd answers when the radio has done it."""
    from dbus_fast import Variant

    body = [_ADAPTER, "Powered", Variant("b", on)]
    await call(bus, path, _PROPERTIES, "Set", "ssv", body, doing=POWER)


async def _unused(bus: MessageBus, adapter: str, doing: str) -> None:
    manager = "org.freedesktop.DBus.ObjectManager"
    objects = await call(bus, "/", manager, "GetManagedObjects", doing=doing)
    for path, interfaces in objects.items():
        connected_ = interfaces.get(_DEVICE, {}).get("Connected")
        if path.startswith(f"{adapter}/") and connected_ is not None and connected_.value:
            raise DriverError(f"somebody is connected to it ({path.rpartition('/')[2]})")
