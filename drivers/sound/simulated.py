"""A loudspeaker that remembers what it played; it takes as long as the clips do."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from drivers.base import Clock, Driver, DriverError
from drivers.sound.clips import streams

REMEMBERED = 1000  # plays; older ones are forgotten


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    unplugged: bool = False  # as if there were no sound card


@dataclass(slots=True)
class Play:
    t: float  # monotonic s of its start
    clips: tuple[Path, ...]
    volume: float
    seconds: float  # how long it was meant to last
    complete: bool = False  # False while it sounds, and after it was cut short


class SimulatedPlayer:
    def __init__(self, clock: Clock, *, unplugged: bool = False) -> None:
        self.plays: deque[Play] = deque(maxlen=REMEMBERED)
        self.unplugged = unplugged  # set and unset it at will
        self._clock = clock

    async def play(self, clips: Sequence[Path], volume: float = 1.0) -> None:
        if self.unplugged:
            raise DriverError("there is no sound device; plug it in")
        seconds = sum(stream.seconds for stream in streams(clips))
        play = Play(self._clock.monotonic(), tuple(clips), volume, seconds)
        self.plays.append(play)
        await self._clock.sleep(seconds)
        play.complete = True


@asynccontextmanager
async def open_player(settings: Settings, clock: Clock) -> AsyncIterator[SimulatedPlayer]:
    if settings.unplugged:
        raise DriverError("there is no sound device; plug it in")
    yield SimulatedPlayer(clock)


DRIVER = Driver(
    name="simulated",
    summary="Remembers what would have sounded; for demos and tests.",
    settings=Settings,
    open=open_player,
)
