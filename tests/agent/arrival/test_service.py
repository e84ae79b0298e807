"""The service over the simulated radio, in manual time."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from agent.arrival.geofence import Circle
from agent.arrival.places import BeaconRule, Place, Places
from agent.arrival.radio import DEAF, QUEUE
from agent.arrival.service import CLONED, CONFLICT, ArrivalService
from agent.contract.events import Arrival, Body, Fence
from agent.core.clock import ManualClock, settle
from agent.core.health import Health
from agent.core.supervisor import Heartbeat, Supervisor
from drivers.base import Advert, BeaconScanner, DriverError
from drivers.beacons.simulated import Sender, Settings, SimulatedScanner

NEAR = (31.23041, 121.4737)  # 1 m from the beacon
FAR = (31.2404, 121.4737)  # a kilometre
SHOP = Circle("shop-021", 31.2304, 121.4737, 100.0)
SENDER = Sender(address="C0:00:00:00:00:01", lat=31.2304, lon=121.4737)
STREET = Sender(address="C0:00:00:00:00:99", lat=31.2309, lon=121.4737)  # always somewhere
PLACES = Places([Place(id=SHOP.id, beacon=[BeaconRule(address=SENDER.address, enter_rssi=-75)])])


@dataclass(frozen=True)
class Seen:
    t: float
    lat: float
    lon: float
    acc: float | None = 5.0
    speed: float | None = None


@dataclass
class Tape:
    """A recorder that remembers."""

    bodies: list[Body] = field(default_factory=list)
    times: list[float | None] = field(default_factory=list)

    async def record(self, body: Body, *, t: float | None = None) -> int:
        self.bodies.append(body)
        self.times.append(t)
        return len(self.bodies)

    def put(self, tx: sqlite3.Connection, body: Body, *, t: float | None = None) -> int:
        raise NotImplementedError

    @property
    def words(self) -> list[str]:
        return [b.event for b in self.bodies if isinstance(b, Arrival | Fence)]


@dataclass
class Bench:
    """The service with all it needs; `where` is the rider, `scanners` are those opened so far."""

    senders: tuple[Sender, ...] = (SENDER,)
    clock: ManualClock = field(default_factory=ManualClock)
    tape: Tape = field(default_factory=Tape)
    where: tuple[float, float] = NEAR
    scanners: list[SimulatedScanner] = field(default_factory=list)
    refuse: bool = False

    def __post_init__(self) -> None:
        self.health = Health(self.clock)
        self.told: list[tuple[str, str]] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[BeaconScanner]:
        if self.refuse:
            raise DriverError("no adapter; plug one in")
        settings = Settings(beacons=self.senders, shadow_db=0, fading_db=0)
        self.scanners.append(SimulatedScanner(settings, self.clock, lambda _wall: self.where))
        yield self.scanners[-1]

    def service(
        self,
        opener: Callable[[], AbstractAsyncContextManager[BeaconScanner]] | None = None,
        fences: Sequence[Circle] = (SHOP,),
        places: Places = PLACES,
    ) -> ArrivalService:
        async def told(fence: str, event: str) -> None:
            self.told.append((fence, event))

        return ArrivalService(
            clock=self.clock,
            recorder=self.tape,
            health=self.health,
            open_scanner=opener or self.open,
            places=places,
            fences=fences,
            on_fence=[told],
        )

    def run(self, story: Callable[[], Awaitable[None]], service: ArrivalService) -> None:
        """The story, told while the supervisor keeps the service."""

        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(Supervisor(self.clock, self.health).run([service]))
                await settle()
                await story()
                task.cancel()

        asyncio.run(main())

    @property
    def conditions(self) -> list[str]:
        return [condition.code for condition in self.health.conditions()]


def test_a_rider_who_stays_arrives_and_where_nothing_is_heard_nobody_leaves() -> None:
    bench = Bench(senders=(SENDER, STREET))

    async def story() -> None:
        await bench.clock.advance(20)
        bench.where = FAR
        await bench.clock.advance(20)

    bench.where = NEAR
    bench.run(story, bench.service())
    # a kilometre away nothing at all is heard: that is no proof of leaving
    assert bench.tape.words == ["enter", "arrived", "unknown"]
    start = 1000.0
    enter, arrived, _ = bench.tape.times
    assert enter == arrived
    assert enter is not None
    assert start < enter < start + 1


def test_leaving_is_told_while_others_are_still_heard() -> None:
    bench = Bench(senders=(SENDER, STREET))

    async def story() -> None:
        await bench.clock.advance(20)
        bench.where = (31.2311, 121.4737)  # 78 m from the shop's, 22 m from the street's
        await bench.clock.advance(20)

    bench.run(story, bench.service())
    assert bench.tape.words == ["enter", "arrived", "exit"]


def test_a_stalled_radio_is_unknown_never_left_and_is_opened_anew() -> None:
    bench = Bench()

    async def story() -> None:
        await bench.clock.advance(120)
        bench.scanners[0].stall()
        await bench.clock.advance(60)

    bench.run(story, bench.service())
    assert bench.tape.words == ["enter", "arrived", "unknown", "enter", "arrived"]
    unknown = bench.tape.bodies[2]
    assert isinstance(unknown, Arrival)
    assert unknown.evidence["cause"] == "scanner_silent"
    assert len(bench.scanners) == 2
    assert DEAF not in bench.conditions


def test_a_radio_that_stays_silent_is_a_condition_and_is_not_reopened_without_end() -> None:
    bench = Bench(senders=(SENDER,), where=FAR)

    async def story() -> None:
        await bench.clock.advance(3600)

    bench.run(story, bench.service())
    assert bench.tape.words == []
    assert bench.conditions == [DEAF]
    assert 5 < len(bench.scanners) < 20


def test_an_unplugged_radio_is_unknown_once_until_it_is_back() -> None:
    bench = Bench()

    async def story() -> None:
        await bench.clock.advance(20)
        bench.refuse = True
        bench.scanners[0].unplug()
        await bench.clock.advance(60)
        assert bench.tape.words == ["enter", "arrived", "unknown"]
        assert bench.conditions == ["service.arrival"]
        bench.refuse = False
        await bench.clock.advance(60)

    bench.run(story, bench.service())
    assert bench.tape.words == ["enter", "arrived", "unknown", "enter", "arrived"]
    assert bench.conditions == []


def test_fences_are_judged_and_told_without_any_scanner() -> None:
    bench = Bench()
    service = ArrivalService(
        clock=bench.clock,
        recorder=bench.tape,
        health=bench.health,
        fences=[SHOP],
    )

    async def main() -> None:
        for t, (lat, lon) in enumerate([FAR, NEAR, NEAR, FAR, FAR]):
            await service.see(Seen(float(t), lat, lon))
        await service.run(Heartbeat("arrival", bench.clock, bench.health))  # returns at once

    asyncio.run(main())
    assert bench.tape.words == ["enter", "leave"]
    assert bench.tape.times == [1.0, 3.0]


def test_positioning_hears_of_a_fence_at_once() -> None:
    bench = Bench()
    service = bench.service()

    async def main() -> None:
        await service.see(Seen(0.0, *NEAR))
        await service.see(Seen(1.0, *NEAR))

    asyncio.run(main())
    assert bench.told == [("shop-021", "enter")]
    (fence,) = bench.tape.bodies
    assert isinstance(fence, Fence)
    assert fence.distance_m == 1.1


def test_a_shop_heard_where_the_gps_excludes_it_is_a_conflict_for_people() -> None:
    bench = Bench()
    service = bench.service()

    async def story() -> None:
        await service.see(Seen(bench.clock.monotonic(), *FAR))
        await bench.clock.advance(20)
        assert bench.tape.words == []
        assert bench.conditions == [CONFLICT]
        await bench.clock.advance(60)  # the position is old by then and proves nothing

    bench.run(story, service)
    assert bench.tape.words == ["enter", "arrived"]
    assert bench.conditions == []


def test_a_copied_identity_is_told_to_people() -> None:
    identity = "eddystone-uid:" + "0" * 20 + "/" + "0" * 12
    places = Places([Place(id="shop", beacon=[BeaconRule(identity=identity, enter_rssi=-75)])])
    sender = Sender(address=SENDER.address, lat=NEAR[0], lon=NEAR[1], identity=identity)
    bench = Bench(senders=(sender,))
    service = bench.service(places=places)

    async def story() -> None:
        for where in (NEAR, FAR):  # the position moves a kilometre, and the beacon with it
            for _ in range(30):
                await service.see(Seen(bench.clock.monotonic(), *where))
                await bench.clock.advance(1)
        assert bench.conditions == [CLONED]

    bench.run(story, service)
    said = [body.event for body in bench.tape.bodies if isinstance(body, Arrival)]
    assert said == ["enter", "arrived", "unknown"]


def test_a_flood_loses_the_oldest_adverts_and_counts_them() -> None:
    bench = Bench()
    scanner = Flood()

    @asynccontextmanager
    async def opener() -> AsyncIterator[BeaconScanner]:
        yield scanner

    async def story() -> None:
        await bench.clock.advance(1)

    bench.run(story, bench.service(opener))
    assert scanner.rejected == {"queue_full": 10}


class Flood:
    def __init__(self) -> None:
        self.rejected: Counter[str] = Counter()

    async def adverts(self) -> AsyncIterator[Advert]:
        for n in range(QUEUE + 10):
            yield Advert(1000.0 + n * 1e-6, SENDER.address, -90)


def test_a_scanner_whose_input_ends_ends_the_service() -> None:
    bench = Bench()

    @asynccontextmanager
    async def opener() -> AsyncIterator[BeaconScanner]:
        yield Flood()

    async def main() -> None:
        heart = Heartbeat("arrival", bench.clock, bench.health)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(bench.service(opener).run(heart))
            await bench.clock.advance(1)
            assert task.done()

    asyncio.run(main())
