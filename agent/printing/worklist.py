"""The jobs of one printer, in the store's transactions: which is next, and what became of it."""

from __future__ import annotations

import sqlite3
from typing import Any

from agent.core.clock import Clock
from agent.core.recorder import Recorder
from agent.printing import jobs, spool
from agent.printing.jobs import ASKED, Job, State, Told
from agent.printing.verdict import Circumstances, verdict

NO_CLOCK_S = 120.0  # after a boot without the time; then scheduled tickets are printed at once

Taken = tuple[Job, Job | None]  # one that is `sending`, and the one that will follow it


class Worklist:
    """Every method that gets `tx` runs in the store's thread."""

    def __init__(self, printer: str, *, clock: Clock, recorder: Recorder, stale_ms: int) -> None:
        self._printer = printer
        self._clock = clock
        self._recorder = recorder
        self._stale_ms = stale_ms
        self._begun = clock.monotonic()
        self._dated = False  # the time was known once: it goes on from there
        self.outage_ms: int | None = None  # see verdict.Circumstances

    def next(self, tx: sqlite3.Connection) -> tuple[Job | None, list[Job]]:
        """The next job, and those that the printer's counter can tell of."""
        first = next(iter(spool.waiting(tx, self._printer, self._due(), limit=1)), None)
        return first, spool.marked(tx, self._printer) if first else []

    def take(self, tx: sqlite3.Connection, mark: str | None) -> Taken | None:
        """The next job that is to be printed, now `sending`; others that are not, set aside."""
        while found := spool.waiting(tx, self._printer, self._due(), limit=2):
            job, now = found[0], self._now()
            dated = self._clock.quality() != "none"
            at = Circumstances(now, dated, self._stale_ms, self.outage_ms)
            state, told, reason = verdict(job, at)
            if state != "sending":
                self.move(tx, job, state, told, reason=reason)
                continue
            attempt = job.attempt + 1
            taken = spool.move(tx, job, "sending", now, attempt=attempt, evidence="none", mark=mark)
            return None if taken is None else (taken, found[1] if found[1:] else None)
        return None

    def move(
        self, tx: sqlite3.Connection, job: Job, state: State, told: Told | None, **changes: Any
    ) -> None:
        done = spool.move(tx, job, state, self._now(), **changes)
        if done and told:
            self._recorder.put(tx, jobs.event(done, told))

    def unsent(self, tx: sqlite3.Connection, job: Job) -> None:
        """Provably none of it was sent."""
        state = jobs.waiting(job.doubts)
        self.move(tx, job, state, None, attempt=job.attempt - 1, mark=None)

    def doubt(self, tx: sqlite3.Connection, job: Job, reason: str) -> None:
        """It broke off: paper may be out."""
        changes = {"doubts": job.doubts + 1, "reason": reason}
        if spool.move(tx, job, "in_doubt", self._now(), **changes):
            self._recorder.put(tx, jobs.event(job, "in_doubt", reason))

    def any_unheld(self, tx: sqlite3.Connection) -> bool:
        return spool.any_unheld(tx, self._printer, self._due())

    def hold(self, tx: sqlite3.Connection, reason: str | None) -> None:
        """Say of each waiting job, once, that it waits for the printer."""
        for job in spool.waiting(tx, self._printer, self._due()):
            if job.state != "held":
                kept = ASKED if job.reason == ASKED else reason
                held = spool.move(tx, job, "held", self._now(), reason=kept)
                if held:
                    self._recorder.put(tx, jobs.event(held, "held", reason))

    def _due(self) -> int:
        """Scheduled jobs up to this unix ms are to be printed; all of them without a clock."""
        self._dated = self._dated or self._clock.quality() != "none"
        if not self._dated and self._clock.monotonic() - self._begun > NO_CLOCK_S:
            return spool.ANY_TIME
        return self._now()

    def _now(self) -> int:
        return int(self._clock.wall() * 1000)
