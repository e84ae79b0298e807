"""One service a printer: takes its jobs from the store and gets them on paper, or says why not.

The order of steps is what makes a ticket come out once or say that it may be a duplicate: `sending`
is committed before the first byte, `printed` only with the printer's proof. Whatever happens in
between, a job found in `sending` is in doubt.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Any, Literal

from agent.config import PrinterConfig, seconds
from agent.contract.errors import Rejected
from agent.core.clock import BUILD_TIME, Clock
from agent.core.health import Health
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from agent.printing import jobs, spool
from agent.printing.ahead import Ahead
from agent.printing.devices import stays_open
from agent.printing.jobs import ASKED, MAX_DOUBTS, Job, State, Told
from agent.printing.render import Renderer
from agent.printing.templates import Templates
from agent.printing.trial import try_out
from agent.printing.values import Stamp, local
from agent.store.database import Database, StoreError
from drivers.base import DriverError, Evidence, Examination, Printer, WriteError

POLL_S = 2.0  # how often an idle printer is looked at
MUTE_POLL_S = 30.0  # one that says nothing: only whether it is there
FAULT_POLL_S = 0.5  # how soon a remedied fault is noticed
BACKOFF_MAX_S = 4.0
UNREACHABLE_GRACE_S = 3.0  # the shop's till may hold the connection for a moment
REROUTE_AFTER_S = 6.0  # since it was last seen well: with the desk's tick, within 8 s of its death
UNNOTICED_S = 5.0  # for so long a printer may have stalled, when that is noticed
CONNECTING_S = 2.0  # and so long has it not been reached
SILENT_S = 120.0  # then it is written to blindly: better paper without proof than none
FINISH_S = 5.0  # for the ticket under way when the agent is stopped
PATIENCE_S = 600.0  # for somebody to bring paper while half a ticket hangs in the printer
ANSWERED_MS = 30 * 86_400_000
NO_CLOCK_S = 120.0  # after a boot without the time; then scheduled tickets are printed at once

ADVICE = {
    "paper_out": "out of paper: open the lid and put in a new roll",
    "cover_open": "the cover is open: close it",
    "error": "it reports an error: switch it off, look for jammed paper, switch it on",
    "offline": "it is offline: press its FEED or online button",
    "stalled": "it takes no more data: is it switched on, with paper in and the cover closed?",
}

OpenPrinter = Callable[[PrinterConfig, Clock], AbstractAsyncContextManager[Printer]]
OnTrouble = Callable[[str, str | None], None]
Taken = tuple[Job, Job | None]  # one that is `sending`, and the one that will follow it
Proved = Literal["printed", "sent_unconfirmed"]


@dataclass(slots=True)
class Trouble:
    """Why nothing is printed."""

    fault: str
    since: float  # monotonic s
    since_ms: int | None
    told: bool = False


class PrinterService:
    """`on_trouble(printer, fault)` hears of each fault, and of its end with None."""

    def __init__(
        self,
        config: PrinterConfig,
        *,
        open_printer: OpenPrinter,
        clock: Clock,
        database: Database,
        recorder: Recorder,
        health: Health,
        on_trouble: OnTrouble | None = None,
        zone: tzinfo | None = None,
        templates: Templates | None = None,
    ) -> None:
        self.name = f"printer.{config.name}"
        self.config = config
        self._open_printer = open_printer
        self._clock = clock
        self._database = database
        self._recorder = recorder
        self._health = health
        self._on_trouble = on_trouble
        self._zone = zone
        self.templates = templates or Templates()
        self._ahead = Ahead(Renderer(config, self.templates))
        self._wake = asyncio.Event()
        self._stack = AsyncExitStack()
        self._printer: Printer | None = None
        self._trouble: Trouble | None = None
        self._well_at = clock.monotonic()  # when it was last seen well
        self._backoff = FAULT_POLL_S
        self._dirty = False  # a job broke off: resync before the next
        self._ending = False  # the ticket under way is the last one
        self._trial: asyncio.Future[Examination] | None = None  # asked for by a person
        self._answers = False  # it has answered before: silence is a fault then
        self._begun = clock.monotonic()
        self._dated = False  # the time was known once: it goes on from there
        self._stale_ms = int(seconds(config.stale_after) * 1000)
        # For how long jobs may have been waiting for the printer; None at the start: nobody knows.
        self._outage_ms: int | None = None

    @property
    def fault(self) -> str | None:
        """Why it does not print, as it was told."""
        return self._trouble.fault if self._trouble and self._trouble.told else None

    @property
    def failing_s(self) -> float:
        """For how long it has not been printing; 0 when it is well."""
        return self._clock.monotonic() - self._trouble.since if self._trouble else 0.0

    def wake(self) -> None:
        """There may be something to print."""
        self._wake.set()

    async def examine(self) -> Examination:
        """Try the printer out on two test pages, between its tickets.

        Rejected: busy, while somebody else does. DriverError: it cannot print.
        """
        if self._trial is not None:
            raise Rejected("busy", f"printer {self.config.name} is being tried out already")
        self._trial = trial = asyncio.get_running_loop().create_future()
        self.wake()
        try:
            seen: Examination = await trial
        finally:
            self._trial = None
        return seen

    async def run(self, heartbeat: Heartbeat) -> None:
        self._ending = False
        await self._recover()
        try:
            while True:
                try:
                    await self._round(heartbeat)
                except StoreError:
                    raise  # the disk's trouble, not the printer's
                except DriverError as error:
                    await self._close()
                    await self._fail("unreachable", str(error))
                    await heartbeat.idle(self._clock.sleep(self._backoff))
                    self._backoff = min(self._backoff * 2, BACKOFF_MAX_S)
        finally:
            await self._close()

    # --- one step ---------------------------------------------------------------------------------

    async def _round(self, heartbeat: Heartbeat) -> None:
        """Print what waits, or wait for something."""
        self._wake.clear()
        if self._trial is not None and not self._trial.done():
            await self._try_out(self._trial, heartbeat)
        first, marked = await self._read(self._look)
        if first is None:
            self._outage_ms = 0  # whoever waits from now on does not wait for lost time
            await self._idle(heartbeat)
            return
        self._prepare(first)
        printer = await heartbeat.idle(self._open())
        if not await self._well(printer):
            await self._rest(heartbeat, FAULT_POLL_S)
            return
        if self._dirty:
            await heartbeat.idle(printer.resync())
            self._dirty = False
        for job in marked:
            await self._judge_doubt(printer, job, heartbeat)
        taken = await self._to_its_end(self._begin(printer, heartbeat))
        while taken is not None:
            taken = await self._to_its_end(self._print(printer, taken, heartbeat))

    async def _try_out(self, trial: asyncio.Future[Examination], heartbeat: Heartbeat) -> None:
        try:
            printer = await heartbeat.idle(self._open())
            if self._dirty:
                await heartbeat.idle(printer.resync())
                self._dirty = False
            seen = await heartbeat.idle(try_out(self.config, printer))
        except DriverError as error:
            if not trial.done():
                trial.set_exception(error)
            self._dirty = True
            await self._close()  # what is wrong with it, the next look finds out
        else:
            if not trial.done():
                trial.set_result(seen)

    def _look(self, tx: sqlite3.Connection) -> tuple[Job | None, list[Job]]:
        """The next job, and those that the printer's counter can tell of."""
        first = next(iter(spool.waiting(tx, self.config.name, self._due(), limit=1)), None)
        return first, spool.marked(tx, self.config.name) if first else []

    def _prepare(self, job: Job) -> None:
        """Render it while there is something to wait for."""
        self._ahead.begin(job, self._stamp(replace(job, attempt=job.attempt + 1)))

    async def _judge_doubt(self, printer: Printer, job: Job, heartbeat: Heartbeat) -> None:
        """A ticket that was cut off while nobody listened need not come out again.

        One that was not cut may hang in the printer in part, so it stays in doubt.
        """
        assert job.mark is not None
        if await heartbeat.idle(printer.came_out(job.mark)):
            proof = {"evidence": Evidence.COUNTER.value, "doubts": job.doubts - 1, "mark": None}
            await self._settle(job, "printed", "printed", reason=None, **proof)
        else:
            await self._settle(job, job.state, None, mark=None)

    async def _idle(self, heartbeat: Heartbeat) -> None:
        """Keep an eye on the printer until there is something to print."""
        printer = await heartbeat.idle(self._open())
        well = await self._well(printer)
        pause = POLL_S if well else FAULT_POLL_S
        if stays_open(self.config):
            await self._rest(heartbeat, pause, printer)
            return
        await self._close()
        await self._rest(heartbeat, pause if self._answers else MUTE_POLL_S)

    async def _rest(
        self, heartbeat: Heartbeat, seconds_: float, printer: Printer | None = None
    ) -> None:
        """Until woken, until the printer says something, or for so long."""

        async def first() -> None:
            async with asyncio.TaskGroup() as group:
                waits = {
                    group.create_task(self._clock.sleep(seconds_)),
                    group.create_task(self._wake.wait()),
                }
                if printer is not None:
                    waits.add(group.create_task(printer.news()))
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for wait in waits:
                    wait.cancel()

        await heartbeat.idle(first())

    async def _begin(self, printer: Printer, heartbeat: Heartbeat) -> Taken | None:
        mark = await heartbeat.idle(printer.mark())
        taken = await self._write(lambda tx: self._take(tx, mark))
        return None if taken is None else await self._print(printer, taken, heartbeat)

    async def _print(self, printer: Printer, taken: Taken, heartbeat: Heartbeat) -> Taken | None:
        """The job is `sending` on the disk; when this returns it is something else.

        Returns the next one, which is `sending` since the same commit.
        """
        job, upcoming = taken
        rendered = await self._ahead.rendered(job, self._stamp(job))
        try:
            await heartbeat.idle(printer.write(rendered.data))
            if upcoming is not None:
                self._prepare(upcoming)
            evidence = await self._proof(printer, heartbeat)
        except WriteError as error:
            if error.accepted == 0:
                await self._unsent(job)
                raise
            await self._doubt(job, str(error))
            raise
        except DriverError as error:
            await self._doubt(job, str(error))
            raise
        reason = f"drawn as boxes: {rendered.missing}" if rendered.missing else None
        self._compare(evidence)
        proof: dict[str, Any] = {"evidence": evidence.value, "reason": reason, "mark": None}
        return await self._end(printer, job, proof, heartbeat)

    async def _end(
        self, printer: Printer, job: Job, proof: dict[str, Any], heartbeat: Heartbeat
    ) -> Taken | None:
        """It is out: commit that, and the next one with it."""
        proved: Proved = "printed" if proof["evidence"] != Evidence.NONE else "sent_unconfirmed"
        more, mark = not self._ending, None
        try:
            mark = await heartbeat.idle(printer.mark())
        except DriverError:
            more = False  # this one is proved; what is wrong now is found by the next look

        def end(tx: sqlite3.Connection) -> Taken | None:
            self._move(tx, job, proved, proved, **proof)
            return self._take(tx, mark) if more else None

        following: Taken | None = await self._write(end)
        if following is not None and self._ending:  # stopped while that was committed
            await self._unsent(following[0])
            return None
        return following

    async def _to_its_end(self, ticket: Coroutine[Any, Any, Taken | None]) -> Taken | None:
        """A stop lets the ticket under way come out, so that it is not left in doubt."""
        task = asyncio.ensure_future(ticket)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._ending = True
            await asyncio.wait([task], timeout=FINISH_S)
            task.cancel()
            (taken,) = await asyncio.gather(task, return_exceptions=True)
            if isinstance(taken, tuple):  # just then
                await self._unsent(taken[0])
            raise

    async def _unsent(self, job: Job) -> None:
        """Provably none of it was sent."""
        state = jobs.waiting(job.doubts)
        await self._settle(job, state, None, attempt=job.attempt - 1, mark=None)

    def _compare(self, evidence: Evidence) -> None:
        """Proof that was promised and does not come is a wrong setting, or a printer that ages."""
        weaker = evidence.value != self.config.evidence and evidence is not Evidence.NONE
        if not weaker:
            self._health.clear(f"{self.name}.evidence")
            return
        self._health.set(
            f"{self.name}.evidence",
            f"printer {self.config.name} gives no {self.config.evidence} as it is set to: tickets"
            f" are believed by {evidence.value}. Try `edge-agent printer test {self.config.name}`",
        )

    async def _proof(self, printer: Printer, heartbeat: Heartbeat) -> Evidence:
        """Evidence that the paper is out; waits through a fault that a person can mend."""
        while True:
            try:
                evidence = await heartbeat.idle(printer.barrier())
            except DriverError:
                fault = (await heartbeat.idle(printer.status())).fault
                if not printer.talks:
                    fault = "stalled"  # it cannot say why, but it takes no more data
                if fault is None:
                    raise  # it answers, it has no fault, but the ticket does not end
                await self._fail(fault)
                patience = REROUTE_AFTER_S if self.config.backup else PATIENCE_S
                if self.failing_s > patience:
                    raise
                await heartbeat.idle(self._clock.sleep(FAULT_POLL_S))
            else:
                self._recovered()
                return evidence

    # --- the printer ------------------------------------------------------------------------------

    async def _open(self) -> Printer:
        if self._printer is None:
            opening = self._open_printer(self.config, self._clock)
            printer = await self._stack.enter_async_context(opening)
            self._printer = printer
            self._judge(printer)
        return self._printer

    def _judge(self, printer: Printer) -> None:
        """A printer that used to answer hangs; for good, and it is another one, or half broken."""
        silent = f"{self.name}.silent"
        if printer.talks:
            self._health.clear(silent)
            self._answers = True
        elif self._answers:
            text = f"printer {self.config.name} takes data but does not answer any more"
            if self.failing_s < SILENT_S:
                raise DriverError(f"{text}; switch it off and on")
            self._health.set(silent, f"{text}: tickets are sent without proof; look at its paper")
            self._answers = False

    async def _close(self) -> None:
        self._printer = None
        await self._stack.aclose()

    async def _well(self, printer: Printer) -> bool:
        """Whether it can print now; tells when that changes."""
        fault = (await printer.status()).fault
        if fault is None:
            self._recovered()
            return True
        await self._fail(fault)
        return False

    # --- trouble ----------------------------------------------------------------------------------

    async def _fail(self, fault: str, detail: str | None = None) -> None:
        now = self._clock.monotonic()
        if self._trouble is None:
            unnoticed = CONNECTING_S if fault == "unreachable" else UNNOTICED_S
            since = max(self._well_at, now - unnoticed)
            self._trouble = Trouble(fault, since, self._now_ms())
        trouble = self._trouble
        news = not trouble.told or trouble.fault != fault
        trouble.fault = fault
        if fault == "unreachable" and now - trouble.since < UNREACHABLE_GRACE_S:
            return
        trouble.told = True
        self._health.set(self.name, self._advice(trouble, detail), severity="critical")
        if news and self._on_trouble:
            self._on_trouble(self.config.name, fault)
        if await self._read(self._unheld):
            await self._write(self._hold)

    def _advice(self, trouble: Trouble, detail: str | None) -> str:
        what = detail or f"printer {self.config.name}: {ADVICE.get(trouble.fault, trouble.fault)}"
        since = ""
        if trouble.since_ms is not None:
            since = f" Since {local(trouble.since_ms, Stamp(zone=self._zone), '%H:%M')}."
        return f"{what}.{since} What waits is printed as soon as it is back."

    def _recovered(self) -> None:
        self._backoff = FAULT_POLL_S
        self._well_at = self._clock.monotonic()
        trouble, self._trouble = self._trouble, None
        if trouble is None:
            return
        lasted = int((self._clock.monotonic() - trouble.since) * 1000)
        if self._outage_ms is not None:
            self._outage_ms = max(self._outage_ms, lasted)
        if trouble.told:
            self._health.clear(self.name)
            if self._on_trouble:
                self._on_trouble(self.config.name, None)

    # --- in the store's thread --------------------------------------------------------------------

    def _unheld(self, tx: sqlite3.Connection) -> bool:
        return spool.any_unheld(tx, self.config.name, self._due())

    def _hold(self, tx: sqlite3.Connection) -> None:
        """Say of each waiting job, once, that it waits for the printer."""
        reason = self._trouble.fault if self._trouble else None
        for job in spool.waiting(tx, self.config.name, self._due()):
            if job.state != "held":
                kept = ASKED if job.reason == ASKED else reason
                held = spool.move(tx, job, "held", self._now(), reason=kept)
                if held:
                    self._recorder.put(tx, jobs.event(held, "held", reason))

    def _take(self, tx: sqlite3.Connection, mark: str | None) -> Taken | None:
        """The next job that is to be printed, now `sending`; others that are not, set aside."""
        while found := spool.waiting(tx, self.config.name, self._due(), limit=2):
            job = found[0]
            state, told, reason = self._verdict(job)
            if state != "sending":
                self._move(tx, job, state, told, reason=reason)
                continue
            attempt = job.attempt + 1
            taken = spool.move(
                tx, job, "sending", self._now(), attempt=attempt, evidence="none", mark=mark
            )
            return None if taken is None else (taken, found[1] if found[1:] else None)
        return None

    def _verdict(self, job: Job) -> tuple[State, Told, str | None]:
        now = self._now()
        expires = job.ticket.expires_at
        if job.reason == ASKED:
            return "sending", "held", None
        dated = self._clock.quality() != "none"
        if expires and dated and now > expires and not job.on_paper and job.ticket.what == "order":
            return "expired", "expired", "the order's time is over"
        if job.doubts >= MAX_DOUBTS:
            return "parked", "held", "doubtful"
        waited = now - job.since
        if self._outage_ms is not None:
            waited = min(waited, self._outage_ms)  # a clock that was set does not age jobs
        since_known = job.since >= BUILD_TIME * 1000  # before, the clock was not set yet
        if dated and since_known and waited > self._stale_ms:
            return "parked", "held", "stale"
        return "sending", "held", None

    async def _recover(self) -> None:
        """What an earlier run left in `sending` is in doubt."""

        def doubt(tx: sqlite3.Connection) -> int:
            left = spool.in_state(tx, self.config.name, "sending")
            for job in left:
                self._to_doubt(tx, job, "the agent stopped while it was being sent")
            return len(left)

        self._dirty = bool(await self._write(doubt))
        since = self._now() - ANSWERED_MS
        self._answers = await self._read(lambda tx: spool.answered(tx, self.config.name, since))

    async def _doubt(self, job: Job, reason: str) -> None:
        self._dirty = True
        await self._write(lambda tx: self._to_doubt(tx, job, reason))

    def _to_doubt(self, tx: sqlite3.Connection, job: Job, reason: str) -> None:
        doubtful = spool.move(
            tx, job, "in_doubt", self._now(), doubts=job.doubts + 1, reason=reason
        )
        if doubtful:
            self._recorder.put(tx, jobs.event(job, "in_doubt", reason))

    async def _settle(self, job: Job, state: State, told: Told | None, **changes: Any) -> None:
        await self._write(lambda tx: self._move(tx, job, state, told, **changes))

    def _move(
        self, tx: sqlite3.Connection, job: Job, state: State, told: Told | None, **changes: Any
    ) -> None:
        done = spool.move(tx, job, state, self._now(), **changes)
        if done and told:
            self._recorder.put(tx, jobs.event(done, told))

    # --- small things -----------------------------------------------------------------------------

    def _stamp(self, job: Job) -> Stamp:
        return Stamp(
            attempt=job.attempt,
            doubts=job.doubts,
            backup_for=None if job.printer == job.home else job.home,
            now_ms=self._now_ms(),
            zone=self._zone,
        )

    def _due(self) -> int:
        """Scheduled jobs up to this unix ms are to be printed; all of them without a clock."""
        self._dated = self._dated or self._clock.quality() != "none"
        if not self._dated and self._clock.monotonic() - self._begun > NO_CLOCK_S:
            return spool.ANY_TIME
        return self._now()

    def _now(self) -> int:
        return int(self._clock.wall() * 1000)

    def _now_ms(self) -> int | None:
        return None if self._clock.quality() == "none" else self._now()

    async def _read(self, run: Callable[[sqlite3.Connection], Any]) -> Any:
        return await self._database.read(run)

    async def _write(self, run: Callable[[sqlite3.Connection], Any]) -> Any:
        return await self._database.write(run)
