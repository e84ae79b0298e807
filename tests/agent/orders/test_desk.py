"""Orders over the real store: once, in step, answered."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.contract import topics
from agent.contract.errors import Rejected
from agent.contract.events import Load, OrderEvent
from agent.contract.events import Shop as Shop_
from agent.contract.orders import Order, Status
from agent.contract.wire import encode
from agent.core.changes import Changes
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.orders import table
from agent.orders.load_service import LoadService
from agent.orders.service import OrderDesk
from agent.store.database import Database
from agent.store.inbox import Incoming
from tests.support import ListRecorder


class Kitchen:
    def __init__(self) -> None:
        self.seen: list[tuple[str, int, int | None]] = []
        self.cancelled: list[str] = []

    def on_order(
        self, _tx: sqlite3.Connection, order: Order, previous: Order | None, _now_ms: int
    ) -> None:
        self.seen.append((order.order_id, order.version, previous and previous.version))

    def withdraw(self, _tx: sqlite3.Connection, order: Order, _now_ms: int) -> None:
        self.cancelled.append(order.order_id)

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

    def end_in(self, _tx: Any, alert_id: str, by: str | None) -> None:
        self.calls.append(("end", alert_id))

    def open_in(self, _tx: Any, cause: str, order_id: str) -> str | None:
        return next((c[2] for c in self.calls if c[:2] == ("raise", cause)), None)

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
            await shop.order(version, note=f"{version}")
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


# --- what contradicts itself ----------------------------------------------------------------------


async def stored(shop: Shop, order_id: str = "o1") -> table.Stored:
    found = await shop.database.read(lambda tx: table.get(tx, order_id))
    assert found is not None
    return found


def test_accepted_here_and_cancelled_there_is_cancelled_and_both_are_shown(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.order(1)
        await shop.desk.act("o1", "accepted", "page")
        await shop.order(2, "cancelled")
        found = await stored(shop)
        assert found.stage == "cancelled"
        assert found.conflict == "accepted here, cancelled at the back end: it must not be made"
        assert shop.bell.calls[-1] == ("raise", "cancelled", "cancelled:o1:2")

    run(tmp_path, story)


def test_a_cancellation_after_the_back_end_knew_of_it_is_no_conflict(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.order(1)
        await shop.desk.act("o1", "accepted", "page")
        await shop.order(2, "preparing")
        assert (await stored(shop)).acted is None
        await shop.order(3, "cancelled")
        assert (await stored(shop)).conflict is None

    run(tmp_path, story)


def test_rejected_here_and_accepted_there_must_be_made_and_is_heard(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.order(1)
        await shop.desk.act("o1", "rejected", "page", "no rice")
        await shop.order(2, "preparing")
        found = await stored(shop)
        assert (found.stage, found.conflict) == (
            "accepted",
            "rejected here, preparing at the back end: it must be made",
        )
        assert shop.bell.calls[-1] == ("raise", "conflict", "conflict:o1:2")

    run(tmp_path, story)


def test_a_rejected_order_takes_its_tickets_back_and_news_of_it_call_nobody(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.order(1)
        await shop.desk.act("o1", "rejected", "page", "no rice")
        assert shop.kitchen.cancelled == ["o1"]
        calls, seen = list(shop.bell.calls), list(shop.kitchen.seen)
        await shop.order(2, note="sent before it was rejected")
        assert shop.kitchen.seen == seen, "nothing is printed for it"
        await shop.order(3, "cancelled")
        assert [c for c in shop.bell.calls[len(calls) :] if c[0] == "raise"] == []
        assert (await stored(shop)).stage == "cancelled"

    run(tmp_path, story)


def test_a_courier_s_name_calls_nobody_but_another_dish_does(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.order(1, "preparing")
        assert shop.bell.calls == [
            ("settle", "o1", "backend"),
            ("raise", "auto_accepted", "auto_accepted:o1"),
        ]
        await shop.order(2, "preparing", courier={"name": "Li"})
        assert len(shop.bell.calls) == 2
        await shop.order(3, "preparing", items=[{"name": "面"}])
        assert shop.bell.calls[2:] == [("raise", "changed", "changed:o1:3")]

    run(tmp_path, story)


ACTIONS = st.tuples(st.just("act"), st.sampled_from(["accepted", "rejected", "ready", "picked_up"]))
TOLD = st.tuples(st.integers(1, 6), st.sampled_from(get_args(Status)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(TOLD, ACTIONS), max_size=10), st.randoms())
def test_in_any_order_and_twice_a_cancelled_order_stays_so_and_the_newest_version_is_kept(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[Any, str]], random: Random
) -> None:
    twice = [*events, *random.sample(events, len(events) // 2)]

    async def story(shop: Shop) -> None:
        newest, over = 0, False
        for first, word in twice:
            if first == "act":
                with suppress(Rejected):
                    await shop.desk.act("o1", word, "page")
            else:
                await shop.order(first, word)
                over = over or (first > newest and word == "cancelled")
                newest = max(newest, first)
            if newest:
                found = await stored(shop)
                assert found.order.version == newest
                assert (found.stage == "cancelled") == over
        versions = [v for _, v, _ in shop.kitchen.seen]
        assert versions == sorted(versions)

    run(tmp_path_factory.mktemp("any"), story)


# --- what becomes due by itself -------------------------------------------------------------------


@asynccontextmanager
async def at_work(shop: Shop) -> AsyncIterator[Callable[[float], Awaitable[None]]]:
    """The desk's service, and a way to let time pass."""
    beat = Heartbeat("orders", shop.clock, Health(shop.clock))
    running = asyncio.ensure_future(shop.desk.run(beat))

    async def passing(seconds: float) -> None:
        for _ in range(int(seconds // 5)):
            await shop.clock.advance(5)
            await shop.database.read(lambda _: None)

    yield passing
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_a_scheduled_order_is_heard_when_it_comes_and_again_when_it_is_time(
    tmp_path: Path,
) -> None:
    async def story(shop: Shop) -> None:
        due = int((shop.clock.wall() + 2 * 3600) * 1000)
        await shop.order(1, due_at=due)
        await shop.desk.act("o1", "accepted", "page")
        async with at_work(shop) as passing:
            await passing(3590)
            assert ("raise", "due", f"due:o1:{due}") not in shop.bell.calls
            await passing(30)
            assert shop.bell.calls.count(("raise", "due", f"due:o1:{due}")) == 1
            await passing(120)
        assert [c[1] for c in shop.bell.calls if c[0] == "raise"] == ["new_order", "due"]

    run(tmp_path, story)


def test_an_order_that_nobody_accepted_in_time_stops_ringing_and_can_still_be_accepted(
    tmp_path: Path,
) -> None:
    async def story(shop: Shop) -> None:
        await shop.order(1, expires_at=int((shop.clock.wall() + 60) * 1000))
        async with at_work(shop) as passing:
            await passing(50)
            assert ("expire", "o1") not in shop.bell.calls
            await passing(20)
            assert ("expire", "o1") in shop.bell.calls
        assert await shop.desk.act("o1", "accepted", "page") == "accepted"

    run(tmp_path, story)


# --- urging, and how busy it is -------------------------------------------------------------------


def test_a_customer_who_urges_is_heard_once_until_somebody_answered(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.order(1, "preparing")
        first = await shop.desk.nudge("o1", "urged", "where is it?")
        assert await shop.desk.nudge("o1", "urged", None) == first
        assert [c[1] for c in shop.bell.calls if c[0] == "raise"] == ["auto_accepted", "urged"]
        await shop.order(2, "delivering")
        with pytest.raises(Rejected, match="nobody can hurry it"):
            await shop.desk.nudge("o1", "urged", None)
        assert (await shop.desk.nudge("o1", "refund", None)).startswith("refund:o1:")
        with pytest.raises(Rejected, match="no order o9"):
            await shop.desk.nudge("o9", "refund", None)

    run(tmp_path, story)


def test_the_load_counts_what_waits_and_how_long_accepting_took(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        assert await shop.desk.load() == Load(pending=0, preparing=0)
        await shop.order(1)
        assert await shop.desk.load() == Load(pending=1, preparing=0)
        await shop.clock.advance(12)
        assert await shop.desk.act_on_oldest("accepted", "panel") == "o1"
        assert await shop.desk.act_on_oldest("accepted", "panel") is None
        assert await shop.desk.load() == Load(
            pending=0, preparing=1, accepted=1, accept_p50_s=12.0, accept_p90_s=12.0
        )

    run(tmp_path, story)


def test_the_back_end_hears_of_the_load_when_it_changed(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        changes = Changes()
        service = LoadService(shop.database, shop.clock, shop.recorder, changes, lambda _: "busy")
        beat = Heartbeat("load", shop.clock, Health(shop.clock))
        running = asyncio.ensure_future(service.run(beat))

        async def told() -> list[Shop_]:
            for _ in range(3):
                await shop.clock.advance(10)
                await shop.database.read(lambda _: None)
                await shop.database.read(lambda _: None)
            return [b for b in shop.recorder.bodies if isinstance(b, Shop_)]

        assert await told() == []
        await shop.order(1)
        changes.notify()
        assert await told() == [Shop_(status="busy", load=Load(pending=1, preparing=0))]
        changes.notify()
        assert len(await told()) == 1
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run(tmp_path, story)
