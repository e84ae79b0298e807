"""The loudspeaker and its failures: a dead card is told of, tried again, never waited for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

from agent.alerting.library import Library
from agent.core.clock import Clock
from agent.core.health import Health
from drivers.base import DriverError, SoundPlayer

OpenPlayer = Callable[[], AbstractAsyncContextManager[SoundPlayer]]

REOPEN_S = 10.0  # between two attempts at a card that does not play


class Speaker:
    """`open_player` is None where no sound is configured: then it is silent without complaint."""

    def __init__(
        self,
        clock: Clock,
        health: Health,
        library: Library,
        open_player: OpenPlayer | None,
        *,
        volume: float = 1.0,
    ) -> None:
        self._clock = clock
        self._health = health
        self._library = library
        self._open_player = open_player
        self._volume = volume
        self._player: SoundPlayer | None = None
        self._stack = AsyncExitStack()
        self._retry_at = -math.inf
        self._checked_at = -math.inf

    @property
    def wanted(self) -> bool:
        """Sound is configured, but there is none."""
        return self._open_player is not None and self._player is None

    async def open(self, *, at_once: bool = False) -> None:
        """Get hold of the card if it is time to try, or `at_once`, for who has just plugged it in;
        a failure is told as a condition."""
        if self._open_player is None or not self.wanted:
            return
        if self._clock.monotonic() < self._retry_at and not at_once:
            return
        try:
            self._player = await self._stack.enter_async_context(self._open_player())
        except DriverError as error:
            await self._lost(error)
        else:
            self._health.clear("sound")
            self._checked_at = self._clock.monotonic()

    async def say(self, names: Sequence[str], *, loud: bool) -> bool:
        """False when nothing was heard. Cancelling stops the sound at once."""
        own, shipped = self._library.preferred(names), self._library.shipped(names)
        try:
            heard = await self._play(own, loud=loud)
        except DriverError as error:
            if own == shipped:
                await self._lost(error)
                return False
            return await self._say_instead(shipped, error, loud=loud)
        if heard:
            self._health.clear("sound.prompts")
        return heard

    def missing(self, names: Sequence[str]) -> list[str]:
        """Those for which there is no clip."""
        return [name for name in names if not self._library.preferred([name])]

    async def check(self, every_s: float) -> None:
        """Open it anew once in a while, so that a card that was pulled out is known before it is
        needed."""
        if self._player is not None and self._clock.monotonic() >= self._checked_at + every_s:
            await self.close()
            await self.open()

    async def close(self) -> None:
        self._player = None
        await self._stack.aclose()

    async def _say_instead(self, shipped: list[Path], why: DriverError, *, loud: bool) -> bool:
        """A recording of the shop's own may be what cannot be played."""
        try:
            heard = await self._play(shipped, loud=loud)
        except DriverError as error:
            await self._lost(error)
            return False
        self._health.set("sound.prompts", f"{why}. The voice that ships is used instead.")
        return heard

    async def _play(self, clips: list[Path], *, loud: bool) -> bool:
        if self._player is None:
            return False
        await self._player.play(clips, 1.0 if loud else self._volume)
        return True

    async def _lost(self, error: DriverError) -> None:
        self._retry_at = self._clock.monotonic() + REOPEN_S
        self._health.set("sound", f"alerts are not heard: {error}", severity="critical")
        await self.close()
