"""Waits for fixes and lets the policies decide; tells the rest of the agent where the rider is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from agent.contract.events import ErrorEvent
from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from agent.positioning.message import position_body
from agent.positioning.reporting import Profile, Reason, Report, Reporting
from agent.positioning.tracker import Estimate, Tracker
from drivers.base import Fix, GpsReceiver

NO_FIX_S = 30.0
STALE_S = 10.0
COUNTS_EVERY_S = 60.0
UTC_TRUST_S = 5.0  # a receiver that is further off than this from NTP has lost a week or an era
CAUSES_MAX = 20  # in one report; the causes are ours, so this only guards against a driver's slip

NO_FIX = "gps.no_fix"
STALE = "gps.stale"

Sink = Callable[[Estimate], Awaitable[None]]


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
    ) -> None:
        self.last: Estimate | None = None
        self._open = open_receiver
        self._clock = clock
        self._recorder = recorder
        self._health = health
        self._profile = profile
        self._sinks = sinks
        self._tracker = Tracker()
        self._reporting = Reporting(profile)
        self._counts: Counter[str] = Counter()  # not yet reported
        self._counts_at = clock.monotonic()

    async def run(self, heartbeat: Heartbeat) -> None:
        """Until the receiver's input ends; DriverError when the receiver is gone or silent."""
        self._no_fix()
        seen: Counter[str] = Counter()
        async with self._open() as receiver:
            fixes = aiter(receiver.fixes())
            try:
                while (fix := await heartbeat.idle(anext(fixes, None))) is not None:
                    heartbeat.well()
                    await self._take(fix)
                    seen = self._count(receiver, seen)
                    await self._report_counts()
            finally:
                self._count(receiver, seen)
                self._no_fix()

    async def report(self, reason: Reason) -> Report | None:
        """Tell the server of the newest estimate now, e.g. because a fence was crossed.

        A sink may call this while it handles an estimate: it then is the only message about it.
        None when there is no estimate yet.
        """
        if self.last is None:
            return None
        report = self._reporting.force(self.last, reason)
        await self._record(report, self.last.fix)
        return report

    async def _take(self, fix: Fix) -> None:
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
        self.last = estimate
        for sink in self._sinks:
            await sink(estimate)
        report = self._reporting.react(estimate)
        if report is not None:
            await self._record(report, fix)

    async def _record(self, report: Report, fix: Fix) -> None:
        body = position_body(report, fix_t=self._fix_time(report, fix), profile=self._profile.name)
        await self._recorder.record(body, t=report.t)

    def _fix_time(self, report: Report, fix: Fix) -> float:
        """Unix s. The receiver knows it best, unless it contradicts a disciplined clock."""
        wall = self._clock.wall_at(report.t)
        if fix.utc is None:
            return wall
        contradicts = abs(fix.utc - wall) > UTC_TRUST_S and self._clock.quality() == "ntp"
        return wall if contradicts else fix.utc

    def _no_fix(self) -> None:
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
