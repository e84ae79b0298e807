"""Jobs go where they can be printed: from a dead printer to its backup, from one that was removed.

Old ones are forgotten here, too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from functools import partial

from agent.core.clock import Clock
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from agent.printing import jobs, spool
from agent.printing.jobs import ASKED, Job
from agent.printing.service import REROUTE_AFTER_S, PrinterService
from agent.store.database import Database

TICK_S = 1.0
KEEP_MS = 7 * 86_400_000  # finished jobs, for reprints
FORGET_EVERY_S = 3600.0


class Moving:
    """`services` by the names of their printers; the first one gets the jobs of those removed."""

    def __init__(
        self,
        services: Mapping[str, PrinterService],
        *,
        clock: Clock,
        database: Database,
        recorder: Recorder,
    ) -> None:
        self._services = services
        self._clock = clock
        self._database = database
        self._recorder = recorder

    async def run(self, heartbeat: Heartbeat) -> None:
        """Move jobs away from dead printers, and forget old ones."""
        await self._adopt()
        forget_at = self._clock.monotonic()
        while True:
            for service in self._services.values():
                if service.failing_s > REROUTE_AFTER_S:
                    await self._evacuate(service)
            if self._clock.monotonic() >= forget_at and self._clock.quality() != "none":
                now = self._now()
                forget = partial(spool.forget, before_ms=now - KEEP_MS, now_ms=now)
                await self._database.write(forget)
                forget_at += FORGET_EVERY_S
            await heartbeat.idle(self._clock.tick(TICK_S))

    async def _evacuate(self, service: PrinterService) -> None:
        """To the backup where that is well; what was here as a backup goes home if that is."""
        here = service.config.name
        backup = service.config.backup

        def target(job: Job) -> str | None:
            if job.ticket.what == "test":
                return None
            there = backup if job.home == here else job.home
            if there is None or there not in self._services:
                return None
            return there if self._well(there) else None

        def move(tx: sqlite3.Connection) -> set[str]:
            moved = set()
            for job in spool.waiting(tx, here, self._now()):
                there = target(job)
                if there is not None and self._move(tx, job, there, service.fault or "failing"):
                    moved.add(there)
            return moved

        def anything(tx: sqlite3.Connection) -> bool:
            return any(map(target, spool.waiting(tx, here, self._now())))

        if await self._database.read(anything):
            for name in await self._database.write(move):
                self._services[name].wake()

    async def _adopt(self) -> None:
        """Jobs of printers that are not configured any more must not be forgotten."""

        def adopt(tx: sqlite3.Connection) -> None:
            for name in spool.printers(tx) - set(self._services):
                for job in spool.in_state(tx, name, "sending"):
                    doubtful = spool.move(tx, job, "in_doubt", self._now(), doubts=job.doubts + 1)
                    if doubtful:
                        self._recorder.put(tx, jobs.event(job, "in_doubt", "printer removed"))
                for job in spool.in_state(tx, name, "parked"):
                    spool.move(tx, job, jobs.waiting(job.doubts), self._now())
                for job in spool.waiting(tx, name):
                    self._move(tx, job, next(iter(self._services)), "printer removed")

        if self._services:
            await self._database.write(adopt)
            for service in self._services.values():
                service.wake()

    def _move(self, tx: sqlite3.Connection, job: Job, there: str, reason: str) -> bool:
        kept = ASKED if job.reason == ASKED else reason
        state = jobs.waiting(job.doubts)
        moved = spool.move(tx, job, state, self._now(), printer=there, reason=kept)
        if moved:
            self._recorder.put(tx, jobs.event(moved, "rerouted", reason))
        return moved is not None

    def _well(self, printer: str) -> bool:
        return self._services[printer].failing_s == 0.0

    def _now(self) -> int:
        return int(self._clock.wall() * 1000)
