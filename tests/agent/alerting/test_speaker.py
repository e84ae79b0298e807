"""The loudspeaker's card, pulled out and plugged in again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agent.alerting.library import Library
from agent.alerting.speaker import Speaker
from agent.core.clock import ManualClock
from agent.core.health import Health
from drivers.base import DriverError


class Player:
    async def play(self, clips: list[Path], volume: float) -> None:
        assert clips
        assert volume > 0


def test_who_has_just_plugged_the_card_in_need_not_wait_for_the_next_try() -> None:
    async def story() -> None:
        clock = ManualClock()
        health = Health(clock)
        plugged = False

        @asynccontextmanager
        async def opened() -> AsyncIterator[Player]:
            if not plugged:
                raise DriverError("there is no card")
            yield Player()

        speaker = Speaker(clock, health, Library("en", None), opened)
        await speaker.open()
        assert [c.code for c in health.conditions()] == ["sound"]
        plugged = True
        await speaker.open()
        assert not await speaker.say(["chime"], loud=False)
        await speaker.open(at_once=True)
        assert await speaker.say(["chime"], loud=False)
        assert not health.conditions()

    asyncio.run(story())
