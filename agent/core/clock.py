"""The only module that reads the machine's time or sleeps.

Durations and order use `monotonic()`. Wall time carries its quality, because a Pi boots without a
clock: what was recorded before the time was known is dated later, from the monotonic distance.
"""

from __future__ import annotations

import asyncio
import ctypes
import heapq
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import drivers.base
from agent.core.timedaemon import TimeDaemon

Quality = Literal["ntp", "gps", "rtc", "none"]

# No machine that runs this release can honestly be earlier; a Pi without one starts in the past.
BUILD_TIME = 1_790_000_000.0
GPS_TRUST_S = 3600.0  # crystal drift of a Pi stays well below 1 s in an hour
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_REFUSED = -1  # a sandbox does not let us ask


class Clock(drivers.base.Clock, Protocol):
    """What services receive."""

    boot_id: str

    def quality(self) -> Quality:
        """How far `wall()` can be trusted."""
        ...

    def wall_at(self, t: float) -> float:
        """Unix seconds of the monotonic second `t` of this boot."""
        ...

    async def tick(self, period: float) -> None:
        """Until the next multiple of `period` s: who looks so often wakes together with others.

        A device that does little spends its processor time on waking up.
        """
        ...

    def gps_time(self, t: float, utc: float) -> None:
        """A receiver said that it was `utc` (unix s) at monotonic `t`; used while NTP is away."""
        ...


class SystemClock:
    """The machine's time. `trusted`: somebody outside keeps it, as for a container."""

    def __init__(self, *, trusted: bool = False) -> None:
        self._trusted = trusted
        self.boot_id = _boot_id()
        self._gps: tuple[float, float] | None = None  # monotonic s, unix s
        self._adjtimex = _adjtimex()
        self._daemon = TimeDaemon()
        self.quality()  # where the answer takes a moment, it is on its way now

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return self.wall_at(time.monotonic())

    def wall_at(self, t: float) -> float:
        now = time.monotonic()
        if self._gps is not None and self.quality() == "gps":
            return self._gps[1] + (t - self._gps[0])
        return time.time() - (now - t)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    async def tick(self, period: float) -> None:
        await asyncio.sleep(period - time.monotonic() % period)

    def gps_time(self, t: float, utc: float) -> None:
        if utc >= BUILD_TIME:
            self._gps = (t, utc)

    def quality(self) -> Quality:
        if self._is_kept():
            return "ntp"
        if self._gps is not None and time.monotonic() - self._gps[0] < GPS_TRUST_S:
            return "gps"
        if time.time() >= BUILD_TIME and (self._trusted or Path("/dev/rtc0").exists()):
            return "rtc"
        return "none"

    def _is_kept(self) -> bool:
        state = self._adjtimex()
        if state == _REFUSED:
            return self._daemon.keeps(time.monotonic())
        return state != _TIME_ERROR


class ManualClock:
    """The test's and the replay's time: it stands still until `advance()`."""

    def __init__(self, *, wall: float = 1_800_000_000.0, monotonic: float = 1000.0) -> None:
        self.boot_id = "manual"
        self.tq: Quality = "ntp"
        self._now = monotonic
        self._offset = wall - monotonic
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = itertools.count()

    def monotonic(self) -> float:
        return self._now

    def wall(self) -> float:
        return self.wall_at(self._now)

    def wall_at(self, t: float) -> float:
        return t + self._offset

    def set_wall(self, wall: float) -> None:
        """The machine's clock jumps."""
        self._offset = wall - self._now

    def gps_time(self, t: float, utc: float) -> None:
        if self.tq in ("rtc", "none"):
            self._offset, self.tq = utc - t, "gps"

    def quality(self) -> Quality:
        return self.tq

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._count), future))
        await future

    async def tick(self, period: float) -> None:
        await self.sleep(period - self._now % period)

    async def advance(self, seconds: float) -> None:
        """Move on, waking sleepers in their order and letting them run in between."""
        end = self._now + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, future = heapq.heappop(self._sleepers)
            self._now = max(self._now, due)
            if not future.done():
                future.set_result(None)
            await settle()
        self._now = end
        await settle()

    def jump(self, t: float) -> None:
        """A replay's clock follows the recording; nothing sleeps there."""
        self._now = t


async def settle(rounds: int = 20) -> None:
    """Let every task that can run, run; for tests."""
    for _ in range(rounds):
        await asyncio.sleep(0)


def cpu_seconds() -> float:
    """Processor time of this process."""
    return time.process_time()


def _boot_id() -> str:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text(encoding="ascii").strip() if path.exists() else f"{time.time_ns():x}"


class _Timex(ctypes.Structure):
    _fields_ = [("modes", ctypes.c_uint), ("room", ctypes.c_char * 252)]


def _adjtimex() -> Callable[[], int]:
    """A function that asks the kernel whether something disciplines its clock (adjtimex(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    timex = _Timex()

    def ask() -> int:
        timex.modes = 0
        return int(libc.adjtimex(ctypes.byref(timex)))

    return ask
