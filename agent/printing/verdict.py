"""Whether a job that waits is printed now, or set aside. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from agent.core.clock import BUILD_TIME
from agent.printing.jobs import ASKED, MAX_DOUBTS, Job, State, Told


@dataclass(frozen=True, slots=True)
class Circumstances:
    now_ms: int  # unix ms as the machine believes it
    dated: bool  # whether that is to be believed
    stale_ms: int
    # For how long jobs may have been waiting for the printer; None at the start: nobody knows.
    outage_ms: int | None


def verdict(job: Job, at: Circumstances) -> tuple[State, Told, str | None]:
    """`sending`, or where it is set aside, what is told of that and why."""
    if job.reason == ASKED:
        return "sending", "held", None
    expires = job.ticket.expires_at
    unsent = not job.on_paper and job.ticket.what == "order"
    if expires and at.dated and at.now_ms > expires and unsent:
        return "expired", "expired", "the order's time is over"
    if job.doubts >= MAX_DOUBTS:
        return "parked", "held", "doubtful"
    waited = at.now_ms - job.since
    if at.outage_ms is not None:
        waited = min(waited, at.outage_ms)  # a clock that was set does not age jobs
    since_known = job.since >= BUILD_TIME * 1000  # before, the clock was not set yet
    if at.dated and since_known and waited > at.stale_ms:
        return "parked", "held", "stale"
    return "sending", "held", None
