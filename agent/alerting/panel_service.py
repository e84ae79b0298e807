"""Between the panel and those whom its buttons and lights concern."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from agent.alerting.service import AlertingService
from agent.alerting.signals import Signals
from agent.alerting.sos_service import SosService
from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.store.database import StoreError
from drivers.base import Panel, Press

OpenPanel = Callable[[], AbstractAsyncContextManager[Panel]]

RETRY_S = 1.0  # while the disk refuses what a button meant


class PanelService:
    """`ack`, and a tap on `sos`, say "heard"; holding `sos` raises an SOS and, again, ends it;
    `duty` takes a rider off duty and on again."""

    name = "panel"

    def __init__(
        self,
        open_panel: OpenPanel,
        clock: Clock,
        health: Health,
        alerting: AlertingService,
        sos: SosService,
        signals: Signals,
        *,
        sos_hold_s: float,
        toggle_duty: Callable[[str], Awaitable[object]] | None = None,
    ) -> None:
        self._open_panel = open_panel
        self._clock = clock
        self._health = health
        self._alerting = alerting
        self._sos = sos
        self._signals = signals
        self._sos_hold_s = sos_hold_s
        self._toggle_duty = toggle_duty

    async def run(self, heartbeat: Heartbeat) -> None:
        async with self._open_panel() as panel, asyncio.TaskGroup() as group:
            heartbeat.well()
            group.create_task(self._read(panel))
            group.create_task(self._show(panel))
            await heartbeat.idle(asyncio.get_running_loop().create_future())

    async def _read(self, panel: Panel) -> None:
        async for press in panel.presses():
            await self._act(press)

    async def _show(self, panel: Panel) -> None:
        while True:
            seen = self._signals.changes.version
            for name, state in list(self._signals.lights.items()):
                await panel.light(name, state)
            await panel.buzz(on=self._signals.buzzing)
            await self._signals.changes.wait(seen)

    async def _act(self, press: Press) -> None:
        """A press is not forgotten because the disk is full for a moment."""
        while True:
            try:
                await self._meaning(press)
            except StoreError as error:
                text = f"the button {press.button} waits because {error}. Free some space."
                self._health.set("panel.store", text, severity="critical")
                await self._clock.sleep(RETRY_S)
            else:
                self._health.clear("panel.store")
                return

    def _meaning(self, press: Press) -> Awaitable[object]:
        if press.button == "sos" and press.held_s >= self._sos_hold_s:
            return self._sos.toggle(self.name, t=press.t)
        if press.button == "duty" and self._toggle_duty is not None:
            return self._toggle_duty(self.name)
        return self._alerting.acknowledge(None, self.name)
