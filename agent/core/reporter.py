"""Tells the back end of health conditions as they come and go."""

from __future__ import annotations

import asyncio

from agent.contract.events import Health as HealthEvent
from agent.core.health import Condition, Health
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat

QUEUE = 1000  # beyond that the newest are dropped; `status` always shows what holds


class HealthReporter:
    name = "health"

    def __init__(self, health: Health, recorder: Recorder) -> None:
        self._recorder = recorder
        self._queue: asyncio.Queue[tuple[Condition, bool]] = asyncio.Queue(QUEUE)
        for condition in health.conditions():  # e.g. a database that was set aside at the start
            self._changed(condition, raised=True)
        health.listen(self._changed)

    def _changed(self, condition: Condition, raised: bool) -> None:  # noqa: FBT001 - a callback
        if not self._queue.full():
            self._queue.put_nowait((condition, raised))

    async def run(self, heartbeat: Heartbeat) -> None:
        while True:
            condition, raised = await heartbeat.idle(self._queue.get())
            await self._recorder.record(
                HealthEvent(
                    code=condition.code,
                    state="raised" if raised else "cleared",
                    severity=condition.severity,
                    text=condition.text if raised else "",
                    since=int(condition.since * 1000),
                )
            )
