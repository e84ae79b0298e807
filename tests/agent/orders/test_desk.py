"""Orders over the real store: once, in step, answered."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agent.contract import topics
from agent.contract.errors import Rejected
from agent.contract.events import OrderEvent
from agent.contract.orders import Order
from agent.contract.wire import encode
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.orders.service import OrderDesk
from agent.store.database import Database
from agent.store.inbox import Incoming
from tests.support import ListRecorder


class Kitchen:
    def __init__(self) -> None:
        self.seen: list[tuple[str, int, int | None]] = []

    def on_order(
        self, _tx: sqlite3.Connection, order: Order, previous: Order | None, _now_ms: int
    ) -> None:
        self.seen.append((order.order_id, order.version, previous and previous.version))

    def wake(self) -> None:
        pass


class Bell:
    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    def raise_in(
        self, _tx: Any, cause: str, alert_id: str, order_id: str | None = None, detail: Any = None
    ) -> None:
        self.calls.append(("raise", cause, alert_id))

    def settle_in(self, _tx: Any, order_id: str, by: str) -> None:
        self.calls.append(("settle", order_id, by))

    def expire_in(self, _tx: Any, order_id: str) -> None:
        self.calls.append(("expire", order_id))

    def wake(self) -> None:
        pass


class Shop:
    def __init__(self, folder: Path) -> None:
        self.clock = clock = ManualClock()
        self.database = Database(folder / "agent.db", clock, Health(clock))
        self.recorder, self.kitchen, self.bell = ListRecorder(), Kitchen(), Bell()
        self.desk = OrderDesk(
            self.database, clock, self.recorder, self.kitchen, self.bell, lambda: None
        )

    async def deliver(self, payload: bytes, order_id: str = "o1") -> None:
        topic = topics.order("sh-1", order_id)
        address = topics.parse(topic)
        assert address is not None
        message = Incoming(topic, address, payload)
        try:
            await self.database.write(lambda tx: self.desk.handle(tx, message))
        except Rejected as rejected:
            refused = rejected
            await self.database.write(lambda tx: self.desk.refuse(tx, message, refused))

    async def order(self, version: int, status: str = "pending", **more: Any) -> None:
        document = {
            "order_id": "o1", "version": version, "status": status, "placed_at": 0,
            "items": [{"name": "宫保鸡丁", "qty": 2}], **more,
        }  # fmt: skip
        await self.deliver(encode(document))

    def actions(self) -> list[str]:
        return [body.action for body in self.recorder.bodies if isinstance(body, OrderEvent)]


def run(folder: Path, story: Callable[[Shop], Awaitable[None]]) -> None:
    async def tell() -> None:
        shop = Shop(folder)
        await shop.database.open()
        try:
            await story(shop)
        finally:
            await shop.database.close()

    asyncio.run(tell())


def test_a_version_counts_once_and_only_upwards(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        for version in (1, 1, 3, 2, 3):
            await shop.order(version)
        assert shop.kitchen.seen == [("o1", 1, None), ("o1", 3, 1)]
        assert shop.actions() == ["received", "received"]
        assert [call[:2] for call in shop.bell.calls] == [
            ("raise", "new_order"),
            ("raise", "changed"),
        ]

    run(tmp_path, story)


def test_accepting_twice_is_one_event(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.order(1)
        assert await shop.desk.act("o1", "accepted", "page") == "accepted"
        assert await shop.desk.act("o1", "accepted", "cli") == "accepted"
        assert shop.actions() == ["received", "accepted"]
        assert ("settle", "o1", "page") in shop.bell.calls

    run(tmp_path, story)


def test_an_order_accepted_elsewhere_stops_the_alert_here(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.order(1)
        await shop.order(2, "preparing")
        assert ("settle", "o1", "backend") in shop.bell.calls

    run(tmp_path, story)


def test_a_cancelled_order_cannot_be_accepted_and_staff_hear_of_it(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.order(1)
        await shop.order(2, "cancelled")
        with pytest.raises(Rejected, match="cancelled"):
            await shop.desk.act("o1", "accepted", "page")
        assert shop.bell.calls[-2:] == [("expire", "o1"), ("raise", "cancelled", "cancelled:o1:2")]

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"{", "not_json"),
        (b"[1]", "invalid"),
        (b'{"order_id":"o1","version":1}', "invalid"),
        (b'{"order_id":"o1","version":"1","status":"pending","placed_at":0,"items":[]}', "invalid"),
        (encode({"order_id": "o2", "version": 1, "status": "pending", "placed_at": 0,
                 "items": [{"name": "x"}]}), "wrong_topic"),
        (b" " * 300_000, "too_large"),
        (b"\xff\xfe", "not_json"),
        (b'{"x":' * 50_000, "not_json"),
        (encode({"order_id": "o1", "version": 1, "status": "pending", "placed_at": 0,
                 "priority": 10**30, "items": [{"name": "x"}]}), "invalid"),
    ],
)  # fmt: skip
def test_a_bad_order_is_answered_and_heard(tmp_path: Path, payload: bytes, code: str) -> None:
    async def story(shop: Shop) -> None:
        await shop.deliver(payload)
        (event,) = shop.recorder.bodies
        assert isinstance(event, OrderEvent)
        assert (event.action, event.order_id) == ("rejected", "o1")
        assert event.reason is not None
        assert event.reason.startswith(code)
        assert shop.bell.calls[0][:2] == ("raise", "bad_order")

    run(tmp_path, story)


def test_reconcile_says_what_is_here(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.order(4)
        await shop.desk.reconcile()
        event = shop.recorder.bodies[-1]
        assert isinstance(event, OrderEvent)
        assert event.orders == {"o1": 4}

    run(tmp_path, story)


def test_an_order_from_before_the_clock_was_set_stays_known(tmp_path: Path) -> None:
    """Or else the back end would send it again, and it would be printed again."""

    async def story(shop: Shop) -> None:
        now = shop.clock.wall()
        shop.clock.set_wall(60.0)  # 1970
        shop.clock.tq = "none"
        await shop.order(1)
        shop.clock.set_wall(now)
        shop.clock.tq = "ntp"
        await shop.desk.reconcile()
        beat = Heartbeat("orders", shop.clock, Health(shop.clock))
        running = asyncio.ensure_future(shop.desk.run(beat))
        for _ in range(3):
            await shop.clock.advance(3600)
            await shop.database.read(lambda _: None)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await shop.desk.reconcile()
        told = [b.orders for b in shop.recorder.bodies if isinstance(b, OrderEvent) and b.orders]
        assert told == [{"o1": 1}, {"o1": 1}]
        await shop.order(1)
        assert shop.kitchen.seen == [("o1", 1, None)]

    run(tmp_path, story)
