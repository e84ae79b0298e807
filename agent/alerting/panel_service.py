"""Between the panel and those whom its buttons and lights concern."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from typing import Literal

from agent.alerting.service import AlertingService
from agent.alerting.signals import Signals
from agent.alerting.sos_service import SosService
from agent.contract.errors import Rejected
from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.store.database import StoreError
from drivers.base import Panel, Press

OpenPanel = Callable[[], AbstractAsyncContextManager[Panel]]

Action = Literal["accepted", "rejected", "ready"]
_ACTIONS: dict[str, Action] = {"accept": "accepted", "reject": "rejected", "ready": "ready"}
RETRY_S = 1.0  # while the disk refuses what a button meant


class PanelService:
    """`ack`, and a tap on `sos`, say "heard"; `duty` takes a rider off duty and on again.

    `sos` held raises an SOS, while it is still held: who is in trouble does not count to three. In
    the next `sos_cancel_s` a tap takes it back; holding it once more then changes nothing, because
    people in trouble press twice. After that, holding it again ends it.

    `accept` and `ready` mean the order that has waited longest; `reject` likewise, but held."""

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
        sos_cancel_s: float = 10.0,
        orders: Callable[[Action], Awaitable[object]] | None = None,
        toggle_duty: Callable[[str], Awaitable[object]] | None = None,
    ) -> None:
        self._open_panel = open_panel
        self._clock = clock
        self._health = health
        self._alerting = alerting
        self._sos = sos
        self._signals = signals
        self._sos_hold_s = sos_hold_s
        self._sos_cancel_s = sos_cancel_s
        self._orders = orders
        self._toggle_duty = toggle_duty
        self._holding: asyncio.Task[None] | None = None
        self._held_out = False  # it was held long enough; its release means nothing more
        self._takes_back_until = -math.inf

    async def run(self, heartbeat: Heartbeat) -> None:
        async with self._open_panel() as panel, asyncio.TaskGroup() as group:
            heartbeat.well()
            group.create_task(self._read(panel, group))
            group.create_task(self._show(panel))
            await heartbeat.idle(asyncio.get_running_loop().create_future())

    async def _read(self, panel: Panel, group: asyncio.TaskGroup) -> None:
        async for press in panel.presses():
            if press.button == "sos":
                self._let_go()
                if not press.released:
                    self._held_out = False
                    self._holding = group.create_task(self._hold(press))
                    continue
                if self._held_out:
                    self._held_out = False
                    continue
            if press.released:
                await self._act(press)

    def _let_go(self) -> None:
        if self._holding is not None and not self._held_out:
            self._holding.cancel()
        self._holding = None

    async def _hold(self, press: Press) -> None:
        await self._clock.sleep(press.t + self._sos_hold_s - self._clock.monotonic())
        self._held_out = True  # from here on it is no longer cancelled
        await self._act(replace(press, held_s=self._sos_hold_s, t=press.t + self._sos_hold_s))

    async def _show(self, panel: Panel) -> None:
        while True:
            seen = self._signals.changes.version
            for name, state in self._signals.shown().items():
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
        long = press.held_s >= self._sos_hold_s
        if press.button == "sos" and long:
            return self._held_sos(press)
        if press.button == "sos" and press.t < self._takes_back_until:
            self._takes_back_until = -math.inf
            return self._sos.cancel(self.name, t=press.t)
        if press.button == "duty" and self._toggle_duty is not None:
            return self._toggle_duty(self.name)
        action = _ACTIONS.get(press.button)
        if action is not None and self._orders is not None:
            return self._on_order(self._orders, action) if long or action != "rejected" else _nop()
        return self._alerting.acknowledge(None, self.name)

    async def _held_sos(self, press: Press) -> None:
        if press.t < self._takes_back_until:
            return
        if await self._sos.toggle(self.name, t=press.t):
            self._takes_back_until = press.t + self._sos_cancel_s

    @staticmethod
    async def _on_order(orders: Callable[[Action], Awaitable[object]], action: Action) -> None:
        """Somebody else was quicker: the page shows who."""
        with suppress(Rejected):
            await orders(action)


async def _nop() -> None:
    """A tap on `reject`: too easily done by mistake."""
