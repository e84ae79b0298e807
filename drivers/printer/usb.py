"""Printers on USB without a kernel driver: `usb://`, `usb://VID:PID` or `usb://VID:PID/SERIAL`.

python-escpos opens the device; endpoints are read from the descriptors, because they differ from
model to model. A device that went away and came back is found anew by the next `connect`.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from drivers.base import Clock, Driver, DriverError, Printer, WriteError
from drivers.printer.session import open_session
from drivers.printer.transport import Settings, Transport

PRINTER_CLASS = 7  # USB class of printers
CHUNK = 4096
_TEMPDIR = threading.Lock()  # where temporary files go is said for the whole process
_ADDRESS = re.compile(r"(?:([0-9a-fA-F]{4}):([0-9a-fA-F]{4}))?(?:/(.+))?")


class UsbTransport:
    """Bulk transfers through the endpoints of the printer's interface."""

    inherited = False
    keepable = False

    def __init__(self, settings: Settings, printer: Any) -> None:
        self.readable = printer.in_ep is not None
        self._settings = settings
        self._printer = printer

    def write(self, data: bytes) -> None:
        core: Any = import_module("usb.core")

        timeout = int(self._settings.stall_s * 1000)
        for start in range(0, len(data), CHUNK):
            chunk = data[start : start + CHUNK]
            try:
                sent = self._printer.device.write(self._printer.out_ep, chunk, timeout)
            except core.USBError as error:
                # How much of the chunk went out is not told.
                raise WriteError(
                    f"printer {self._settings.name} on USB broke off: {error.strerror}",
                    accepted=start + len(chunk),
                ) from error
            if sent != len(chunk):
                raise WriteError(
                    f"printer {self._settings.name} on USB takes no more data; is there paper?",
                    accepted=start + sent,
                )

    def drain(self) -> None:
        """A bulk transfer ends when the printer has it."""

    def read(self, wait_s: float) -> bytes:
        core: Any = import_module("usb.core")

        if not self.readable:
            return b""
        try:
            data = self._printer.device.read(self._printer.in_ep, 64, max(1, int(wait_s * 1000)))
        except core.USBTimeoutError:
            return b""
        except core.USBError as error:
            raise DriverError(
                f"printer {self._settings.name} on USB is gone: {error.strerror}; check its cable"
            ) from error
        return bytes(data)

    def fileno(self) -> int | None:
        return None

    def close(self) -> None:
        self._printer.close()


def connect(settings: Settings, backend: Any = None) -> Transport:
    """Raises DriverError when no such printer is plugged in. `backend` is pyusb's, for tests."""
    with _without_litter():
        error: Any = import_module("escpos.exceptions").Error
        opener: Any = import_module("escpos.printer").Usb

    core: Any = import_module("usb.core")

    try:
        device = _find(settings, backend)
        out_ep, in_ep = _endpoints(device)
        match = (device.bus, device.address)
        printer = opener(
            usb_args={
                "backend": backend,
                "custom_match": lambda found: (found.bus, found.address) == match,
            },
            timeout=int(settings.stall_s * 1000),
            in_ep=in_ep,
            out_ep=out_ep,
        )
        printer.open()
    except (core.USBError, core.NoBackendError, error) as problem:
        raise DriverError(
            f"printer {settings.name} on USB cannot be opened: {problem}; may this user use it "
            "(udev rule), and does nothing else hold it?"
        ) from problem
    return UsbTransport(settings, printer)


def _find(settings: Settings, backend: Any) -> Any:
    core: Any = import_module("usb.core")

    wanted = _ADDRESS.fullmatch(settings.parts()[0])
    if wanted is None:
        raise DriverError(f"printer {settings.name}: write it as usb://04b8:0202 or usb://")
    vendor, product, number = wanted.groups()
    for device in core.find(find_all=True, backend=backend) or ():
        if vendor is None and not _is_printer(device):
            continue
        if vendor and (device.idVendor, device.idProduct) != (int(vendor, 16), int(product, 16)):
            continue
        if number and device.serial_number != number:
            continue
        return device
    raise DriverError(f"printer {settings.name}: none on USB at {settings.uri}; is it plugged in?")


def _is_printer(device: Any) -> bool:
    return any(i.bInterfaceClass == PRINTER_CLASS for config in device for i in config)


def _endpoints(device: Any) -> tuple[int, int | None]:
    """Bulk out and bulk in of the printer interface (USB printer class 1.0, chapter 5)."""
    util: Any = import_module("usb.util")

    interfaces = [interface for config in device for interface in config]
    interface = next((i for i in interfaces if i.bInterfaceClass == PRINTER_CLASS), interfaces[0])
    out_ep = in_ep = None
    for endpoint in interface:
        if util.endpoint_type(endpoint.bmAttributes) != util.ENDPOINT_TYPE_BULK:
            continue
        if util.endpoint_direction(endpoint.bEndpointAddress) == util.ENDPOINT_IN:
            in_ep = in_ep or endpoint.bEndpointAddress
        else:
            out_ep = out_ep or endpoint.bEndpointAddress
    if out_ep is None:
        raise DriverError("the device on USB is no printer that can be written to")
    return out_ep, in_ep


@contextlib.contextmanager
def _without_litter() -> Any:
    """Importing escpos makes a temporary folder for a cache that never hits, and leaves it."""
    with _TEMPDIR, tempfile.TemporaryDirectory() as scratch:
        before = tempfile.tempdir
        tempfile.tempdir = scratch
        try:
            yield
        finally:
            tempfile.tempdir = before


@asynccontextmanager
async def open_printer(settings: Settings, clock: Clock) -> AsyncIterator[Printer]:
    del clock  # deadlines are the system's, see transport.py
    async with open_session(settings, lambda: connect(settings)) as session:
        yield session


DRIVER = Driver(
    name="usb",
    summary="A printer on USB: usb://, usb://VID:PID or usb://VID:PID/SERIAL.",
    settings=Settings,
    open=open_printer,
)
