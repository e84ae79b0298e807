"""Whom live orders name, and both sides of a meeting, without any network."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from agent.arrival import known
from agent.arrival.known import Live
from agent.arrival.places import BeaconRule, Place, Places
from agent.arrival.rotating import EPOCH_S, epoch_of, identifier
from agent.arrival.service import ArrivalService, Meets, Orders
from agent.arrival.thresholds import Kept
from agent.contract.events import Arrival, Fence
from agent.contract.orders import Order
from agent.core.changes import Changes
from agent.core.clock import ManualClock, settle
from agent.core.health import Health
from agent.core.supervisor import Supervisor
from drivers.base import Advert, BeaconScanner
from tests.agent.arrival.test_service import NEAR, SHOP, Seen, Tape

KEY, OTHER = bytes(range(16)), bytes(16)


def live(
    order_id: str = "o1", key: bytes | None = KEY, *, picked_up: bool = False, **more: Any
) -> Live:
    document = {
        "order_id": order_id,
        "version": 1,
        "status": "preparing",
        "placed_at": 0,
        "items": [{"name": "noodles"}],
    }
    return msgspec.convert(document | more, Order), key, picked_up


def eid(key: bytes, epoch: int) -> str:
    return f"eddystone-eid:{identifier(key, epoch).hex()}"


def advert(t: float, identity: str, rssi: int = -60) -> Advert:
    return Advert(t, "C0:00:00:00:00:07", rssi, identity)


@pytest.mark.parametrize(("late", "known_"), [(-1, True), (0, True), (1, True), (2, False)])
def test_an_owner_is_recognised_within_one_epoch_of_slack(late: int, known_: bool) -> None:
    shops = known.shops([live(shop={"id": "shop-021"})])
    now = 1_800_000_000.0
    named = shops.named(advert(0.0, eid(KEY, epoch_of(now) - late)), now)
    assert (named.identity == "key:shop-021") is known_


def test_strangers_keep_their_identity() -> None:
    shops = known.shops([live(shop={"id": "shop-021"})])
    heard = advert(0.0, eid(OTHER, epoch_of(0)))
    assert shops.named(heard, 0.0) == heard
    anonymous = Advert(0.0, "C0:00:00:00:00:07", -60)
    assert shops.named(anonymous, 0.0) == anonymous


def test_a_place_of_the_file_is_recognised_by_its_key_as_well() -> None:
    rule = BeaconRule(identity="ibeacon:x", enter_rssi=-70)
    listed = Places([Place(id="shop-021", floor="F3", beacon=[rule])])
    shops = known.shops([live(shop={"id": "shop-021", "enter_rssi": -80.0})])
    (place,) = known.together(listed, shops)
    assert place.floor == "F3"
    assert [b.identity for b in place.beacon] == ["ibeacon:x", "key:shop-021"]
    assert place.beacon[1].enter_rssi == -80


def test_without_a_key_or_an_id_nobody_is_awaited() -> None:
    assert not known.couriers(
        [live(courier={"name": "Li"}), live(courier={"id": "7"}, key=None)]
    ).places
    assert not known.shops([live(), live(shop={"id": "shop-021"}, key=None)]).places


class Ears:
    """Hears an identifier ten times a second, while it is `near`."""

    def __init__(self, clock: ManualClock, key: bytes) -> None:
        self.rejected: Counter[str] = Counter()
        self.near = True
        self._clock, self._key = clock, key

    async def adverts(self) -> AsyncIterator[Advert]:
        while True:
            await self._clock.sleep(0.1)
            now = self._clock.monotonic()
            yield Advert(now, "C0:00:00:00:00:99", -90)  # somebody is always about
            if self.near:
                yield advert(now, eid(self._key, epoch_of(self._clock.wall())))


class Side:
    """One of the two devices."""

    def __init__(self, meets: Meets, orders: Sequence[Live]) -> None:
        self.clock, self.tape, self.changes = ManualClock(), Tape(), Changes()
        self.orders = list(orders)
        self.ears = Ears(self.clock, KEY)
        self.met: list[tuple[str, str, list[str]]] = []

        async def read() -> Sequence[Live]:
            return self.orders

        async def meeting(event: str, place: str, orders: Sequence[str]) -> None:
            self.met.append((event, place, list(orders)))

        @asynccontextmanager
        async def opened() -> AsyncIterator[BeaconScanner]:
            yield self.ears

        self.kept: list[Kept] = []
        self.health = Health(self.clock)
        self.service = ArrivalService(
            clock=self.clock,
            recorder=self.tape,
            health=self.health,
            open_scanner=opened,
            orders=Orders(self.clock, self.changes, read, meets),
            on_meeting=meeting,
            remembered=self,
        )

    async def load(self) -> Sequence[Kept]:
        return self.kept

    async def save(self, kept: Sequence[Kept]) -> None:
        self.kept = list(kept)

    def run(self, story: Any) -> None:
        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(Supervisor(self.clock, self.health).run([self.service]))
                await settle()
                await story()
                task.cancel()

        asyncio.run(main())

    @property
    def arrivals(self) -> list[Arrival]:
        return [body for body in self.tape.bodies if isinstance(body, Arrival)]


@pytest.mark.parametrize(
    ("meets", "orders", "place"),
    [
        ("shops", [live(shop={"id": "shop-021"})], "shop-021"),
        (
            "couriers",
            [live(courier={"id": "rd-7"}), live("o2", courier={"id": "rd-7"})],
            "rider:rd-7",
        ),
    ],
)
def test_each_side_reports_the_other_with_its_orders_through_a_change_of_epoch(
    meets: Meets, orders: list[Live], place: str
) -> None:
    side = Side(meets, orders)

    async def story() -> None:
        side.clock.set_wall(EPOCH_S * 2_000_000 - 15)  # the identifier changes in 15 s
        await side.clock.advance(60)
        side.ears.near = False
        await side.clock.advance(30)

    side.run(story)
    assert [body.event for body in side.arrivals] == ["enter", "arrived", "exit"]
    assert {body.place for body in side.arrivals} == {place}
    assert side.arrivals[0].evidence["orders"] == [order.order_id for order, *_ in orders]
    assert [event for event, _, _ in side.met] == ["enter", "arrived", "exit"]
    assert all(KEY.hex() not in repr(body) for body in side.tape.bodies)


def test_only_live_orders_are_listened_for_and_who_is_there_is_watched_until_they_leave() -> None:
    side = Side("shops", [])

    async def story() -> None:
        await side.clock.advance(20)
        assert side.arrivals == []
        side.orders = [live(shop={"id": "shop-021"})]
        side.changes.notify()
        await side.clock.advance(20)
        assert [body.event for body in side.arrivals] == ["enter", "arrived"]
        side.orders = []  # picked up
        side.changes.notify()
        await side.clock.advance(20)
        side.ears.near = False
        await side.clock.advance(30)
        assert [body.event for body in side.arrivals] == ["enter", "arrived", "exit"]
        side.changes.notify()
        side.ears.near = True
        await side.clock.advance(30)
        assert len(side.arrivals) == 3

    side.run(story)


def test_the_shop_of_an_order_has_a_fence_as_long_as_the_order_lives() -> None:
    shop = {"id": "shop-9", "lat": SHOP.lat, "lon": SHOP.lon, "radius_m": 50.0}
    side = Side("shops", [live(shop=shop, key=None)])

    async def main() -> None:
        for t in (0.0, 1.0, 2.0):
            await side.service.see(Seen(t, *NEAR))

    asyncio.run(main())
    (fence,) = [body for body in side.tape.bodies if isinstance(body, Fence)]
    assert (fence.fence, fence.event) == ("shop-9", "enter")


def test_an_order_that_is_picked_up_teaches_its_shop_once() -> None:
    side = Side("shops", [live(shop={"id": "shop-021"})])

    async def story() -> None:
        await side.clock.advance(20)
        side.changes.notify()
        await side.clock.advance(2)
        assert side.kept == []
        side.orders = [live(shop={"id": "shop-021"}, picked_up=True)]
        for _ in range(3):
            side.changes.notify()
            await side.clock.advance(2)

    side.run(story)
    expected = Kept("shop-021", "key:shop-021", -75.0, -74.95, 1)
    assert side.kept == asyncio.run(side.service.learned()) == [expected]


def test_a_start_recalls_what_was_learned_and_learns_nothing_from_what_was_done_before() -> None:
    side = Side("shops", [live(shop={"id": "shop-021"}, picked_up=True)])
    side.kept = [Kept("shop-021", "key:shop-021", -75.0, -70.0, 9)]

    async def story() -> None:
        await side.clock.advance(20)

    side.run(story)
    assert asyncio.run(side.service.learned()) == side.kept
    assert side.kept[0].pick_ups == 9
    assert side.arrivals[0].evidence["learned_db"] == 5.0
