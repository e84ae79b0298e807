"""Printers on a serial line: `serial:///dev/ttyUSB0?baud=9600&flow=dsrdtr`.

pyserial sets the line up; reading and writing are the common ones, because pyserial's write does
not say how many bytes went out when its deadline is over.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from drivers.base import Clock, Driver, DriverError, Printer, WriteError
from drivers.printer.session import open_session
from drivers.printer.transport import FdTransport, Settings, Transport

FLOWS = {
    "none": {},
    "dsrdtr": {"dsrdtr": True},
    "rtscts": {"rtscts": True},
    "xonxoff": {"xonxoff": True},
}


class SerialTransport(FdTransport):
    """Waits until the kernel has sent what it took: a line of 9600 baud hides seconds of data."""

    def __init__(self, line: Any, settings: Settings) -> None:
        self._line = line
        super().__init__(line.fileno(), settings, self._shut, unsent=lambda: line.out_waiting)

    def write(self, data: bytes) -> None:
        super().write(data)
        try:
            self.drain()
        except DriverError as error:
            accepted = max(1, len(data) - self._line.out_waiting)
            raise WriteError(str(error), accepted=accepted) from error

    def _shut(self) -> None:
        self._line.reset_output_buffer()  # closing would wait for a dead printer
        self._line.close()


def connect(settings: Settings) -> Transport:
    """Raises DriverError when the line cannot be opened."""
    serial: Any = import_module("serial")

    path, options = settings.parts()
    try:
        line = serial.Serial(
            path,
            baudrate=int(options.get("baud", "9600")),
            timeout=0,
            exclusive=True,
            **FLOWS[options.get("flow", "none")],
        )
    except (OSError, serial.SerialException) as error:
        raise DriverError(f"printer {settings.name}: {path} cannot be opened: {error}") from error
    except (KeyError, ValueError) as error:
        raise DriverError(
            f"printer {settings.name}: write its line as serial:///dev/ttyUSB0?baud=9600, with "
            f"flow={'|'.join(FLOWS)} where the printer holds the line ({error})"
        ) from error
    return SerialTransport(line, settings)


@asynccontextmanager
async def open_printer(settings: Settings, clock: Clock) -> AsyncIterator[Printer]:
    del clock  # deadlines are the system's, see transport.py
    async with open_session(settings, lambda: connect(settings)) as session:
        yield session


DRIVER = Driver(
    name="serial",
    summary="A printer on a serial line: serial:///dev/ttyUSB0?baud=9600.",
    settings=Settings,
    open=open_printer,
)
