"""Plays a recorded track in its own rhythm: for demonstrations and for "why did it report that?".

The fixes carry no UTC: the recording's would be years old, and nothing may set its clock by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from drivers.base import About, Clock, Driver, DriverError, Fix, GpsReceiver
from drivers.gps.track import read_track


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    path: str  # .nmea, .log or .csv, also .gz
    speed: Annotated[float, Meta(gt=0)] = 1.0  # times as fast as it was recorded
    loop: bool = False


class ReplayReceiver:
    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.rejected: Counter[str] = Counter()
        self._settings = settings
        self._clock = clock

    @property
    def about(self) -> About:
        return About(self._settings.path)

    async def fixes(self) -> AsyncIterator[Fix]:
        """Every epoch at its time; DriverError when the track is empty or cannot be read."""
        while True:
            began, first = self._clock.monotonic(), None
            for fix in read_track(Path(self._settings.path), self.rejected):
                first = fix.t if first is None else first
                due = began + (fix.t - first) / self._settings.speed
                await self._clock.sleep(due - self._clock.monotonic())
                yield replace(fix, t=self._clock.monotonic(), utc=None)
            if first is None:
                raise DriverError(f"the track {self._settings.path} has no dated fix in it")
            if not self._settings.loop:
                return
            await self._clock.sleep(1.0)


@asynccontextmanager
async def open_receiver(settings: Settings, clock: Clock) -> AsyncIterator[GpsReceiver]:
    yield ReplayReceiver(settings, clock)


DRIVER = Driver(
    name="replay",
    summary="Plays a recorded NMEA or CSV track in its own rhythm.",
    settings=Settings,
    open=open_receiver,
    made_up=True,
)
