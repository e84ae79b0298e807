"""Fences from positions, places and floors from beacons: hears, asks the policies, records."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from agent.arrival.fusion import NOWHERE, Arrivals, Ride, Statement
from agent.arrival.geofence import Geofence, Located, Shape
from agent.arrival.listening import Listening
from agent.arrival.places import Places
from agent.contract.events import Arrival, Fence
from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from drivers.base import Advert, BeaconScanner, DriverError

log = logging.getLogger(__name__)

TICK_S = 0.25
QUEUE = 4096  # adverts of one tick; more lose the oldest
FIX_FRESH_S = 60.0  # how long a position rules places out
REOPEN_MIN_S = 30.0  # a scan that fell silent is started anew, at first after this
REOPEN_MAX_S = 300.0
DEAF = "beacons.silent"
DEAF_TEXT = (
    "the Bluetooth scanner hears nothing: nobody sends here, or it hangs; it is being started anew."
    " If this stays in a busy street, `systemctl restart bluetooth` or pull the adapter out"
)
DEAF_GRACE_S = 120.0
CONFLICT = "beacons.conflict"
CLONED = "beacons.cloned"
MOMENT_S = 5.0  # a position this old still says where an advert was heard
SURE_M = 20.0  # a speed is believed when the position is this accurate

OpenScanner = Callable[[], AbstractAsyncContextManager[BeaconScanner]]
OnFence = Callable[[str, str], Awaitable[None]]


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
        places: Places | None = None,
        fences: Sequence[Shape] = (),
        on_fence: Sequence[OnFence] = (),
    ) -> None:
        self._clock = clock
        self._recorder = recorder
        self._health = health
        self._open = open_scanner
        self._fences = [Geofence(shape) for shape in fences]
        self._on_fence = on_fence
        self._arrivals = Arrivals(places or Places())
        self._inbox: deque[Advert] = deque(maxlen=QUEUE)
        self._located: Located | None = None
        self._reopen_s = REOPEN_MIN_S

    async def see(self, estimate: Located) -> None:
        """Take a position; whoever wants fences at once hears of them here."""
        self._located = estimate
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
        await self._record(self._arrivals.lose(self._clock.monotonic(), "not_listening"))
        self._health.clear(DEAF)
        self._health.clear(CONFLICT)

    async def run(self, heartbeat: Heartbeat) -> None:
        if self._open is None:
            return
        while await self._scan(self._open, heartbeat):
            log.info("nothing was heard for long: the scan is started anew")

    async def _scan(self, open_scanner: OpenScanner, heartbeat: Heartbeat) -> bool:
        """One scan; whether another one should follow."""
        try:
            async with AsyncExitStack() as stack:
                scanner = await heartbeat.idle(stack.enter_async_context(open_scanner()))
                heartbeat.well()
                return await self._listen(scanner, heartbeat)
        except DriverError:
            await self._record(self._arrivals.lose(self._clock.monotonic(), "scanner_failed"))
            raise

    async def _listen(self, scanner: BeaconScanner, heartbeat: Heartbeat) -> bool:
        """Until the scanner ends (False), is too long silent (True), or fails (DriverError)."""
        opened = self._clock.monotonic()
        listening = Listening(opened)
        async with asyncio.TaskGroup() as group:
            collector = group.create_task(self._collect(scanner), name="adverts")
            while not collector.done():
                await heartbeat.idle(self._clock.sleep(TICK_S))
                await self._judge(listening)
                now = self._clock.monotonic()
                if listening.deaf(now) and now - opened >= self._reopen_s:
                    self._reopen_s = min(2 * self._reopen_s, REOPEN_MAX_S)
                    collector.cancel()
                    return True
        await self._judge(listening)
        failure = collector.result()
        if failure is not None:
            raise failure
        return False

    async def _collect(self, scanner: BeaconScanner) -> DriverError | None:
        """Fill the inbox; why it ended. Returned, not raised: a TaskGroup would wrap it."""
        try:
            async for advert in scanner.adverts():
                if len(self._inbox) == QUEUE:
                    scanner.rejected["queue_full"] += 1
                self._inbox.append(advert)
        except DriverError as error:
            return error
        return None

    async def _judge(self, listening: Listening) -> None:
        if self._inbox:
            self._reopen_s = REOPEN_MIN_S
            self._health.clear(DEAF)
        while self._inbox:
            advert = self._inbox.popleft()
            listening.heard(advert.t)
            self._arrivals.hear(advert, self._where(advert.t))
        now = self._clock.monotonic()
        statements = self._arrivals.judge(now, self._ride(now))
        if listening.deaf(now):
            statements += self._arrivals.lose(now, "scanner_silent")
            self._health.set(DEAF, DEAF_TEXT, grace_s=DEAF_GRACE_S)
        self._report_conflicts()
        await self._record(statements)

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
            await self._recorder.record(body_of(said), t=said.t)


def body_of(statement: Statement) -> Arrival:
    """The message that says it."""
    return Arrival(
        place=statement.place,
        event=statement.word,
        floor=statement.floor,
        confidence=statement.confidence,
        evidence=statement.evidence,
    )
