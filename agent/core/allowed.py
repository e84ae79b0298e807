"""Runs a service only while it is allowed to; else its device is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from agent.core.changes import Changes
from agent.core.supervisor import Heartbeat, Service


class WhileAllowed:
    """A service around another one, of its name.

    `allowed` is asked whenever `changes` notifies. When it no longer is, the inner service is
    cancelled, which closes what it has open; then `rest` is awaited.
    """

    def __init__(
        self,
        service: Service,
        allowed: Callable[[], bool],
        changes: Changes,
        rest: Callable[[], Awaitable[None]],
    ) -> None:
        self.name = service.name
        self._service = service
        self._allowed = allowed
        self._changes = changes
        self._rest = rest

    async def run(self, heartbeat: Heartbeat) -> None:
        """Until the inner service ends by itself; its failures are passed on, in a group."""
        while True:
            if not self._allowed():
                await self._rest()
                heartbeat.well()  # nothing is wrong with a device that nobody uses
                await heartbeat.idle(self._until(allowed=True))
            async with asyncio.TaskGroup() as group:
                running = group.create_task(self._service.run(heartbeat))
                watching = group.create_task(self._until(allowed=False))
                await asyncio.wait([running, watching], return_when=asyncio.FIRST_COMPLETED)
                ended = running.done()
                running.cancel()
                watching.cancel()
            if ended:
                return

    async def _until(self, *, allowed: bool) -> None:
        while self._allowed() != allowed:
            await self._changes.wait(self._changes.version)
