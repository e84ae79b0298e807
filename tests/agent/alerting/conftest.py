"""An alerting service on a real store, with a simulated loudspeaker and time that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.alerting.library import Library
from agent.alerting.policy import Policy
from agent.alerting.service import AlertingService
from agent.alerting.signals import Signals
from agent.alerting.speaker import Speaker
from agent.contract.events import AlertEvent, Body
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.core.supervisor import Supervisor
from agent.store.database import Database, StoreError
from drivers.base import DriverError
from drivers.sound.simulated import SimulatedPlayer
from tests.support import ListRecorder

DEADLINE_S = 20.0


class DatedRecorder(ListRecorder):
    """Also keeps the monotonic second that each event was given."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float | None] = []

    def put(self, _tx: object, body: Body, *, t: float | None = None) -> int:
        self.times.append(t)
        return super().put(_tx, body, t=t)


@dataclass
class Bench:
    """`recorder` counts from 1, as `seq` does."""

    clock: ManualClock
    health: Health
    recorder: DatedRecorder
    database: Database
    signals: Signals
    player: SimulatedPlayer
    alerting: AlertingService
    supervisor: Supervisor
    no_card: bool = False
    changes: list[None] = field(default_factory=list)

    @asynccontextmanager
    async def open_player(self) -> AsyncIterator[SimulatedPlayer]:
        if self.no_card or self.player.unplugged:
            raise DriverError("there is no sound device default; plug it in")
        yield self.player

    def heard(self) -> list[str]:
        """The clips of each sound, by name, as in `chime new_order 1 2`."""
        return [" ".join(clip.stem for clip in play.clips) for play in self.player.plays]

    def told(self) -> list[tuple[str, str]]:
        """What the back end heard of alerts: (alert_id, state)."""
        bodies = self.recorder.bodies
        return [(body.alert_id, body.state) for body in bodies if isinstance(body, AlertEvent)]

    def conditions(self) -> dict[str, str]:
        return {condition.code: condition.text for condition in self.health.conditions()}

    async def until(self, condition: Callable[[], object], *, passing: float = 0.0) -> None:
        """Wait for it; meanwhile let `passing` seconds go by on the clock at each look."""
        async with asyncio.timeout(DEADLINE_S):
            await self.quiet()
            while not condition():
                await self.clock.advance(passing)
                await self.quiet()

    async def quiet(self) -> None:
        """The service has done what there is to do at this time: the store answers in order."""
        for _ in range(6):
            with suppress(StoreError):  # read in one group with a write that the disk refused
                await self.database.read(lambda tx: tx.execute("SELECT 1").fetchone())
            await self.clock.advance(0)


OpenBench = Callable[..., AbstractAsyncContextManager[Bench]]


@pytest.fixture
def open_bench(tmp_path: Path) -> OpenBench:
    @asynccontextmanager
    async def open_(
        *, run: bool = True, own: Path | None = None, volume: float = 0.5, card: bool = True
    ) -> AsyncIterator[Bench]:
        clock = ManualClock()
        health = Health(clock)
        recorder = DatedRecorder()
        database = Database(tmp_path / "agent.db", clock, health)
        await database.open()
        changes: list[None] = []
        signals = Signals()

        def open_player() -> AbstractAsyncContextManager[SimulatedPlayer]:
            return bench.open_player()

        speaker = Speaker(clock, health, Library("zh", own), open_player, volume=volume)
        alerting = AlertingService(
            database,
            clock,
            health,
            recorder,
            Policy(repeat_s=8, escalate_s=[90]),
            speaker,
            signals,
            lambda: changes.append(None),
        )
        supervisor = Supervisor(clock, health)
        player = SimulatedPlayer(clock)
        bench = Bench(
            clock,
            health,
            recorder,
            database,
            signals,
            player,
            alerting,
            supervisor,
            not card,
            changes,
        )
        try:
            async with asyncio.TaskGroup() as group:
                services = [alerting] if run else []
                task = group.create_task(supervisor.run(services))
                yield bench
                task.cancel()
        finally:
            await database.close()

    return open_
