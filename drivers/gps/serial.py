"""A receiver that talks NMEA over a serial line or as a USB serial device, read with pyserial.

All calls to the port are made in one thread, each with a deadline; the bytes are assembled in the
event loop. The kernel's buffer holds about two seconds of a talkative receiver meanwhile.
"""

from __future__ import annotations

import asyncio
import termios
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from drivers.base import Clock, Driver, DriverError, Fix, GpsReceiver
from drivers.gps.nmea import Assembler

T = TypeVar("T")

RATES = (115200, 38400, 9600, 57600, 4800)
LISTEN_S = 2.2  # on each rate; receivers speak once a second
ENOUGH = 2  # sentences with a good checksum
READ_S = 0.2  # a read returns after this, with or without bytes
CALL_S = 2.0  # no call to the port may take longer
READ_MAX = 4096
PAUSE_S = 0.25  # silence after which an epoch is over, whatever the last one looked like


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    device: str = "/dev/ttyACM0"
    baud: Literal["auto"] | Annotated[int, Meta(ge=300, le=4_000_000)] = "auto"
    silence_s: Annotated[float, Meta(gt=0)] = 3.0


class SerialReceiver:
    """See open_receiver."""

    def __init__(self, settings: Settings, clock: Clock, port: _Port) -> None:
        self._assembler = Assembler()
        self.rejected: Counter[str] = self._assembler.rejected
        self._settings = settings
        self._clock = clock
        self._port = port

    async def fixes(self) -> AsyncIterator[Fix]:
        """DriverError when the device is gone, or sends no good sentence for `silence_s`."""
        assembler, said = self._assembler, self._assembler.sentences
        heard = spoke = self._clock.monotonic()
        while True:
            data, t = await self._port.read()
            if data:
                spoke = t
                for fix in assembler.feed(data, t):
                    yield fix
            elif t - spoke >= PAUSE_S:
                for fix in assembler.flush():
                    yield fix
            if assembler.sentences > said:
                heard, said = t, assembler.sentences
            elif t - heard > self._settings.silence_s:
                raise DriverError(self._silence())

    def _silence(self) -> str:
        device, seconds = self._settings.device, self._settings.silence_s
        return (
            f"the GPS receiver at {device} has sent nothing readable for {seconds:.0f} s;"
            " check its power, its cable and the baud rate"
        )


class _Port:
    """The open device and the thread that all its calls are made in."""

    def __init__(self, device: str, clock: Clock) -> None:
        self._device = device
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gps")
        self._serial: Any = None  # serial.Serial, untyped

    async def open(self, rate: int) -> None:
        """Open, or change to this rate and forget what came at another one."""

        def call() -> None:
            if self._serial is None:
                serial: Any = import_module("serial")  # untyped
                self._serial = serial.Serial(self._device, rate, timeout=READ_S, exclusive=True)
            else:
                self._serial.baudrate = rate
                self._serial.reset_input_buffer()

        await self._call(call)

    async def read(self) -> tuple[bytes, float]:
        """What has come, perhaps nothing, and the monotonic second at which it was read."""

        def call() -> tuple[bytes, float]:
            data = self._serial.read(1)
            t = self._clock.monotonic()
            return data + self._serial.read(min(self._serial.in_waiting, READ_MAX)), t

        return await self._call(call)

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
                f"{self._device} does not answer the kernel; unplug it and plug it in again"
            ) from error
        except (OSError, termios.error) as error:
            raise DriverError(
                f"the GPS receiver at {self._device} cannot be used ({error}); is it plugged in, is"
                " position.serial.device right, and does nothing else (gpsd?) hold it?"
            ) from error


@asynccontextmanager
async def open_receiver(settings: Settings, clock: Clock) -> AsyncIterator[GpsReceiver]:
    """Opens the device; with `baud = "auto"` listens at each rate until sentences come."""
    port = _Port(settings.device, clock)
    try:
        if settings.baud == "auto":
            await _find_rate(port, settings.device, clock)
        else:
            await port.open(settings.baud)
        yield SerialReceiver(settings, clock, port)
    finally:
        await port.close()


async def _find_rate(port: _Port, device: str, clock: Clock) -> int:
    heard = 0
    for rate in RATES:
        await port.open(rate)
        assembler, end = Assembler(), clock.monotonic() + LISTEN_S
        while clock.monotonic() < end:
            data, t = await port.read()
            heard += len(data)
            for _ in assembler.feed(data, t):
                pass
            if assembler.sentences >= ENOUGH:
                return rate
    rates = ", ".join(map(str, RATES))
    if heard:
        raise DriverError(
            f"{device} sends {heard} bytes but no NMEA at {rates} baud; switch the receiver to NMEA"
            " or set position.serial.baud"
        )
    raise DriverError(f"{device} sends nothing at {rates} baud; check power and cable")


DRIVER = Driver(
    name="serial",
    summary="An NMEA receiver on a serial line or USB.",
    settings=Settings,
    open=open_receiver,
)
