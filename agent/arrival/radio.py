"""Keeps a scanner alive: hands on what it hears, notices when it hears nothing, and wakes it up."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Protocol

from agent.arrival.ladder import RUNGS, Ladder
from agent.arrival.listening import Listening
from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from drivers.base import Advert, BeaconScanner, DriverError, Rung, Stuck

TICK_S = 0.25
QUEUE = 4096  # adverts of one tick; more lose the oldest
DEAF = "beacons.silent"
DEAF_GRACE_S = 120.0
SAID = "the Bluetooth scanner hears nothing, so nobody can be said to have come or gone"
DO = "If this stays in a busy street, `systemctl restart bluetooth` or pull the adapter out"
DONE: dict[Rung | None, str] = {
    None: "the scan is being started anew",
    "restart": "the scan was started anew",
    "power": "the adapter was switched off and on",
    "reset": "the adapter was reset on its USB",
}

OpenScanner = Callable[[], AbstractAsyncContextManager[BeaconScanner]]
Recover = Callable[[Rung], Awaitable[None]]


class Listener(Protocol):
    def hear(self, advert: Advert) -> None: ...

    async def judge(self, now: float, *, deaf: bool) -> None:
        """Four times a second. `deaf`: the radio is not believed any more."""
        ...

    async def lose(self, cause: str) -> None:
        """The radio is gone, or not listened to."""
        ...


class Radio:
    """`recover` wakes up the closed radio of the driver, where that has something to try."""

    def __init__(
        self, clock: Clock, health: Health, open_scanner: OpenScanner, recover: Recover | None
    ) -> None:
        self._clock = clock
        self._health = health
        self._open = open_scanner
        self._recover = recover
        self._inbox: deque[Advert] = deque(maxlen=QUEUE)
        self._ladder = Ladder(RUNGS if recover else RUNGS[:1])
        self._canary = False  # a loud beacon fell silent, and everything with it
        self._done = DONE[None]

    async def run(self, heartbeat: Heartbeat, listener: Listener) -> None:
        """Until the scanner ends; DriverError when it fails."""
        while await self._scan(heartbeat, listener):
            pass

    def rest(self) -> None:
        self._inbox.clear()
        self._hears()

    async def _scan(self, heartbeat: Heartbeat, listener: Listener) -> bool:
        """One scan; whether another one should follow."""
        try:
            async with AsyncExitStack() as stack:
                scanner = await heartbeat.idle(stack.enter_async_context(self._open()))
                heartbeat.well()
                silent = await self._listen(scanner, heartbeat, listener)
        except DriverError as error:
            await listener.lose("scanner_failed")
            if isinstance(error, Stuck) and self._ladder.due(self._clock.monotonic()):
                await self._climb(heartbeat, quick=True)
            raise
        if silent:
            await self._climb(heartbeat, quick=self._canary)
        return silent

    async def _listen(
        self, scanner: BeaconScanner, heartbeat: Heartbeat, listener: Listener
    ) -> bool:
        """Until the scanner ends (False), is too long silent (True), or fails (DriverError)."""
        listening = Listening(self._clock.monotonic())
        async with asyncio.TaskGroup() as group:
            collector = group.create_task(self._collect(scanner), name="adverts")
            while not collector.done():
                await heartbeat.idle(self._clock.sleep(TICK_S))
                if await self._judge(listening, listener):
                    collector.cancel()
                    return True
        await self._judge(listening, listener)
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

    async def _judge(self, listening: Listening, listener: Listener) -> bool:
        """Whether it is time to wake the radio up."""
        if self._inbox:
            self._hears()
        while self._inbox:
            advert = self._inbox.popleft()
            listening.heard(advert.t, advert.rssi)
            listener.hear(advert)
        now = self._clock.monotonic()
        deaf = listening.deaf(now)
        if deaf:
            self._canary = self._canary or listening.canary
            self._tell()
        await listener.judge(now, deaf=deaf)
        return (deaf or self._ladder.rung is not None) and self._ladder.due(now)

    def _hears(self) -> None:
        self._ladder.heard()
        self._canary = False
        self._done = DONE[None]
        self._health.clear(DEAF)

    async def _climb(self, heartbeat: Heartbeat, *, quick: bool) -> None:
        rung = self._ladder.climb(self._clock.monotonic(), quick=quick)
        self._done = DONE[rung]
        if rung != "restart" and self._recover is not None:
            try:
                await heartbeat.idle(self._recover(rung))
            except DriverError as error:
                self._done = f"waking the adapter up ({rung}) was not possible: {error}"
                self._ladder.impossible()
        self._tell()

    def _tell(self) -> None:
        """Step by step when it is sure; else the surroundings may just be quiet."""
        if self._canary:
            self._health.set(DEAF, f"{SAID}: {self._done}. {DO}")
        else:
            text = f"{SAID}: nobody sends here, or it hangs; it is woken up now and then. {DO}"
            self._health.set(DEAF, text, grace_s=DEAF_GRACE_S)
