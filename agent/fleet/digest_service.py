"""Tells the back end of bugs, rarely, and at a start how the last life ended."""

from __future__ import annotations

import asyncio
import logging

from agent.contract.events import ErrorEvent
from agent.core.clock import Clock
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from agent.fleet.crash import End
from agent.fleet.digest import Catcher, Told

WORDS = {
    "bug": "the agent ended by an error: {text}",
    "killed": "the agent was killed: by its watchdog, for its memory, or by hand",
    "machine": "the machine went down while the agent ran: no power, or a reset",
}


class DigestService:
    name = "digest"

    def __init__(self, clock: Clock, recorder: Recorder, last: End | None) -> None:
        self._clock = clock
        self._recorder = recorder
        self._last = last
        self._told = Told()
        self._news = asyncio.Event()

    async def run(self, heartbeat: Heartbeat) -> None:
        last, self._last = self._last, None
        if last is not None:
            text = WORDS[last.how].format(text=last.mark.text)
            counts = {last.mark.digest or last.how: 1}
            await self._recorder.record(
                ErrorEvent(source=f"crash.{last.how}", counts=counts, text=text)
            )
        loop = asyncio.get_running_loop()
        catcher = Catcher(lambda: loop.call_soon_threadsafe(self._news.set))
        root = logging.getLogger()
        root.addHandler(catcher)
        try:
            while True:
                await heartbeat.idle(self._news.wait())
                self._news.clear()
                for found in catcher.take():
                    times = self._told.see(found, self._clock.monotonic())
                    if times is not None:
                        counts = {found.id: times}
                        event = ErrorEvent(source="bug", counts=counts, text=found.text)
                        await self._recorder.record(event)
        finally:
            root.removeHandler(catcher)
