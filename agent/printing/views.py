"""What printing shows of itself to pages, commands and programs. Pure."""

from __future__ import annotations

import msgspec

from agent.printing.jobs import Job
from drivers.printer.elements import Element


class JobView(msgspec.Struct, frozen=True):
    """A job as pages and commands show it."""

    job_id: str
    order_id: str
    version: int
    what: str
    station: str
    copy: int
    printer: str
    home: str
    state: str
    attempt: int
    evidence: str
    duplicate: bool
    created: int
    changed: int
    reason: str | None
    not_before: int | None  # unix ms; a scheduled order's ticket waits for its time


class PrinterView(msgspec.Struct, frozen=True):
    """`parked` tickets wait for `resume`, `scheduled` ones for their time."""

    name: str
    fault: str | None
    failing_s: float
    waiting: int
    parked: int
    scheduled: int


class Preview(msgspec.Struct, frozen=True):
    """A ticket as it will come out, and the paper it comes out on."""

    elements: list[Element]
    width_mm: int
    columns: int
    dots: int


class Dump(msgspec.Struct, frozen=True):
    """The bytes of a ticket."""

    job_id: str
    order_id: str
    bytes: str  # in hex
    missing: str  # characters that no font has


def view(job: Job) -> JobView:
    return JobView(
        job_id=job.job_id,
        order_id=job.order_id,
        version=job.version,
        what=job.ticket.what,
        station=job.station,
        copy=job.copy,
        printer=job.printer,
        home=job.home,
        state=job.state,
        attempt=job.attempt,
        evidence=job.evidence,
        duplicate=job.doubts > 0,
        created=job.created,
        changed=job.changed,
        reason=job.reason,
        not_before=job.not_before,
    )
