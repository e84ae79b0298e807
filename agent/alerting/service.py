"""Alerts sound until somebody answers them, whatever else is going on.

The table of alerts is the truth: it is read anew whenever something changed, so alerts survive a
restart and nothing can be forgotten in memory. Whoever raises or ends one does so in a transaction
of its own and calls `wake()` after the commit.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from agent.alerting import table
from agent.alerting.policy import ONCE, STAYS, Alert, Policy, State, Step, siren
from agent.alerting.signals import Signals
from agent.alerting.speaker import REOPEN_S, Speaker
from agent.alerting.voice import clips
from agent.contract.events import AlertEvent
from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from agent.store.database import Database, StoreError

T = TypeVar("T")

BUZZ_S = 1.0
QUIET_LOOK_S = 30.0  # whether the quiet hours are over
CHECK_S = 300.0  # whether the loudspeaker is still there, while nothing sounds
DISK_GRACE_S = 5.0
PRUNE_S = 6 * 3600.0
KEEP_S = 7 * 86400.0  # closed alerts; so long an id cannot be raised twice


class AlertingService:
    name = "alerting"

    def __init__(
        self,
        database: Database,
        clock: Clock,
        health: Health,
        recorder: Recorder,
        policy: Policy,
        speaker: Speaker,
        signals: Signals,
        changed: Callable[[], None],
        *,
        quiet: Callable[[], bool] = lambda: False,
    ) -> None:
        """`changed` is called in the event loop after every change of an alert made here; `quiet`
        says whether it is a time in which only what cannot wait is heard."""
        self._quiet = quiet
        self._database = database
        self._clock = clock
        self._health = health
        self._recorder = recorder
        self._policy = policy
        self._speaker = speaker
        self._signals = signals
        self._changed = changed
        self._woken = asyncio.Event()
        self._alerts: list[Alert] = []
        self._sounding: Alert | None = None
        self._hushed = False
        self._prune_at = -math.inf

    # --- inside a transaction (in the store's thread) ---------------------------------------------

    def raise_in(
        self,
        tx: sqlite3.Connection,
        cause: str,
        alert_id: str,
        order_id: str | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        """Idempotent by `alert_id`, also after it was answered."""
        alert = Alert(alert_id, cause, self._wall_ms(), order_id=order_id, detail=detail or {})
        if table.insert(tx, alert):
            self._tell(tx, alert, "sounding", None)

    def settle_in(self, tx: sqlite3.Connection, order_id: str, by: str) -> None:
        """Somebody took care of the order: its alerts are acknowledged."""
        ours = [alert for alert in table.unanswered(tx) if alert.order_id == order_id]
        self._move(tx, ours, "acknowledged", by)

    def expire_in(self, tx: sqlite3.Connection, order_id: str) -> None:
        """The order is over: its alerts are pointless, but for the one that says so."""
        ours = [
            alert
            for alert in table.unanswered(tx)
            if alert.order_id == order_id and alert.cause not in STAYS
        ]
        self._move(tx, ours, "expired", None)

    def end_in(self, tx: sqlite3.Connection, alert_id: str, by: str | None) -> None:
        """The cause of this alert is gone (a printer works again, an SOS was cancelled)."""
        ours = [alert for alert in table.unanswered(tx) if alert.alert_id == alert_id]
        self._move(tx, ours, "expired", by)

    def open_in(self, tx: sqlite3.Connection, cause: str, order_id: str) -> str | None:
        """The id of an order's open alert of this cause."""
        for alert in table.unanswered(tx):
            if (alert.cause, alert.order_id) == (cause, order_id):
                return alert.alert_id
        return None

    def _move(
        self, tx: sqlite3.Connection, alerts: Sequence[Alert], state: State, by: str | None
    ) -> None:
        for alert in alerts:
            table.set_state(tx, alert, state, self._wall_ms(), by)
            self._tell(tx, alert, state, by)

    def _tell(self, tx: sqlite3.Connection, alert: Alert, state: State, by: str | None) -> None:
        event = AlertEvent(
            alert_id=alert.alert_id,
            cause=alert.cause,
            state=state,
            by=by,
            order_id=alert.order_id,
            level=alert.level if state == "escalated" else 0,
        )
        self._recorder.put(tx, event)

    # --- from the event loop ----------------------------------------------------------------------

    def wake(self) -> None:
        """Something was committed: look again."""
        self._woken.set()

    async def raise_alert(
        self,
        cause: str,
        alert_id: str,
        order_id: str | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        """Stored when this returns; StoreError when the disk refuses."""
        await self._write(lambda tx: self.raise_in(tx, cause, alert_id, order_id, detail))

    async def end_alert(self, alert_id: str, by: str | None = None) -> None:
        await self._write(lambda tx: self.end_in(tx, alert_id, by))

    async def acknowledge(
        self, ids: Collection[str] | None, by: str, order_id: str | None = None
    ) -> list[str]:
        """Those of these ids, of an order, or all of them; the ids that were open until now.

        The sound stops at once, before the disk has answered. StoreError when it refuses: the
        alert then sounds again.
        """

        def meant(alert: Alert) -> bool:
            named = ids is None or alert.alert_id in ids
            return named and order_id in (None, alert.order_id)

        def close(tx: sqlite3.Connection) -> list[str]:
            ours = [alert for alert in table.unanswered(tx) if meant(alert)]
            self._move(tx, ours, "acknowledged", by)
            return [alert.alert_id for alert in ours]

        if self._sounding is not None and meant(self._sounding):
            self._hushed = True
            self._woken.set()
        return await self._write(close)

    async def open_alerts(self) -> list[Alert]:
        """Those that nobody has answered, the oldest first."""
        return await self._database.read(table.unanswered)

    async def _write(self, run: Callable[[sqlite3.Connection], T]) -> T:
        result = await self._database.write(run)
        self.wake()
        self._changed()
        return result

    # --- the loop ---------------------------------------------------------------------------------

    async def run(self, heartbeat: Heartbeat) -> None:
        try:
            while True:
                self._woken.clear()
                await heartbeat.idle(self._speaker.open())
                step = await self._look()
                if step.sound is None:
                    await heartbeat.idle(self._pause(step.wait_s))
                else:
                    await heartbeat.idle(self._sound(step.sound, step.level))
        finally:
            await self._speaker.close()

    async def _look(self) -> Step:
        await self._load()
        self._signals.light("alert", "blink" if self._alerts else "off")
        quiet = self._quiet()
        now = self._clock.monotonic()
        step = self._policy.look(now, self._wall_ms(), self._alerts, quiet=quiet)
        if step.escalate:
            await self._escalate({alert.alert_id: alert.level for alert in step.escalate})
        if quiet and self._alerts:
            wait_s = QUIET_LOOK_S if step.wait_s is None else min(QUIET_LOOK_S, step.wait_s)
            return replace(step, wait_s=wait_s)
        return step

    async def _load(self) -> None:
        """The open alerts, or those known until now while the disk refuses: sound goes on."""
        try:
            self._alerts = await self._database.read(table.unanswered)
            await self._prune()
        except StoreError as error:
            self._disk(error)
        else:
            self._disk(None)

    async def _escalate(self, levels: dict[str, int]) -> None:
        """Told once; the policy asks again until it is stored."""

        def store(tx: sqlite3.Connection) -> None:
            late = [
                replace(alert, level=levels[alert.alert_id])
                for alert in table.unanswered(tx)
                if levels.get(alert.alert_id, 0) > alert.level
            ]
            self._move(tx, late, "escalated", None)

        try:
            await self._database.write(store)
        except StoreError as error:
            self._disk(error)
        else:
            self._changed()

    async def _prune(self) -> None:
        now = self._clock.monotonic()
        if now >= self._prune_at and self._clock.quality() != "none":
            before = self._wall_ms() - int(KEEP_S * 1000)
            await self._database.write(lambda tx: table.prune(tx, before))
            self._prune_at = now + PRUNE_S

    def _disk(self, error: StoreError | None) -> None:
        if error is None:
            self._health.clear("alerting")
        else:
            text = f"alerts may be out of date: {error}. Free some space."
            self._health.set("alerting", text, grace_s=DISK_GRACE_S)

    async def _pause(self, wait_s: float | None) -> None:
        """Until woken, until the policy wants to look again, or until a loudspeaker may be back."""
        limit = REOPEN_S if self._speaker.wanted else CHECK_S
        limit = limit if wait_s is None else min(limit, wait_s)
        await _first(self._woken.wait(), self._clock.sleep(limit))
        if not self._alerts and not self._woken.is_set():
            await self._speaker.check(CHECK_S)

    async def _sound(self, alert: Alert, level: int) -> None:
        """One alert, once; cut short when it is answered meanwhile."""
        self._sounding, self._hushed = alert, False
        try:
            await _first(self._utter(alert, level), self._answered(alert))
            if alert.cause in ONCE:
                await self._over(alert.cause)
        finally:
            self._sounding = None
            self._signals.buzz(on=False, by=self.name)

    async def _over(self, cause: str) -> None:
        """What needs no answer was heard; all of its cause, because one sound spoke for them."""

        def close(tx: sqlite3.Connection) -> None:
            heard = {alert.alert_id for alert in self._alerts}
            ours = [a for a in table.unanswered(tx) if a.cause == cause and a.alert_id in heard]
            self._move(tx, ours, "expired", None)

        try:
            await self._write(close)
        except StoreError as error:
            self._disk(error)

    async def _utter(self, alert: Alert, level: int) -> None:
        insists = siren(level, len(self._policy.escalate_s))
        heard = await self._speaker.say(clips(alert, loud=insists), loud=level > 0)
        if insists or not heard:
            self._signals.buzz(on=True, by=self.name)
            await self._clock.sleep(BUZZ_S)

    async def _answered(self, alert: Alert) -> None:
        while not self._hushed and any(a.alert_id == alert.alert_id for a in self._alerts):
            await self._woken.wait()
            self._woken.clear()
            if not self._hushed:
                await self._load()

    def _wall_ms(self) -> int:
        return int(self._clock.wall() * 1000)


async def _first(*waiting: Coroutine[Any, Any, object]) -> None:
    """Until one of them returns; the others are cancelled."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in waiting]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
