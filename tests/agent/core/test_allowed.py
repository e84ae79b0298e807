"""A service that runs only while it may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from agent.core.allowed import WhileAllowed
from agent.core.changes import Changes
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat, Supervisor
from drivers.base import DriverError


class Device:
    """A service with something to close."""

    name = "device"

    def __init__(self) -> None:
        self.events: list[str] = []
        self.says: asyncio.Queue[str] = asyncio.Queue()

    async def run(self, heartbeat: Heartbeat) -> None:
        async with self._opened():
            while (word := await heartbeat.idle(self.says.get())) != "end":
                if word == "broken":
                    raise DriverError("it broke")
                heartbeat.well()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        self.events.append("open")
        try:
            yield
        finally:
            self.events.append("closed")

    async def rest(self) -> None:
        self.events.append("rest")


class Switch:
    def __init__(self) -> None:
        self.on = False
        self.changes = Changes()

    def set(self, *, on: bool) -> None:
        self.on = on
        self.changes.notify()


def play(story: Callable[[Device, Switch, ManualClock, Health], object]) -> list[str]:
    async def main() -> list[str]:
        clock, device, switch = ManualClock(), Device(), Switch()
        health = Health(clock)
        service = WhileAllowed(device, lambda: switch.on, switch.changes, device.rest)
        task = asyncio.ensure_future(Supervisor(clock, health).run([service]))
        await clock.advance(1)
        await story(device, switch, clock, health)  # type: ignore[misc]
        task.cancel()
        await asyncio.wait([task])
        return device.events

    return asyncio.run(main())


def test_it_is_not_opened_before_it_may_and_closed_when_it_no_longer_may() -> None:
    async def story(device: Device, switch: Switch, clock: ManualClock, _: Health) -> None:
        assert device.events == ["rest"]
        switch.set(on=True)
        await clock.advance(1)
        assert device.events == ["rest", "open"]
        switch.set(on=True)  # nothing new
        await clock.advance(1)
        assert device.events == ["rest", "open"]
        switch.set(on=False)
        await clock.advance(1)
        assert device.events == ["rest", "open", "closed", "rest"]
        switch.set(on=True)
        await clock.advance(1)

    assert play(story) == ["rest", "open", "closed", "rest", "open", "closed"]


def test_a_switch_that_goes_to_and_fro_at_once_changes_nothing() -> None:
    async def story(device: Device, switch: Switch, clock: ManualClock, _: Health) -> None:
        switch.set(on=True)
        await clock.advance(1)
        switch.set(on=False)
        switch.set(on=True)
        await clock.advance(1)
        assert device.events[-1] == "open"

    play(story)


def test_what_fails_is_opened_again_and_is_no_trouble_once_it_may_rest() -> None:
    async def story(device: Device, switch: Switch, clock: ManualClock, health: Health) -> None:
        switch.set(on=True)
        await clock.advance(1)
        device.says.put_nowait("broken")
        await clock.advance(0.1)
        assert [c.text for c in health.conditions()] == ["it broke"]
        await clock.advance(2)
        assert device.events == ["rest", "open", "closed", "open"]
        switch.set(on=False)
        await clock.advance(1)
        assert not list(health.conditions())

    play(story)


def test_what_ends_by_itself_is_not_begun_again() -> None:
    async def story(device: Device, switch: Switch, clock: ManualClock, _: Health) -> None:
        switch.set(on=True)
        await clock.advance(1)
        device.says.put_nowait("end")
        await clock.advance(5)
        switch.set(on=False)
        await clock.advance(1)
        switch.set(on=True)
        await clock.advance(1)

    assert play(story) == ["rest", "open", "closed"]
