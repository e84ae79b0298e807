"""Printers behind a device file: `file:///dev/usb/lp0`. A plain file collects the bytes instead."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from drivers.base import Clock, Driver, DriverError, Printer
from drivers.printer.session import open_session
from drivers.printer.transport import FdTransport, Settings, Transport


def connect(settings: Settings) -> Transport:
    """A device is read from where it allows that; a plain file is appended to."""
    path = Path(settings.parts()[0])
    try:
        plain = path.parent.is_dir() and (path.is_file() or path.parts[:2] != ("/", "dev"))
        if not plain:
            fd, readable = _open_device(path)
        else:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            readable = False
    except OSError as error:
        raise DriverError(
            f"printer {settings.name}: {path} cannot be opened: {error.strerror}; is it plugged "
            "in, and may this user write to it?"
        ) from error
    return FdTransport(fd, settings, lambda: os.close(fd), readable=readable)


def _open_device(path: Path) -> tuple[int, bool]:
    flags = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        return os.open(path, os.O_RDWR | flags), True
    except PermissionError:
        return os.open(path, os.O_WRONLY | flags), False


@asynccontextmanager
async def open_printer(settings: Settings, clock: Clock) -> AsyncIterator[Printer]:
    del clock  # deadlines are the system's, see transport.py
    async with open_session(settings, lambda: connect(settings)) as session:
        yield session


DRIVER = Driver(
    name="file",
    summary="A printer behind a device file: file:///dev/usb/lp0; or a plain file.",
    settings=Settings,
    open=open_printer,
)
