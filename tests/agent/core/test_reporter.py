"""The back end hears of every condition that holds, also of one that is older than the reporter."""

from __future__ import annotations

import asyncio

from agent.core.clock import ManualClock, settle
from agent.core.health import Health
from agent.core.reporter import HealthReporter
from agent.core.supervisor import Heartbeat
from tests.support import ListRecorder


def test_what_was_wrong_before_the_start_is_told_too() -> None:
    async def tell() -> None:
        clock = ManualClock()
        health, recorder = Health(clock), ListRecorder()
        health.set("store.set_aside", "the database was set aside", severity="critical")
        reporter = HealthReporter(health, recorder)
        health.set("uplink", "no connection")
        task = asyncio.ensure_future(reporter.run(Heartbeat("health", clock, health)))
        await settle()
        task.cancel()
        told = [(body.code, body.state) for body in recorder.bodies]  # type: ignore[attr-defined]
        assert told == [("store.set_aside", "raised"), ("uplink", "raised")]

    asyncio.run(tell())
