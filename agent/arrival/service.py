"""Fences from positions, places and floors from beacons: asks the policies, records."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Literal, Protocol

from agent.arrival import known
from agent.arrival.fusion import NOWHERE, Arrivals, Ride, Statement
from agent.arrival.geofence import Geofence, Located, Shape
from agent.arrival.known import Known, Live
from agent.arrival.overview import Overview, Row
from agent.arrival.places import Places
from agent.arrival.radio import OpenScanner, Radio, Recover
from agent.arrival.thresholds import Kept, Thresholds
from agent.contract.events import Arrival, Fence
from agent.core.changes import Changes
from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from drivers.base import Advert

FIX_FRESH_S = 60.0  # how long a position rules places out
ORDERS_S = 1.0  # between two looks at the orders
CONFLICT = "beacons.conflict"
CLONED = "beacons.cloned"
MOMENT_S = 5.0  # a position this old still says where an advert was heard
LOOKED_S = 60.0  # so long after a look is the radio kept in view
SURE_M = 20.0  # a speed is believed when the position is this accurate

OnFence = Callable[[str, str], Awaitable[None]]
Meets = Literal["shops", "couriers"]
OnMeeting = Callable[[str, str, Sequence[str]], Awaitable[None]]


class Orders:
    """The live orders, read anew when something changed; `meets` says whom this device awaits."""

    def __init__(
        self, clock: Clock, changes: Changes, live: Callable[[], Awaitable[Sequence[Live]]],
        meets: Meets,
    ) -> None:  # fmt: skip
        self.meets = meets
        self._clock = clock
        self._changes = changes
        self._live = live
        self._sum_up = known.shops if meets == "shops" else known.couriers
        self._seen = -1
        self._next = 0.0

    async def news(self) -> Known | None:
        """None when there are none, or not yet."""
        now = self._clock.monotonic()
        if self._changes.version == self._seen or now < self._next:
            return None
        self._seen, self._next = self._changes.version, now + ORDERS_S
        return self._sum_up(await self._live())


class Memory(Protocol):
    async def load(self) -> Sequence[Kept]: ...

    async def save(self, kept: Sequence[Kept]) -> None: ...


class ArrivalService:
    """Without a scanner it judges fences only, and `run` returns at once."""

    name = "arrival"

    def __init__(
        self,
        *,
        clock: Clock,
        recorder: Recorder,
        health: Health,
        open_scanner: OpenScanner | None = None,
        recover: Recover | None = None,
        places: Places | None = None,
        fences: Sequence[Shape] = (),
        on_fence: Sequence[OnFence] = (),
        orders: Orders | None = None,
        on_meeting: OnMeeting | None = None,
        remembered: Memory | None = None,
    ) -> None:
        """`on_meeting(event, place, order ids)`: somebody whom orders name came or went.
        `remembered`: what pick-ups taught; without it they teach nothing."""
        self._clock = clock
        self._recorder = recorder
        self._health = health
        self._radio = open_scanner and Radio(clock, health, open_scanner, recover)
        self._configured = list(fences)
        self._fences = [Geofence(shape) for shape in fences]
        self._on_fence = on_fence
        self._places = places or Places()
        self._thresholds = Thresholds()
        meets_places = orders is None or orders.meets == "shops"
        self._arrivals = Arrivals(self._places, rivals=meets_places, thresholds=self._thresholds)
        self._remembered = remembered
        self._recalled = False
        self._orders = orders
        self._on_meeting = on_meeting
        self._known = Known()
        self._located: Located | None = None
        self._overview: Overview | None = None
        self._looked = 0.0  # when somebody did last

    async def see(self, estimate: Located) -> None:
        """Take a position; whoever wants fences at once hears of them here."""
        self._located = estimate
        await self._look_at_orders()
        for fence in self._fences:
            crossing = fence.see(estimate)
            if crossing is None:
                continue
            distance = round(crossing.distance_m, 1)
            body = Fence(fence=crossing.fence, event=crossing.event, distance_m=distance)
            await self._recorder.record(body, t=crossing.t)
            for listener in self._on_fence:
                await listener(crossing.fence, crossing.event)

    async def rest(self) -> None:
        """It is not to listen: what was said last does not hold any more."""
        await self.lose("not_listening")
        if self._radio is not None:
            self._radio.rest()
        self._health.clear(CONFLICT)

    async def run(self, heartbeat: Heartbeat) -> None:
        if self._radio is None:
            return
        await self._recall()
        await self._radio.run(heartbeat, self)

    async def learned(self) -> list[Kept]:
        """Thresholds that pick-ups moved, also while nobody listens."""
        await self._recall()
        return self._thresholds.kept()

    async def _recall(self) -> None:
        """Once."""
        if self._remembered is None or self._recalled:
            return
        self._recalled = True
        self._thresholds.recall(await self._remembered.load())
        self._revise()

    # --- what the radio says ----------------------------------------------------------------------

    def overview(self) -> list[Row] | None:
        """What is heard just now, the loudest first; None without a scanner. Kept from the first
        look on and no longer than a minute after the last, because it takes memory."""
        if self._radio is None:
            return None
        self._looked = self._clock.monotonic()
        if self._overview is None:
            self._overview = Overview(self._places.places)
        return self._overview.rows(self._looked)

    def hear(self, advert: Advert) -> None:
        if self._overview is not None:
            self._overview.hear(advert)
            if advert.t > self._looked + LOOKED_S:
                self._overview = None
        named = self._known.named(advert, self._clock.wall())
        self._arrivals.hear(named, self._where(advert.t))

    async def judge(self, now: float, *, deaf: bool) -> None:
        await self._look_at_orders()
        statements = self._arrivals.judge(now, self._ride(now))
        if deaf:
            statements += self._arrivals.lose(now, "scanner_silent")
        self._report_conflicts()
        await self._record(statements)

    async def lose(self, cause: str) -> None:
        await self._record(self._arrivals.lose(self._clock.monotonic(), cause))

    async def _look_at_orders(self) -> None:
        news = await self._orders.news() if self._orders else None
        if news is None:
            return
        await self._learn(self._known, news)
        self._known = news
        self._revise()
        old = {fence.shape.id: fence for fence in self._fences}
        ours = {shape.id for shape in self._configured}
        shapes = [*self._configured, *(f for f in news.fences if f.id not in ours)]
        fences = []
        for shape in shapes:
            fence = old.get(shape.id) or Geofence(shape)
            fence.shape = shape
            fences.append(fence)
        self._fences = fences

    def _revise(self) -> None:
        places = known.together(self._places, self._known)
        self._arrivals.revise(places, set(self._known.waiting.values()))

    async def _learn(self, before: Known, news: Known) -> None:
        """From orders that were picked up since: a start learns nothing from what was done before
        it."""
        if self._remembered is None:
            return
        shops = {shop for order, shop in news.picked_up.items() if order in before.waiting}
        if [shop for shop in sorted(shops) if self._arrivals.picked_up(shop)]:
            await self._remembered.save(self._thresholds.kept())

    def _where(self, t: float) -> Located | None:
        """The position at a moment, unless it is of another one."""
        located = self._located
        return located if located is not None and abs(t - located.t) <= MOMENT_S else None

    def _ride(self, now: float) -> Ride:
        """What a fresh position says; a fence is its place's by the same id."""
        located = self._located
        if located is None or now - located.t > FIX_FRESH_S:
            return NOWHERE
        distances = {fence.shape.id: fence.distance(located) for fence in self._fences}
        excluded = {fence.shape.id for fence in self._fences if fence.excludes(located)}
        sure = located.acc is not None and located.acc <= SURE_M
        moment = now - located.t <= MOMENT_S
        return Ride(excluded, distances, located.speed if sure and moment else None)

    def _report_conflicts(self) -> None:
        suspended = self._arrivals.suspended()
        if suspended:
            self._health.set(
                CLONED,
                f"{', '.join(suspended)} was heard at two distant places: it was copied or is used"
                " twice, and counts for nothing now; give each beacon an identity of its own",
            )
        else:
            self._health.clear(CLONED)
        if not self._arrivals.conflicts:
            self._health.clear(CONFLICT)
            return
        places = ", ".join(sorted(self._arrivals.conflicts))
        self._health.set(
            CONFLICT,
            f"a beacon of {places} is heard far from there: its identity is used twice or copied;"
            " give it another, or name its address in places.toml",
        )

    async def _record(self, statements: Iterable[Statement]) -> None:
        for said in statements:
            orders = self._known.orders.get(said.place, ())
            if orders:
                said.evidence["orders"] = list(orders)
            await self._recorder.record(body_of(said), t=said.t)
            if self._on_meeting is not None and orders:
                await self._on_meeting(said.word, said.place, orders)


def body_of(statement: Statement) -> Arrival:
    """The message that says it."""
    return Arrival(
        place=statement.place,
        event=statement.word,
        floor=statement.floor,
        confidence=statement.confidence,
        evidence=statement.evidence,
    )
