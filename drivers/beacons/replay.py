"""Advertisements from a recording, in its own rhythm; see recording.py for the columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec

from drivers.base import Advert, BeaconScanner, Clock, Driver, DriverError
from drivers.beacons import recording


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str
    speed: Annotated[float, msgspec.Meta(gt=0)] = 1.0  # 2 = twice as fast as it was


class ReplayScanner:
    """Ends with the recording."""

    def __init__(self, recorded: Iterator[Advert], rejected: Counter[str], settings: Settings,
                 clock: Clock) -> None:  # fmt: skip
        self.rejected = rejected
        self._recorded = recorded
        self._speed = settings.speed
        self._clock = clock

    async def adverts(self) -> AsyncIterator[Advert]:
        start, first = self._clock.monotonic(), None
        for advert in self._recorded:
            first = advert.t if first is None else first
            due = start + (advert.t - first) / self._speed
            await self._clock.sleep(due - self._clock.monotonic())
            yield replace(advert, t=self._clock.monotonic())


def read_adverts(path: Path, rejected: Counter[str]) -> Generator[Advert]:
    """A recording's adverts with `t` in unix seconds; DriverError when there is none at `path`."""
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as lines:
            yield from recording.read(lines, rejected)
    except OSError as error:
        raise DriverError(f"recording {path} cannot be read: {error.strerror}") from error
    except recording.NotARecording as error:
        raise DriverError(f"{path} is no recording of adverts: {error}") from error


@asynccontextmanager
async def open_scanner(settings: Settings, clock: Clock) -> AsyncIterator[BeaconScanner]:
    rejected: Counter[str] = Counter()
    adverts = read_adverts(Path(settings.path), rejected)
    try:
        yield ReplayScanner(adverts, rejected, settings, clock)
    finally:
        adverts.close()


DRIVER = Driver(
    name="replay",
    summary="Advertisements from a CSV recording, in its own rhythm.",
    settings=Settings,
    open=open_scanner,
)
