"""Waits for fixes and lets the policies decide; tells the rest of the agent where the rider is."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Literal, Protocol

from agent.contract.events import Body, ErrorEvent, Position
from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from agent.positioning.backlog import Backlog, Chunk
from agent.positioning.datum import convert
from agent.positioning.message import blurred_body, position_body
from agent.positioning.privacy import Blur, Mode
from agent.positioning.profiles import Profile, profile_for
from agent.positioning.reporting import Reason, Report, Reporting
from agent.positioning.tracker import Estimate, Tracker
from agent.positioning.watching import View, Watching
from agent.store.database import StoreError
from drivers.base import Fix, GpsReceiver

NO_FIX_S = 3.0  # with a fix a second: longer than a lost sentence, as long as silence
STALE_S = 0.5  # the gate has waited for 2 s already
RETRY_S = 2.0  # a receiver or gpsd that is back is heard within this
COUNTS_EVERY_S = 60.0
BATTERY_EVERY_S = 60.0
UTC_TRUST_S = 5.0  # a receiver that is further off than this from NTP has lost a week or an era
CAUSES_MAX = 20  # in one report; the causes are ours, so this only guards against a driver's slip

NO_FIX = "gps.no_fix"
STALE = "gps.stale"

Sink = Callable[[Estimate], Awaitable[None]]


class Rewrite(Protocol):
    """The outbox's; see there."""

    async def __call__(
        self, old: Sequence[tuple[int, float]], new: Sequence[tuple[float, Body]], *, within_m: int
    ) -> bool: ...


class Moments(Protocol):
    """The outbox's; see there."""

    async def __call__(self, begin: float, end: float) -> Collection[float]: ...


class PositioningService:
    """`last` is the newest estimate, however old; its `t` says how old."""

    name = "positioning"

    def __init__(
        self,
        *,
        open_receiver: Callable[[], AbstractAsyncContextManager[GpsReceiver]],
        clock: Clock,
        recorder: Recorder,
        health: Health,
        profile: Profile,
        sinks: Sequence[Sink] = (),
        datum: Literal["wgs84", "gcj02"] = "wgs84",
        mode: Callable[[], Mode] = lambda: "delivery",
        blur: Callable[[], Blur] | None = None,
        waits: Callable[[], bool] = lambda: False,
        rewrite: Rewrite | None = None,
        moments: Moments | None = None,
        battery: Callable[[], float | None] = lambda: None,
    ) -> None:
        """`datum` of what is told; `mode` says how much may be, and `blur` what of an idle rider:
        then neither the sinks nor the reports know anything. While `waits`, nothing is sent, and
        `rewrite` may put what hindsight makes of it in the place of what was recorded; where the
        rider was at `moments` (monotonic s) is kept. `battery`: its charge, 0 to 1."""
        self.last: Estimate | None = None
        self._open = open_receiver
        self._clock = clock
        self._recorder = recorder
        self._health = health
        self._base = self._profile = profile
        self._override: tuple[Profile, float] | None = None  # until, monotonic s
        self._battery = battery
        self._charge: tuple[float | None, float] = (None, float("-inf"))  # of when
        self._sinks = sinks
        self._datum = datum
        self._mode = mode
        self._new_blur = blur
        self._blur: Blur | None = None  # while idle
        self._waits = waits
        self._rewrite = rewrite
        self._moments = moments
        self._backlog = Backlog()
        self._telling = asyncio.Lock()  # anew what waits
        self._watching = Watching(profile)
        self._tracker = Tracker()
        self._reporting = Reporting(profile)
        self._counts: Counter[str] = Counter()  # not yet reported
        self._counts_at = clock.monotonic()

    async def run(self, heartbeat: Heartbeat) -> None:
        """Until the receiver's input ends; DriverError when the receiver is gone or silent."""
        self._no_fix(gone=True)
        heartbeat.retry_max_s = RETRY_S
        seen: Counter[str] = Counter()
        async with self._open() as receiver:
            self._watching.receiver = receiver
            fixes = aiter(receiver.fixes())
            try:
                while (fix := await heartbeat.idle(anext(fixes, None))) is not None:
                    heartbeat.well()
                    await self._take(fix)
                    seen = self._count(receiver, seen)
                    await self._report_counts()
            finally:
                self._watching.receiver = None
                self._count(receiver, seen)
                self._no_fix(gone=True)

    async def report(self, reason: Reason) -> Report | None:
        """Tell the server of the newest estimate now, e.g. because a fence was crossed.

        A sink may call this while it handles an estimate: it then is the only message about it.
        None when there is no estimate yet, or where it may not be told exactly.
        """
        if self.last is None or self._mode() != "delivery":
            return None
        report = self._reporting.force(self._told(self.last), reason)
        await self._record(report, self.last.fix)
        return report

    async def tell_anew(self) -> bool:
        """The link is back and nothing is sent yet: tell the last minutes in hindsight, too.

        Whether the outbox has changed. Bounded, as a chunk is; what cannot be told anew is sent as
        it was recorded.
        """
        try:
            async with self._telling:  # also what a quarter of an hour has just filled
                chunk = self._backlog.take()
                return chunk is not None and await self._tell(chunk)
        except StoreError:  # the outbox says so
            return False

    def override(self, profile: Profile, for_s: float) -> None:
        """Report by another profile for a while, until the next start at most."""
        self._override = (profile, self._clock.monotonic() + for_s)

    def _choose_profile(self) -> None:
        now = self._clock.monotonic()
        if self._override is not None and now >= self._override[1]:
            self._override = None
        if now - self._charge[1] >= BATTERY_EVERY_S:
            self._charge = (self._battery(), now)
        override = self._override[0] if self._override is not None else None
        wanted = profile_for(self._base, battery=self._charge[0], override=override)
        if wanted != self._profile:
            self._profile = self._reporting.profile = self._watching.profile = wanted

    async def rest(self) -> None:
        """The receiver is not to be used: then nothing is wrong with it."""
        self._blur = None
        self._backlog.clear()
        self._health.clear(NO_FIX)
        self._health.clear(STALE)

    def forget(self) -> None:
        """Where the rider was."""
        self.last = None
        self._backlog.clear()
        self._watching.forget()

    def whereabouts(self) -> Estimate | None:
        """The newest estimate in the datum of what is told; for an SOS."""
        return None if self.last is None else self._told(self.last)

    def view(self) -> View:
        """What a person sees who watches the receiver on this device."""
        mode = self._mode()
        withheld = None if mode == "delivery" else f"the rider's mode is {mode}: nothing exact"
        if withheld is None:
            troubles = (c for c in self._health.conditions() if c.code == f"service.{self.name}")
            withheld = next((trouble.text for trouble in troubles), None)
        self._watching.dropped = dict(self._tracker.rejected)
        return self._watching.view(self._clock.monotonic(), self._clock.wall(), withheld)

    async def _take(self, fix: Fix) -> None:
        self._watching.fix = fix
        late = self._tracker.rejected["late"]
        estimate = self._tracker.react(fix)
        if estimate is None:
            if self._tracker.rejected["late"] > late:
                self._stale()
            else:
                self._no_fix()
            return
        self._health.clear(NO_FIX)
        self._health.clear(STALE)
        if fix.utc is not None and estimate.verdict != "rejected":
            self._clock.gps_time(fix.t, fix.utc)
        self.last = self._watching.estimate = estimate
        if self._mode() == "delivery":
            await self._exactly(estimate)
        elif self._mode() == "idle" and self._new_blur is not None:
            await self._roughly(estimate, self._new_blur)

    async def _exactly(self, estimate: Estimate) -> None:
        if self._blur is not None:  # what the server was told last is a cell: begin anew
            self._blur, self._reporting = None, Reporting(self._profile)
        self._choose_profile()
        for sink in self._sinks:
            await sink(estimate)
        if self._mode() != "delivery":
            return  # it became stricter while a sink waited
        report = self._reporting.react(self._told(estimate))
        if report is not None:
            await self._record(report, estimate.fix)
        await self._look_back(estimate)

    async def _look_back(self, estimate: Estimate) -> None:
        waits = self._rewrite is not None and self._waits()
        chunk = self._backlog.add(estimate, self._tracker.state, waits=waits)
        if chunk is not None:
            async with self._telling:
                await self._tell(chunk)

    async def _tell(self, chunk: Chunk) -> bool:
        if self._rewrite is None:
            return False
        within_m = self._profile.max_error_m
        moments = await self._moments(*chunk.trace.span) if self._moments is not None else ()
        told = await asyncio.to_thread(chunk.trace.told, within_m, moments)
        reports = [(self._converted(report), fix) for report, fix in told]
        bodies = [(report.t, self._body(report, fix)) for report, fix in reports]
        if not await self._rewrite(chunk.old, bodies, within_m=round(within_m)):
            return False
        newest, _ = reports[-1]
        self._reporting.replaced(newest)
        return True

    def _converted(self, report: Report) -> Report:
        lat, lon = convert(report.lat, report.lon, "wgs84", self._datum)
        return replace(report, lat=round(lat, 7), lon=round(lon, 7))

    async def _roughly(self, estimate: Estimate, new_blur: Callable[[], Blur]) -> None:
        self._backlog.clear()
        if self._blur is None:
            self._blur = new_blur()
        blurred = self._blur.react(estimate.t, estimate.lat, estimate.lon)
        if blurred is not None:
            fix_t = self._fix_time(estimate.t, estimate.fix)
            body = blurred_body(blurred, fix_t=fix_t, datum=self._datum)
            await self._recorder.record(body, t=estimate.t)

    def _told(self, estimate: Estimate) -> Estimate:
        """In the datum that the server extrapolates in, so that its picture is checked in that."""
        if self._datum == "wgs84":
            return estimate
        fix = estimate.fix
        if fix.lat is not None and fix.lon is not None:
            lat, lon = convert(fix.lat, fix.lon, "wgs84", self._datum)
            fix = replace(fix, lat=lat, lon=lon)
        lat, lon = convert(estimate.lat, estimate.lon, "wgs84", self._datum)
        return replace(estimate, lat=lat, lon=lon, fix=fix)

    async def _record(self, report: Report, fix: Fix) -> None:
        seq = await self._recorder.record(self._body(report, fix), t=report.t)
        self._backlog.recorded(seq, report)
        self._watching.told(report)

    def _body(self, report: Report, fix: Fix) -> Position:
        return position_body(
            report,
            fix_t=self._fix_time(report.t, fix),
            profile=self._profile.name,
            datum=self._datum,
        )

    def _fix_time(self, t: float, fix: Fix) -> float:
        """Unix s. The receiver knows it best, unless it contradicts a disciplined clock."""
        wall = self._clock.wall_at(t)
        if fix.utc is None:
            return wall
        contradicts = abs(fix.utc - wall) > UTC_TRUST_S and self._clock.quality() == "ntp"
        return wall if contradicts else fix.utc

    def _no_fix(self, *, gone: bool = False) -> None:
        if gone:
            self._health.set(
                NO_FIX,
                "no GPS fix: nothing comes from the receiver; see service.positioning",
                grace_s=NO_FIX_S,
            )
            return
        self._health.set(
            NO_FIX,
            "no GPS fix: give the antenna a view of the sky and check its cable; indoors this is"
            " normal",
            grace_s=NO_FIX_S,
        )

    def _stale(self) -> None:
        self._health.set(
            STALE,
            "GPS fixes arrive more than 2 s late and are not used: raise the receiver's baud rate"
            " or switch its GSV sentences off",
            grace_s=STALE_S,
        )

    def _count(self, receiver: GpsReceiver, seen: Counter[str]) -> Counter[str]:
        """Add what the receiver has thrown away since `seen`."""
        now = Counter(receiver.rejected)
        self._counts += now - seen
        return now

    async def _report_counts(self) -> None:
        if self._clock.monotonic() - self._counts_at < COUNTS_EVERY_S:
            return
        self._counts_at = self._clock.monotonic()
        tracker = self._tracker.rejected
        del tracker["no fix"]  # a state, not a loss; gps.no_fix tells of it
        counts = self._counts + tracker
        self._counts.clear()
        tracker.clear()
        if counts:
            await self._recorder.record(
                ErrorEvent(source="gps", counts=dict(counts.most_common(CAUSES_MAX)))
            )
