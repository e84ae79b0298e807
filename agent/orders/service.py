"""Orders arrive, are shown, printed and sounded, and staff act on them.

One transaction stores an order with its print jobs, its alert and its events: after a power cut
there is all of it or nothing, and the broker sends it again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from agent.contract.errors import Rejected
from agent.contract.events import OrderEvent
from agent.contract.orders import MAX_BYTES, Order
from agent.contract.wire import decode
from agent.core.clock import Clock
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from agent.orders import table
from agent.orders.lifecycle import (
    Action,
    Owner,
    Stage,
    after_action,
    after_document,
    mask,
    part_with_keys,
)
from agent.store.database import Database
from agent.store.inbox import Incoming

KEEP_S = 7 * 86400.0
RECONCILE_S = 24 * 3600.0
RECONCILE_MAX = 2000
LIVE_S = 24 * 3600.0
AWAITED_MAX = 500
PRUNE_S = 3600.0
WAITING: tuple[Stage, ...] = ("received", "accepted", "ready")
OVER: tuple[Stage, ...] = ("closed", "cancelled")


class Kitchen(Protocol):
    """Printing, as far as orders know it."""

    def on_order(
        self, tx: sqlite3.Connection, order: Order, previous: Order | None, now_ms: int
    ) -> None: ...

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
    ) -> None:
        self._database = database
        self._clock = clock
        self._recorder = recorder
        self._kitchen = kitchen
        self._bell = bell
        self._changed = changed

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

    def _store(self, tx: sqlite3.Connection, order: Order, stored: table.Stored | None) -> Stage:
        now = self._now()
        before = stored.stage if stored else None
        stage = after_document(before, order.status)
        table.put(tx, order, stage, stored.received if stored else now)
        self._recorder.put(
            tx, OrderEvent(action="received", order_id=order.order_id, version=order.version)
        )
        previous = stored.order if stored else None
        self._kitchen.on_order(tx, order, previous, now)
        self._sound(tx, order, before, stage)
        return stage

    def _sound(
        self, tx: sqlite3.Connection, order: Order, before: Stage | None, stage: Stage
    ) -> None:
        name = f"{order.order_id}:{order.version}"
        if stage in OVER:
            self._bell.expire_in(tx, order.order_id)
            if stage == "cancelled" and before not in (None, "cancelled"):
                self._bell.raise_in(tx, "cancelled", f"cancelled:{name}", order.order_id)
        elif stage != "received":
            self._bell.settle_in(tx, order.order_id, "backend")
            if before is not None and before == stage:
                self._bell.raise_in(tx, "changed", f"changed:{name}", order.order_id)
        elif before is None:
            alert = f"new_order:{order.order_id}"
            self._bell.raise_in(tx, "new_order", alert, order.order_id, {"day_seq": order.day_seq})
        else:
            self._bell.raise_in(tx, "changed", f"changed:{name}", order.order_id)

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
            stored = table.get(tx, order_id)
            if stored is None:
                raise Rejected("unknown_order", f"there is no order {order_id} here")
            stage = after_action(stored.stage, action)
            if stage is None:
                raise Rejected("not_now", f"the order is {stored.stage}; it cannot be {action}")
            if stage != stored.stage:
                table.set_stage(tx, order_id, stage)
                self._recorder.put(
                    tx,
                    OrderEvent(
                        action=action,
                        order_id=order_id,
                        version=stored.order.version,
                        by=by,
                        reason=reason,
                    ),
                )
                self._bell.settle_in(tx, order_id, by)
            return stage

        stage = await self._database.write(apply)
        self._wake()
        return stage

    async def newest(self, limit: int, before_ms: int) -> list[table.Stored]:
        return await self._database.read(lambda tx: table.newest(tx, limit, before_ms))

    async def waiting(self) -> int:
        """Orders that nobody has accepted or rejected."""
        counts = await self._database.read(lambda tx: table.counts(tx, 0))
        return counts.get("received", 0)

    def any_live(self, connection: sqlite3.Connection) -> bool:
        """Whether somebody is at work for an order; one that never ended counts for a day."""
        return table.any_live(connection, int((self._clock.wall() - LIVE_S) * 1000))

    async def awaited(self, owner: Owner) -> list[tuple[Order, bytes | None]]:
        """Orders that are not over with the key of the shop's, or of the courier's, beacon."""
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
        while True:
            if self._clock.quality() != "none":
                await self._redate()
                before = int((self._clock.wall() - KEEP_S) * 1000)
                await self._database.write(partial(table.prune, before_ms=before))
            await heartbeat.idle(self._clock.sleep(PRUNE_S))

    async def _redate(self) -> None:
        if self._clock.quality() != "none":
            await self._database.write(partial(table.redate, now_ms=self._now()))

    def _now(self) -> int:
        return int(self._clock.wall() * 1000)

    def _wake(self) -> None:
        self._kitchen.wake()
        self._bell.wake()
        self._changed()
