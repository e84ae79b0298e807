"""One service a printer: takes its jobs from the store and gets them on paper, or says why not.

The order of steps is what makes a ticket come out once or say that it may be a duplicate: `sending`
is committed before the first byte, `printed` only with the printer's proof. Whatever happens in
between, a job found in `sending` is in doubt, unless the printer can still be asked.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from datetime import tzinfo
from typing import Any, Literal, TypeVar

from agent.config import PrinterConfig, seconds
from agent.contract.errors import Rejected
from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from agent.printing import jobs, spool
from agent.printing.ahead import Ahead
from agent.printing.devices import stays_open
from agent.printing.jobs import Job, State, Told
from agent.printing.render import Renderer
from agent.printing.templates import Templates
from agent.printing.trouble import OnTrouble, Watch
from agent.printing.values import Stamp
from agent.printing.worklist import Taken, Worklist
from agent.store.database import Database, StoreError
from drivers.base import DriverError, Evidence, Examination, Printer, WriteError

T = TypeVar("T")
POLL_S = 2.0  # how often an idle printer is looked at
MUTE_POLL_S = 30.0  # one that says nothing: only whether it is there
FAULT_POLL_S = 0.5  # how soon a remedied fault is noticed
BACKOFF_MAX_S = 4.0
REROUTE_AFTER_S = 6.0  # since it was last seen well: with the desk's tick, within 8 s of its death
SILENT_S = 120.0  # then it is written to blindly: better paper without proof than none
FINISH_S = 5.0  # for the ticket under way when the agent is stopped
PATIENCE_S = 600.0  # for somebody to bring paper while half a ticket hangs in the printer
ANSWERED_MS = 30 * 86_400_000

OpenPrinter = Callable[[PrinterConfig, Clock], AbstractAsyncContextManager[Printer]]
Proved = Literal["printed", "sent_unconfirmed"]


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
        self._zone = zone
        self.templates = templates or Templates()
        self._watch = Watch(config.name, clock=clock, health=health, on_trouble=on_trouble)
        self._list = Worklist(
            config.name,
            clock=clock,
            recorder=recorder,
            stale_ms=int(seconds(config.stale_after) * 1000),
        )
        self._ahead = Ahead(Renderer(config, self.templates))
        self._wake = asyncio.Event()
        self._stack = AsyncExitStack()
        self._printer: Printer | None = None
        self._backoff = FAULT_POLL_S
        self._dirty = False  # a job broke off: resync before the next
        self._ending = False  # the ticket under way is the last one
        self._trial: asyncio.Future[Examination] | None = None  # asked for by a person
        self._answers = False  # it has answered before: silence is a fault then

    @property
    def fault(self) -> str | None:
        """Why it does not print, as it was told."""
        return self._watch.fault

    @property
    def failing_s(self) -> float:
        """For how long it has not been printing; 0 when it is well."""
        return self._watch.failing_s

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
        await self._recover(heartbeat)
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
        first, marked = await self._read(self._list.next)
        if first is None:
            self._list.outage_ms = 0  # whoever waits from now on does not wait for lost time
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
        await self._to_its_end(self._rush(printer, heartbeat))

    async def _try_out(self, trial: asyncio.Future[Examination], heartbeat: Heartbeat) -> None:
        from agent.printing.trial import try_out  # once in a printer's life

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
        """Until woken, until the printer says something, or for so long at most."""

        async def first() -> None:
            async with asyncio.TaskGroup() as group:
                waits = {
                    group.create_task(self._clock.tick(seconds_)),
                    group.create_task(self._wake.wait()),
                }
                if printer is not None:
                    waits.add(group.create_task(printer.news()))
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for wait in waits:
                    wait.cancel()

        await heartbeat.idle(first())

    async def _rush(self, printer: Printer, heartbeat: Heartbeat) -> None:
        """One ticket after the other, until there is none or the agent is stopped."""
        mark = await heartbeat.idle(printer.mark())
        taken = await self._write(lambda tx: self._list.take(tx, mark))
        while taken is not None:
            taken = await self._print(printer, taken, heartbeat)

    async def _print(self, printer: Printer, taken: Taken, heartbeat: Heartbeat) -> Taken | None:
        """The job is `sending` on the disk; when this returns it is something else.

        Returns the next one, which is `sending` since the same commit.
        """
        job, upcoming = taken
        rendered = await self._ahead.rendered(job, self._stamp(job))
        if upcoming is not None:
            self._prepare(upcoming)
        try:
            evidence = await self._deliver(printer, job, rendered.data, heartbeat)
        except WriteError as error:
            if error.accepted == 0:
                await self._write(lambda tx: self._list.unsent(tx, job))
                raise
            await self._doubt(job, str(error))
            raise
        except DriverError as error:
            await self._doubt(job, str(error))
            raise
        reason = f"drawn as boxes: {rendered.missing}" if rendered.missing else None
        self._watch.proves(evidence.value, self.config.evidence)
        proof: dict[str, Any] = {"evidence": evidence.value, "reason": reason, "mark": None}
        return await self._end(printer, job, proof, heartbeat)

    async def _deliver(
        self, printer: Printer, job: Job, data: bytes, heartbeat: Heartbeat
    ) -> Evidence:
        sent = False

        def proof() -> Awaitable[Evidence]:
            nonlocal sent
            asked = printer.barrier() if sent else printer.deliver(data, jobs.token(job))
            sent = True
            return asked

        return await self._proof(printer, proof, heartbeat)

    async def _end(
        self, printer: Printer, job: Job, proof: dict[str, Any], heartbeat: Heartbeat
    ) -> Taken | None:
        """It is out: commit that, and the next one with it."""
        proved = _proved(proof)
        more, mark = not self._ending, None
        try:
            mark = await heartbeat.idle(printer.mark())
        except DriverError:
            more = False  # this one is proved; what is wrong now is found by the next look

        def end(tx: sqlite3.Connection) -> Taken | None:
            self._list.move(tx, job, proved, proved, **proof)
            return self._list.take(tx, mark) if more else None

        following: Taken | None = await self._write(end)
        if following is not None and self._ending:  # stopped while that was committed
            unsent = following[0]
            await self._write(lambda tx: self._list.unsent(tx, unsent))
            return None
        return following

    async def _to_its_end(self, rush: Coroutine[Any, Any, None]) -> None:
        """A stop lets the ticket under way come out, so that it is not left in doubt."""
        task = asyncio.ensure_future(rush)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            self._ending = True
            await asyncio.wait([task], timeout=FINISH_S)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise

    async def _proof(
        self, printer: Printer, ask: Callable[[], Awaitable[Evidence]], heartbeat: Heartbeat
    ) -> Evidence:
        """Evidence that the paper is out; waits through a fault that a person can mend."""
        while True:
            try:
                evidence = await heartbeat.idle(ask())
            except WriteError:
                raise
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

    # --- after an earlier life --------------------------------------------------------------------

    async def _recover(self, heartbeat: Heartbeat) -> None:
        """What an earlier run left in `sending` is in doubt, unless the printer can prove it."""
        since = self._now() - ANSWERED_MS
        name = self.config.name
        self._answers = await self._read(lambda tx: spool.answered(tx, name, since))
        for job in await self._read(lambda tx: spool.in_state(tx, name, "sending")):
            evidence = await self._resumed(job, heartbeat)
            if evidence is Evidence.NONE:
                await self._doubt(job, "the agent stopped while it was being sent")
            else:
                proof = {"evidence": evidence.value, "reason": None, "mark": None}
                await self._settle(job, "printed", "printed", **proof)

    async def _resumed(self, job: Job, heartbeat: Heartbeat) -> Evidence:
        token = jobs.token(job)
        try:
            printer = await heartbeat.idle(self._open())
            evidence = await self._proof(printer, lambda: printer.resume(token), heartbeat)
        except StoreError:
            raise
        except DriverError:  # told when it is looked at again
            evidence = Evidence.NONE
        if evidence is Evidence.NONE:
            await self._close()  # an answer that comes late is not to be the next ticket's
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
        if printer.talks:
            self._watch.answers()
            self._answers = True
        elif self._answers:
            if self.failing_s < SILENT_S:
                raise DriverError(
                    f"printer {self.config.name} takes data but does not answer any more; "
                    "switch it off and on"
                )
            self._watch.silent()
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

    async def _fail(self, fault: str, detail: str | None = None) -> None:
        told = self._watch.fails(fault, detail)
        if told and await self._read(self._list.any_unheld):
            await self._write(lambda tx: self._list.hold(tx, self.fault))

    def _recovered(self) -> None:
        self._backoff = FAULT_POLL_S
        lasted = self._watch.well()
        if lasted and self._list.outage_ms is not None:
            self._list.outage_ms = max(self._list.outage_ms, lasted)

    # --- small things -----------------------------------------------------------------------------

    async def _doubt(self, job: Job, reason: str) -> None:
        self._dirty = True
        await self._write(lambda tx: self._list.doubt(tx, job, reason))

    async def _settle(self, job: Job, state: State, told: Told | None, **changes: Any) -> None:
        await self._write(lambda tx: self._list.move(tx, job, state, told, **changes))

    def _stamp(self, job: Job) -> Stamp:
        return Stamp(
            attempt=job.attempt,
            doubts=job.doubts,
            backup_for=None if job.printer == job.home else job.home,
            now_ms=None if self._clock.quality() == "none" else self._now(),
            zone=self._zone,
        )

    def _now(self) -> int:
        return int(self._clock.wall() * 1000)

    async def _read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        return await self._database.read(run)

    async def _write(self, run: Callable[[sqlite3.Connection], T]) -> T:
        return await self._database.write(run)


def _proved(proof: dict[str, Any]) -> Proved:
    return "printed" if proof["evidence"] != Evidence.NONE else "sent_unconfirmed"
