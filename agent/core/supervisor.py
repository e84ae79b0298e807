"""Named services in one TaskGroup, and the rule for what may fail.

A `DriverError` is the world's: the service is run again after a doubling back-off, with a health
condition meanwhile. Any other exception is a bug: it ends the process, and systemd starts it anew.
The watchdog is fed only while every service makes progress: each one waits for the outside through
`Heartbeat.idle()`, and time spent outside of it without coming back is a hang.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from agent.core.clock import Clock
from agent.core.health import Health
from drivers.base import DriverError

log = logging.getLogger(__name__)
T = TypeVar("T")

BACKOFF_MIN_S = 0.5
BACKOFF_MAX_S = 30.0
STEADY_S = 60.0  # a service that ran this long starts its back-off anew
STUCK_S = 60.0


class Heartbeat:
    """Tells the supervisor that a service is alive; each service has its own."""

    def __init__(self, name: str, clock: Clock, health: Health) -> None:
        self.name = name
        self._clock = clock
        self._health = health
        self._busy_since: float | None = clock.monotonic()
        self.retry_max_s = BACKOFF_MAX_S  # lower for a service that must be back at once

    async def idle(self, waiting: Awaitable[T]) -> T:
        """Wait for the outside (a reading, a queue, a timer): however long, it is no hang."""
        self._busy_since = None
        try:
            return await waiting
        finally:
            self._busy_since = self._clock.monotonic()

    def well(self) -> None:
        """The device works: ends the condition that an earlier DriverError raised."""
        self._health.clear(f"service.{self.name}")

    def stuck(self, now: float) -> bool:
        return self._busy_since is not None and now - self._busy_since > STUCK_S


class Service(Protocol):
    """`run` returns only when its input ends; the supervisor cancels it at shutdown."""

    name: str

    async def run(self, heartbeat: Heartbeat) -> None: ...


class Supervisor:
    def __init__(
        self, clock: Clock, health: Health, *, feed: Callable[[], None] = lambda: None
    ) -> None:
        self._clock = clock
        self._health = health
        self._feed = feed
        self._hearts: dict[str, Heartbeat] = {}

    async def run(self, services: Sequence[Service]) -> None:
        """Until cancelled, or until a service raises what is not a DriverError."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(), name="watch")
            for service in services:
                group.create_task(self._keep(service), name=service.name)

    def stuck(self) -> list[str]:
        """Services that make no progress."""
        now = self._clock.monotonic()
        return [heart.name for heart in self._hearts.values() if heart.stuck(now)]

    async def _keep(self, service: Service) -> None:
        backoff = BACKOFF_MIN_S
        heart = self._hearts[service.name] = Heartbeat(service.name, self._clock, self._health)
        while True:
            started = self._clock.monotonic()
            failed: BaseExceptionGroup[DriverError] | None = None
            try:
                await service.run(heart)
            except* DriverError as errors:  # of the service itself, or of a task group within it
                failed = errors
            # Waiting belongs here: inside `except*` it would hold up a bug raised beside the fault.
            if failed is None:
                log.info("%s has nothing more to do", service.name)
                await heart.idle(asyncio.get_running_loop().create_future())
                return
            if self._clock.monotonic() - started >= STEADY_S:
                backoff = BACKOFF_MIN_S
            self._health.set(f"service.{service.name}", _first(failed))
            await heart.idle(self._clock.sleep(backoff))
            backoff = min(backoff * 2, heart.retry_max_s)

    async def _watch(self) -> None:
        while True:
            await self._clock.tick(1.0)
            self._health.poll()
            stuck = self.stuck()
            for name in self._hearts:
                if name in stuck:
                    self._health.set(f"stuck.{name}", f"service {name} hangs", severity="critical")
                else:
                    self._health.clear(f"stuck.{name}")
            if not stuck:
                self._feed()


def _first(errors: BaseExceptionGroup[BaseException]) -> str:
    """The text of the first error, however deep it lies."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or repr(error)
