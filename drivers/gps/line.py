"""A serial line: the open device and the one thread that all its calls are made in."""

from __future__ import annotations

import asyncio
import termios
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from glob import glob, has_magic
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from drivers.base import Clock, DriverError

T = TypeVar("T")

READ_S = 0.2  # a read returns after this, with or without bytes
CALL_S = 2.0  # no call to the port may take longer
READ_MAX = 4096


class Line:
    """`device` is a path, or a pattern that one device must fit."""

    def __init__(self, device: str, clock: Clock) -> None:
        self.device = device
        self.rate = 0
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gps")
        self._serial: Any = None  # serial.Serial, untyped

    @property
    def usb(self) -> bool:
        """Its baud rate is a matter of form (CDC-ACM)."""
        return Path(self.device).resolve().name.startswith("ttyACM")

    async def open(self, rate: int) -> None:
        """Open, or change to this rate and forget what came at another one."""

        def call() -> None:
            if self._serial is None:
                self.device = found(self.device)
                serial: Any = import_module("serial")  # untyped
                self._serial = serial.Serial(
                    self.device, rate, timeout=READ_S, write_timeout=CALL_S / 2, exclusive=True
                )
            else:
                self._serial.baudrate = rate
                self._serial.reset_input_buffer()
            self.rate = rate

        await self._call(call)

    async def read(self) -> tuple[bytes, float]:
        """What has come, perhaps nothing, and the monotonic second at which it was read."""

        def call() -> tuple[bytes, float]:
            data = self._serial.read(1)
            t = self._clock.monotonic()
            return data + self._serial.read(min(self._serial.in_waiting, READ_MAX)), t

        return await self._call(call)

    async def write(self, data: bytes) -> None:
        """Until the last byte has left."""

        def call() -> None:
            self._serial.write(data)
            self._serial.flush()

        await self._call(call)

    async def close(self) -> None:
        def call() -> None:
            if self._serial is not None:
                self._serial.close()

        with suppress(DriverError):  # one that hangs or is gone needs no closing
            await self._call(call)
        self._thread.shutdown(wait=False)

    async def _call(self, call: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(CALL_S):
                return await asyncio.get_running_loop().run_in_executor(self._thread, call)
        except TimeoutError as error:
            raise DriverError(
                f"{self.device} does not answer the kernel; unplug it and plug it in again"
            ) from error
        except (OSError, termios.error) as error:
            raise DriverError(
                f"the GPS receiver at {self.device} cannot be used ({error}); is it plugged in, is"
                " position.serial.device right, and does nothing else (gpsd?) hold it?"
            ) from error


def found(device: str) -> str:
    """The one device that fits a pattern; DriverError when there is none, or are several."""
    if not has_magic(device):
        return device
    fitting = sorted(glob(device))  # noqa: PTH207 - Path.glob takes no absolute pattern
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise DriverError(f"no GPS receiver fits {device}; is it plugged in?")
    raise DriverError(
        f"{len(fitting)} devices fit {device} ({', '.join(fitting[:4])}); name one of them in"
        " position.serial.device"
    )
