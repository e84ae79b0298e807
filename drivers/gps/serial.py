"""A receiver that talks NMEA over a serial line or as a USB serial device, read with pyserial.

All calls to the port are made in one thread, each with a deadline; the bytes are assembled in the
event loop. The kernel's buffer holds about two seconds of a talkative receiver meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from drivers.base import About, Clock, Driver, DriverError, Fix, GpsReceiver
from drivers.gps import tuning
from drivers.gps.line import Line
from drivers.gps.nmea import Assembler

PAUSE_S = 0.25  # silence after which an epoch is over, whatever the last one looked like


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    device: str = "/dev/ttyACM0"  # or a pattern that one fits: /dev/serial/by-id/*GNSS*
    baud: Literal["auto"] | Annotated[int, Meta(ge=300, le=4_000_000)] = "auto"  # tried first
    tune: bool = True  # ask it for 115200 baud, 1 Hz and no GSV, in its RAM
    silence_s: Annotated[float, Meta(gt=0)] = 3.0


class SerialReceiver:
    """See open_receiver."""

    def __init__(
        self, settings: Settings, clock: Clock, line: Line, tuned: tuning.Tuned | None = None
    ) -> None:
        self._assembler = Assembler()
        self.rejected: Counter[str] = self._assembler.rejected
        self._settings = settings
        self._clock = clock
        self._line = line
        self._tuned = tuned or tuning.Tuned(None, ())

    @property
    def about(self) -> About:
        return About(
            self._line.device,
            self._tuned.model,
            None if self._line.usb else self._line.rate,
            self._tuned.done,
            self._assembler.in_view(self._clock.monotonic()),
            self._assembler.kinds,
            self._assembler.sky.satellites(self._clock.monotonic()),
            self._assembler.last.lines(),
        )

    async def fixes(self) -> AsyncIterator[Fix]:
        """DriverError when the device is gone, or when nothing new comes for `silence_s`.

        A frozen receiver goes on sending the same second, so only a new epoch counts as life.
        """
        assembler, began = self._assembler, self._assembler.sentences
        fresh = spoke = self._clock.monotonic()
        heard = False
        while True:
            data, t = await self._line.read()
            if data:
                spoke, heard = t, True
                for fix in assembler.feed(data, t):
                    fresh = t
                    yield fix
            elif t - spoke >= PAUSE_S:
                for fix in assembler.flush():
                    fresh = t
                    yield fix
            if t - fresh > self._settings.silence_s:
                raise DriverError(self._silence(t - spoke, heard, assembler.sentences - began))

    def _silence(self, quiet: float, heard: bool, sentences: int) -> str:  # noqa: FBT001
        device, limit = self._line.device, self._settings.silence_s
        if not heard or quiet >= limit - PAUSE_S:
            return (
                f"the GPS receiver at {device} has sent nothing for {limit:.0f} s; check its power"
                " and its cable"
            )
        if not sentences:
            return (
                f"the GPS receiver at {device} has sent nothing readable for {limit:.0f} s; check"
                " its cable and the baud rate"
            )
        return (
            f"the GPS receiver at {device} talks, but has said no new time or position for"
            f" {limit:.0f} s; switch its power off and on"
        )


@asynccontextmanager
async def open_receiver(settings: Settings, clock: Clock) -> AsyncIterator[GpsReceiver]:
    """Opens the device, listens at each rate until sentences come, and asks it to be quick."""
    line = Line(settings.device, clock)
    try:
        first = None if settings.baud == "auto" else settings.baud
        await tuning.find_rate(line, first, clock)
        tuned = await tuning.tune(line, clock) if settings.tune else None
        yield SerialReceiver(settings, clock, line, tuned)
    finally:
        await line.close()


DRIVER = Driver(
    name="serial",
    summary="An NMEA receiver on a serial line or USB.",
    settings=Settings,
    open=open_receiver,
)
