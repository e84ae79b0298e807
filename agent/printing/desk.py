"""What the rest of the agent asks of printing: jobs for an order, reprints, previews, rerouting."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from datetime import tzinfo
from typing import Literal

from agent.contract.errors import Rejected
from agent.contract.events import Audit
from agent.contract.orders import Order
from agent.core.clock import Clock
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from agent.printing import jobs, spool
from agent.printing.jobs import ASKED, WAITING, Job, doubt
from agent.printing.moving import Moving
from agent.printing.render import Renderer, columns_of, dots_of
from agent.printing.routing import Plan, new_job, react, withdraw
from agent.printing.service import PrinterService
from agent.printing.template import TemplateError, parse
from agent.printing.templates import MAX_SENT, Templates, delete, put
from agent.printing.ticket import Ticket
from agent.printing.values import Stamp
from agent.printing.views import Dump, JobView, Preview, PrinterView, view
from agent.store import lost
from agent.store.database import Database
from drivers.base import DriverError, Examination

TICK_S = 1.0
KEEP_MS = 7 * 86_400_000  # finished jobs, for reprints
FORGET_EVERY_S = 3600.0
RECENT = 200  # jobs of all printers, among which the newest of one is looked for

Choice = Literal["all", "latest", "none"]
AFTER_ORDERS = -10_000  # a test page waits for every ticket


class PrintingDesk:
    """The first printer is where jobs go whose printer is not configured any more."""

    name = "printing"

    def __init__(
        self,
        services: Sequence[PrinterService],
        *,
        clock: Clock,
        database: Database,
        recorder: Recorder,
        zone: tzinfo | None = None,
        templates: Templates | None = None,
    ) -> None:
        self._services = {service.config.name: service for service in services}
        self._printers = [service.config for service in services]
        self._clock = clock
        self._database = database
        self._recorder = recorder
        self._zone = zone
        self._templates = templates or Templates()
        self._moving = Moving(self._services, clock=clock, database=database, recorder=recorder)

    # --- for orders -------------------------------------------------------------------------------

    def on_order(
        self, tx: sqlite3.Connection, order: Order, previous: Order | None, now_ms: int
    ) -> None:
        """Insert and cancel the jobs that this version asks for, in the order's transaction.

        Call `wake()` after the commit. The same version again does nothing.
        """
        if previous is not None and previous.version >= order.version:
            return
        plan = react(order, spool.of_order(tx, order.order_id), self._printers, now_ms)
        self._apply(tx, plan, order, now_ms)

    def withdraw(self, tx: sqlite3.Connection, order: Order, now_ms: int) -> None:
        """Staff rejected the order: what waits is cancelled, what is on paper made void."""
        self._apply(tx, withdraw(order, spool.of_order(tx, order.order_id), now_ms), order, now_ms)

    def _apply(self, tx: sqlite3.Connection, plan: Plan, order: Order, now_ms: int) -> None:
        for job, reason in plan.cancel:
            self._cancel(tx, job, reason, now_ms)
        doubtful = lost.in_doubt(tx, order.placed_at, self._clock)
        for job in plan.insert:
            spool.insert(tx, doubt(job) if doubtful else job)

    def wake(self) -> None:
        """Jobs were committed."""
        for service in self._services.values():
            service.wake()

    # --- for people -------------------------------------------------------------------------------

    async def reprint(self, target: str, by: str) -> list[str]:
        """Print a job, or the last ticket of each pile of an order, once more; the job ids.

        Rejected: unknown_job.
        """

        def again(tx: sqlite3.Connection) -> list[str]:
            one = spool.get(tx, target)
            found = [one] if one else _last_of_each(spool.of_order(tx, target))
            if not found:
                raise Rejected("unknown_job", f"there is no job or order {target}")
            for job in found:
                self._again(tx, job)
            asked = {"jobs": [job.job_id for job in found]}
            self._recorder.put(tx, Audit(action="reprint", by=by, detail=asked))
            return [job.job_id for job in found]

        done = await self._database.write(again)
        self.wake()
        return done

    async def resume(self, printer: str, choice: Choice, by: str = "page") -> int:
        """Decide about the parked tickets of a printer; how many will be printed.

        `latest` prints those of the newest order. Rejected: unknown_printer.
        """
        self._service(printer)

        def decide(tx: sqlite3.Connection) -> int:
            parked = spool.in_state(tx, printer, "parked")
            newest = max(parked, key=lambda job: job.created).order_id if parked else ""
            wanted = [j for j in parked if choice == "all" or j.order_id == newest]
            wanted = [] if choice == "none" else wanted
            for job in parked:
                if job in wanted:
                    self._again(tx, job)
                else:
                    self._cancel(tx, job, f"not printed: {by}", self._now())
            detail = {"printer": printer, "choice": choice, "printed": len(wanted)}
            self._recorder.put(tx, Audit(action="resume", by=by, detail=detail))
            return len(wanted)

        count = await self._database.write(decide)
        self.wake()
        return count

    async def test_page(self, printer: str) -> str:
        """Queue a test page; its job id. Rejected: unknown_printer."""
        service = self._service(printer)
        ticket = Ticket(what="test", order_id="test", version=self._now(), day_seq="TEST")
        job = new_job(ticket, (printer, "", 1), priority=AFTER_ORDERS, now_ms=self._now())
        await self._database.write(lambda tx: spool.insert(tx, job))
        service.wake()
        return job.job_id

    async def examine(self, printer: str) -> Examination:
        """Two test pages and what they showed. Rejected: unknown_printer, busy, cannot_print."""
        try:
            return await self._service(printer).examine()
        except DriverError as error:
            raise Rejected("cannot_print", str(error)) from error

    async def jobs(self, order_id: str | None = None, limit: int = 100) -> list[JobView]:
        """Of one order, oldest first; or the newest of all."""

        def read(tx: sqlite3.Connection) -> list[Job]:
            return spool.recent(tx, limit) if order_id is None else spool.of_order(tx, order_id)

        return [view(job) for job in await self._database.read(read)]

    async def jobs_of(self, order_ids: Sequence[str]) -> dict[str, list[JobView]]:
        """Of several orders in one look, each oldest first."""

        def read(tx: sqlite3.Connection) -> dict[str, list[JobView]]:
            return {
                order_id: [view(job) for job in spool.of_order(tx, order_id)]
                for order_id in order_ids
            }

        return await self._database.read(read)

    async def preview(self, job_id: str) -> Preview:
        """What the printer will put on paper, read back from the bytes that it will get.

        Rejected: unknown_job.
        """
        job = await self._database.read(lambda tx: spool.get(tx, job_id))
        if job is None:
            raise Rejected("unknown_job", f"there is no job {job_id}")
        service = self._services.get(job.printer) or self._first()
        config = service.config
        renderer = Renderer(config, self._templates)
        elements = await asyncio.to_thread(renderer.preview, job.ticket, self._stamp(job))
        return Preview(elements, config.width_mm, columns_of(config), dots_of(config))

    async def dump(self, printer: str) -> Dump:
        """The bytes of the newest ticket of a printer, as they would go out now.

        Rejected: unknown_printer, nothing.
        """
        service = self._service(printer)
        newest = await self._database.read(lambda tx: spool.recent(tx, RECENT))
        job = next((job for job in newest if job.printer == printer), None)
        if job is None:
            raise Rejected("nothing", f"printer {printer} has had no ticket yet; print a test page")
        renderer = Renderer(service.config, self._templates)
        rendered = await asyncio.to_thread(renderer.render, job.ticket, self._stamp(job))
        return Dump(job.job_id, job.order_id, rendered.data.hex(), rendered.missing)

    async def set_template(self, name: str, text: str) -> None:
        """From now on tickets look so; Rejected `invalid` with everything that is wrong with it."""
        try:
            parse(text)
        except TemplateError as error:
            raise Rejected("invalid", str(error)) from None
        if name not in self._templates.names() and len(self._templates.names()) >= MAX_SENT:
            raise Rejected("too_many", f"there are {MAX_SENT} templates; reset one first")
        await self._database.write(lambda tx: put(tx, name, text))
        self._templates.replace(name, text)

    async def reset_template(self, name: str) -> None:
        """Forget what was sent under this name: the shop's file or ours is used again."""
        await self._database.write(lambda tx: delete(tx, name))
        self._templates.replace(name, None)

    def templates(self) -> list[dict[str, str]]:
        """Each template with its text and where it is from."""
        found = [(name, self._templates.text(name)) for name in self._templates.names()]
        return [{"name": n, "from": t[1], "text": t[0]} for n, t in found if t is not None]

    async def printers(self) -> list[PrinterView]:
        now = self._now()
        counts, later = await self._database.read(
            lambda tx: (spool.counts(tx), spool.scheduled(tx, now))
        )
        return [
            PrinterView(
                name=name,
                fault=service.fault,
                failing_s=service.failing_s,
                waiting=sum(counts.get((name, state), 0) for state in (*WAITING, "sending"))
                - later.get(name, 0),
                parked=counts.get((name, "parked"), 0),
                scheduled=later.get(name, 0),
            )
            for name, service in self._services.items()
        ]

    async def run(self, heartbeat: Heartbeat) -> None:
        """Move jobs away from dead printers, and forget old ones."""
        await self._moving.run(heartbeat)

    def _stamp(self, job: Job) -> Stamp:
        """What would stand on it now."""
        return Stamp(
            attempt=max(1, job.attempt),
            doubts=job.doubts,
            backup_for=None if job.printer == job.home else job.home,
            now_ms=self._now() if self._clock.quality() != "none" else None,
            zone=self._zone,
        )

    # --- small things -----------------------------------------------------------------------------

    def _again(self, tx: sqlite3.Connection, job: Job) -> None:
        """A person wants this job now, however old; paper that is out makes it a duplicate."""
        if job.state == "sending" or (job.state in WAITING and job.not_before is None):
            return
        out = job.state in ("printed", "sent_unconfirmed")
        doubts = job.doubts + out
        state = job.state if job.state in WAITING else jobs.waiting(doubts)
        asked = {"doubts": doubts, "reason": ASKED, "not_before": None}
        spool.move(tx, job, state, self._now(), **asked)

    def _cancel(self, tx: sqlite3.Connection, job: Job, reason: str, now_ms: int) -> None:
        cancelled = spool.move(tx, job, "cancelled", now_ms, reason=reason)
        if cancelled:
            self._recorder.put(tx, jobs.event(cancelled, "cancelled"))

    def _first(self) -> PrinterService:
        return next(iter(self._services.values()))

    def _service(self, printer: str) -> PrinterService:
        if printer not in self._services:
            raise Rejected("unknown_printer", f"there is no printer {printer}")
        return self._services[printer]

    def _now(self) -> int:
        return int(self._clock.wall() * 1000)


def _last_of_each(found: Sequence[Job]) -> list[Job]:
    """The newest ticket of each pile; a cancelled one only where there is no other."""
    piles: dict[tuple[str, str, int], Job] = {}
    for job in sorted(found, key=lambda job: (job.state != "cancelled", job.version)):
        piles[job.slot] = job
    return list(piles.values())
