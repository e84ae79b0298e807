"""Orders arrive, are shown, printed and sounded, and staff act on them.

One transaction stores an order with its print jobs, its alert and its events: after a power cut
there is all of it or nothing, and the broker sends it again.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from agent.contract.errors import Rejected
from agent.contract.events import Load, OrderEvent
from agent.contract.orders import MAX_BYTES, Order
from agent.contract.wire import decode
from agent.core.clock import Clock
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from agent.orders import load, table
from agent.orders.lifecycle import (
    Action,
    Owner,
    Stage,
    after_action,
    after_document,
    concerns_staff,
    confirms,
    conflict,
    mask,
    part_with_keys,
    remind_at,
)
from agent.orders.table import Stored
from agent.store.database import Database
from agent.store.inbox import Incoming

KEEP_S = 7 * 86400.0
RECONCILE_S = 24 * 3600.0
RECONCILE_MAX = 2000
LIVE_S = 24 * 3600.0
AWAITED_MAX = 500
PRUNE_S = 3600.0
LOOK_S = 5.0  # for scheduled orders whose time has come, and for those that lapsed
LEAD_S = 3600.0
WAITING: tuple[Stage, ...] = ("received", "accepted", "ready")
OVER: tuple[Stage, ...] = ("closed", "cancelled")


class Kitchen(Protocol):
    """Printing, as far as orders know it."""

    def on_order(
        self, tx: sqlite3.Connection, order: Order, previous: Order | None, now_ms: int
    ) -> None: ...

    def withdraw(self, tx: sqlite3.Connection, order: Order, now_ms: int) -> None: ...

    def wake(self) -> None: ...


class Bell(Protocol):
    """Alerting, as far as orders know it."""

    def raise_in(
        self,
        tx: sqlite3.Connection,
        cause: str,
        alert_id: str,
        order_id: str | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None: ...

    def settle_in(self, tx: sqlite3.Connection, order_id: str, by: str) -> None: ...

    def expire_in(self, tx: sqlite3.Connection, order_id: str) -> None: ...

    def end_in(self, tx: sqlite3.Connection, alert_id: str, by: str | None) -> None: ...

    def open_in(self, tx: sqlite3.Connection, cause: str, order_id: str) -> str | None: ...

    def wake(self) -> None: ...


class OrderDesk:
    """Handles `order/{id}` and what staff do; also keeps the table within a week."""

    name = "orders"

    def __init__(
        self,
        database: Database,
        clock: Clock,
        recorder: Recorder,
        kitchen: Kitchen,
        bell: Bell,
        changed: Callable[[], None],
        *,
        lead_s: float = LEAD_S,
    ) -> None:
        """`lead_s` before a scheduled order is due, staff are reminded of it."""
        self._database = database
        self._clock = clock
        self._recorder = recorder
        self._kitchen = kitchen
        self._bell = bell
        self._changed = changed
        self._lead_ms = int(lead_s * 1000)

    # --- the inbox's handlers ---------------------------------------------------------------------

    def handle(self, tx: sqlite3.Connection, message: Incoming) -> Callable[[], None]:
        if not message.payload:
            return lambda: None  # a retained order was cleared
        document = mask(decode(message.payload, Order, max_bytes=MAX_BYTES))
        order, keys = part_with_keys(document)
        if message.address.rest != (order.order_id,):
            raise Rejected("wrong_topic", "the order's id is not the one of its topic")
        stored = table.get(tx, order.order_id)
        if stored is not None and order.version <= stored.order.version:
            return lambda: None  # delivered again, or overtaken
        stage = self._store(tx, order, stored)
        table.keep_keys(tx, order.order_id, {} if stage in OVER else keys)
        return self._wake

    def _store(self, tx: sqlite3.Connection, order: Order, stored: Stored | None) -> Stage:
        now = self._now()
        known = stored or Stored(order, "received", now)
        stage = after_document(stored.stage if stored else None, order.status)
        known = known._replace(
            order=order,
            stage=stage,
            acted=None if confirms(known.acted, order.status) else known.acted,
            settled=now if known.settled is None and stage == "accepted" else known.settled,
            conflict=conflict(known.acted, order.status) or known.conflict,
            remind_at=remind_at(order, self._lead_ms, now),
            lapse_at=order.expires_at if stage == "received" else None,
        )
        table.put(tx, known)
        self._recorder.put(
            tx, OrderEvent(action="received", order_id=order.order_id, version=order.version)
        )
        if (stage, order.status) != ("rejected", "pending"):  # else told before it was rejected
            self._kitchen.on_order(tx, order, stored.order if stored else None, now)
        self._sound(tx, known, stored)
        return stage

    def _sound(self, tx: sqlite3.Connection, now: Stored, before: Stored | None) -> None:
        order = now.order
        name, detail = f"{order.order_id}:{order.version}", {"day_seq": order.day_seq}

        def ring(cause: str, alert_id: str) -> None:
            self._bell.raise_in(tx, cause, alert_id, order.order_id, detail)

        if now.stage in OVER:
            self._bell.expire_in(tx, order.order_id)
            known = before is not None and before.stage not in ("cancelled", "rejected")
            if now.stage == "cancelled" and known:
                ring("cancelled", f"cancelled:{name}")
        elif now.stage == "rejected":
            pass  # staff know
        elif before is not None and before.stage == "rejected":
            ring("conflict", f"conflict:{name}")
        else:
            if now.stage != "received" and (before is None or before.stage != now.stage):
                self._bell.settle_in(tx, order.order_id, "backend")
            if before is None and now.stage == "received":
                ring("new_order", f"new_order:{order.order_id}")
            elif before is None and now.stage == "accepted":
                ring("auto_accepted", f"auto_accepted:{order.order_id}")
            elif before is not None and concerns_staff(before.order, order):
                ring("changed", f"changed:{name}")

    def refuse(
        self, tx: sqlite3.Connection, message: Incoming, rejected: Rejected
    ) -> Callable[[], None]:
        """Answer the sender and tell staff: somewhere a customer waits for this order."""
        order_id = "/".join(message.address.rest)[:64]
        event = OrderEvent(
            action="rejected", order_id=order_id, reason=f"{rejected.code}: {rejected}"[:500]
        )
        seq = self._recorder.put(tx, event)
        self._bell.raise_in(tx, "bad_order", f"bad_order:{seq}", None, {"order_id": order_id})
        return self._wake

    # --- what staff do ----------------------------------------------------------------------------

    async def act(self, order_id: str, action: Action, by: str, reason: str | None = None) -> str:
        """Accept, reject, ready or picked up; the new stage. Doing it twice is no error."""

        def apply(tx: sqlite3.Connection) -> Stage:
            stored = self._known(tx, order_id)
            stage = after_action(stored.stage, action)
            if stage is None:
                raise Rejected("not_now", f"the order is {stored.stage}; it cannot be {action}")
            if stage != stored.stage:
                self._acted(tx, stored, stage, action, by, reason)
            return stage

        stage = await self._database.write(apply)
        self._wake()
        return stage

    async def act_on_oldest(self, action: Action, by: str, reason: str | None = None) -> str | None:
        """What a button without a screen means: the order that waits longest; its id, if any."""
        stage: Stage = "accepted" if action == "ready" else "received"
        since = int((self._clock.wall() - LIVE_S) * 1000)
        found = await self._database.read(lambda tx: table.oldest(tx, stage, since))
        if found is None:
            return None
        await self.act(found.order.order_id, action, by, reason)
        return found.order.order_id

    def _acted(
        self,
        tx: sqlite3.Connection,
        stored: Stored,
        stage: Stage,
        action: Action,
        by: str,
        reason: str | None,
    ) -> None:
        now, order = self._now(), stored.order
        changes: dict[str, Any] = {"stage": stage, "acted": action, "acted_by": by}
        if stored.settled is None:
            changes["settled"] = now
        table.put(tx, stored._replace(**changes, lapse_at=None))
        event = OrderEvent(
            action=action, order_id=order.order_id, version=order.version, by=by, reason=reason
        )
        self._recorder.put(tx, event)
        self._bell.settle_in(tx, order.order_id, by)
        if stage == "rejected":  # tickets that wait are taken back, those on paper made void
            self._kitchen.withdraw(tx, order, now)

    async def nudge(self, order_id: str, cause: str, note: str | None) -> str:
        """The customer urges (`urged`) or wants the money back (`refund`): staff must hear of it.
        The alert's id; a second one while the first is open changes nothing.

        Rejected: unknown_order, not_now.
        """

        def apply(tx: sqlite3.Connection) -> str:
            stored = self._known(tx, order_id)
            if cause == "urged" and stored.stage not in WAITING:
                raise Rejected("not_now", f"the order is {stored.stage}; nobody can hurry it here")
            detail = {"day_seq": stored.order.day_seq, "note": note}
            if (open_ := self._bell.open_in(tx, cause, order_id)) is not None:
                return open_
            alert = f"{cause}:{order_id}:{self._now()}"
            self._bell.raise_in(tx, cause, alert, order_id, detail)
            return alert

        alert = await self._database.write(apply)
        self._wake()
        return alert

    @staticmethod
    def _known(tx: sqlite3.Connection, order_id: str) -> Stored:
        stored = table.get(tx, order_id)
        if stored is None:
            raise Rejected("unknown_order", f"there is no order {order_id} here")
        return stored

    async def load(self) -> Load:
        """How busy the shop is."""
        now = self._now()
        return await self._database.read(lambda tx: load.measure(tx, now))

    async def newest(self, limit: int, before_ms: int) -> list[Stored]:
        return await self._database.read(lambda tx: table.newest(tx, limit, before_ms))

    def any_live(self, connection: sqlite3.Connection) -> bool:
        """Whether somebody is at work for an order; one that never ended counts for a day."""
        return table.any_live(connection, int((self._clock.wall() - LIVE_S) * 1000))

    async def awaited(self, owner: Owner) -> list[tuple[Order, bytes | None, bool]]:
        """Orders that are not over with the key of the shop's, or of the courier's, beacon, and
        whether they were picked up."""
        since = int((self._clock.wall() - LIVE_S) * 1000)
        return await self._database.read(lambda tx: table.awaited(tx, owner, since, AWAITED_MAX))

    async def courier(self, event: str, _place: str, order_ids: Sequence[str]) -> None:
        """Staff hear once an order that its courier is in the shop, until it is handed over."""

        def apply(tx: sqlite3.Connection) -> None:
            for order_id in order_ids:
                stored = table.get(tx, order_id)
                alert = f"courier:{order_id}"
                if event == "exit":
                    self._bell.end_in(tx, alert, None)
                elif event == "arrived" and stored and stored.stage in WAITING:
                    detail = {"day_seq": stored.order.day_seq}
                    self._bell.raise_in(tx, "courier", alert, order_id, detail)

        await self._database.write(apply)
        self._bell.wake()
        self._changed()

    # --- keeping in step --------------------------------------------------------------------------

    async def reconcile(self) -> None:
        """Tell the back end what is here, so that it sends what is missing."""
        await self._redate()
        since = int((self._clock.wall() - RECONCILE_S) * 1000)
        orders = await self._database.read(lambda tx: table.known(tx, since, RECONCILE_MAX))
        await self._recorder.record(OrderEvent(action="reconcile", orders=orders))

    async def run(self, heartbeat: Heartbeat) -> None:
        prune_at = -math.inf
        while True:
            if self._clock.quality() != "none":
                if self._clock.monotonic() >= prune_at:
                    await self._redate()
                    before = int((self._clock.wall() - KEEP_S) * 1000)
                    await self._database.write(partial(table.prune, before_ms=before))
                    prune_at = self._clock.monotonic() + PRUNE_S
                await self._look()
            await heartbeat.idle(self._clock.tick(LOOK_S))

    async def _look(self) -> None:
        """What became due by itself. The question costs no write."""
        now = self._now()
        if await self._database.read(lambda tx: table.to_remind(tx, now) + table.lapsed(tx, now)):
            await self._database.write(lambda tx: self._due(tx, now))
            self._wake()

    def _due(self, tx: sqlite3.Connection, now: int) -> None:
        for stored in table.to_remind(tx, now):
            table.put(tx, stored._replace(remind_at=None))
            if stored.stage == "accepted":
                order = stored.order
                alert = f"due:{order.order_id}:{order.due_at}"
                detail = {"day_seq": order.day_seq}
                self._bell.raise_in(tx, "due", alert, order.order_id, detail)
        for stored in table.lapsed(tx, now):  # after the reminders, which may be of the same order
            table.put(tx, stored._replace(lapse_at=None))
            self._bell.expire_in(tx, stored.order.order_id)

    async def _redate(self) -> None:
        if self._clock.quality() != "none":
            await self._database.write(partial(table.redate, now_ms=self._now()))

    def _now(self) -> int:
        return int(self._clock.wall() * 1000)

    def _wake(self) -> None:
        self._kitchen.wake()
        self._bell.wake()
        self._changed()
