"""What may fail, what ends the process, and when the watchdog is fed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from agent.core.clock import ManualClock, settle
from agent.core.health import Health
from agent.core.supervisor import STUCK_S, Heartbeat, Supervisor
from drivers.base import DriverError


class Act:
    """A service that does what the test says."""

    def __init__(self, run: Callable[[Heartbeat], Awaitable[None]], name: str = "act") -> None:
        self.name = name
        self.run = run


def test_a_device_that_fails_is_opened_again_with_doubling_pauses() -> None:
    async def story() -> None:
        clock = ManualClock()
        health = Health(clock)
        tries: list[float] = []

        async def fails(_heartbeat: Heartbeat) -> None:
            tries.append(clock.monotonic() - 1000)
            raise DriverError("printer unplugged; plug it in")

        task = asyncio.ensure_future(Supervisor(clock, health).run([Act(fails)]))
        await clock.advance(8)
        assert tries == [0, 0.5, 1.5, 3.5, 7.5]
        assert [c.text for c in health.conditions()] == ["printer unplugged; plug it in"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())


def test_a_device_that_fails_in_a_task_of_its_service_is_opened_again_too() -> None:
    async def story() -> None:
        clock = ManualClock()
        health = Health(clock)
        tries: list[float] = []

        async def task() -> None:
            raise DriverError("disk full; free some space")

        async def fails(_heartbeat: Heartbeat) -> None:
            tries.append(clock.monotonic() - 1000)
            async with asyncio.TaskGroup() as group:
                group.create_task(task())

        running = asyncio.ensure_future(Supervisor(clock, health).run([Act(fails)]))
        await clock.advance(2)
        assert tries == [0, 0.5, 1.5]
        assert [c.text for c in health.conditions()] == ["disk full; free some space"]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(story())


def test_a_bug_beside_a_device_that_fails_still_ends_the_process() -> None:
    async def story() -> None:
        clock = ManualClock()

        async def both(_heartbeat: Heartbeat) -> None:
            raise ExceptionGroup("both", [DriverError("gone"), KeyError("bug")])

        with pytest.raises(ExceptionGroup) as caught:
            await Supervisor(clock, Health(clock)).run([Act(both)])
        assert caught.group_contains(KeyError)

    asyncio.run(story())


def test_the_condition_ends_when_the_device_works_again() -> None:
    async def story() -> None:
        clock = ManualClock()
        health = Health(clock)
        broken = True

        async def works_later(heartbeat: Heartbeat) -> None:
            if broken:
                raise DriverError("gone")
            heartbeat.well()
            await heartbeat.idle(clock.sleep(1000))

        task = asyncio.ensure_future(Supervisor(clock, health).run([Act(works_later)]))
        await clock.advance(0.1)
        assert [c.code for c in health.conditions()] == ["service.act"]
        broken = False
        await clock.advance(1)
        assert list(health.conditions()) == []
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())


def test_a_bug_ends_the_process() -> None:
    async def story() -> None:
        clock = ManualClock()

        async def bug(_heartbeat: Heartbeat) -> None:
            raise KeyError("bug")

        with pytest.raises(ExceptionGroup) as caught:
            await Supervisor(clock, Health(clock)).run([Act(bug)])
        assert caught.group_contains(KeyError)

    asyncio.run(story())


def test_the_watchdog_is_fed_only_while_every_service_makes_progress() -> None:
    async def story() -> None:
        clock = ManualClock()
        fed: list[float] = []
        never: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def waits(heartbeat: Heartbeat) -> None:
            await heartbeat.idle(clock.sleep(10_000))

        async def hangs(heartbeat: Heartbeat) -> None:
            await heartbeat.idle(clock.sleep(5))
            await never

        health = Health(clock)
        supervisor = Supervisor(clock, health, feed=lambda: fed.append(clock.monotonic()))
        task = asyncio.ensure_future(supervisor.run([Act(waits, "w"), Act(hangs, "h")]))
        await settle()
        for _ in range(int(STUCK_S) + 20):
            await clock.advance(1)
        assert 1000 + STUCK_S <= fed[-1] <= 1000 + STUCK_S + 6
        assert [c.code for c in health.conditions()] == ["stuck.h"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())
