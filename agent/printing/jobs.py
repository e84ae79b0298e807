"""The life of a print job.

                    +-> cancelled, expired
                    |
    queued ---------+-> sending -+-> printed            the printer proved it
      |  ^          |    ^  ^    +-> sent_unconfirmed   the printer cannot prove anything
      v  |          |    |  |    +-> queued             provably nothing was sent
     held ----------+    |  |    |
      |  ^               |  |    v
      v  |               |  +-- in_doubt                broke off: paper may be out
    parked --------------+

    in_doubt  `printed` after all where the printer's counter moved meanwhile
    held      the printer cannot print now; printed as soon as it can
    parked    a person decides: it waited too long, or was in doubt too often

A job is stored in the transaction that stores its order, and rendering is a pure function of its
ticket, so *received* and *rendered* would say no more than `queued`. *Reprint* is the next attempt
of a job in doubt and carries its banner by `doubts`; *rerouted* is an event and a changed
`printer`, not a state, because the job then waits like any other. *Failed* does not exist: a job
waits, or a person decides. `doubts` counts the attempts that may have come out on paper; each
further one is printed with the banner POSSIBLE DUPLICATE. A job may begin with one: of a life that
ended while the store was in memory nobody knows what it printed (agent/store/lost.py).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Literal

from agent.contract.events import PrintEvent
from agent.printing.ticket import Ticket

State = Literal[
    "queued",
    "sending",
    "in_doubt",
    "held",
    "parked",
    "printed",
    "sent_unconfirmed",
    "cancelled",
    "expired",
]
Told = Literal[
    "printed", "sent_unconfirmed", "in_doubt", "held", "rerouted", "cancelled", "expired", "failed"
]

# `queued` or `in_doubt` behind an end: a person asked for it again. Behind itself: rerouted.
TRANSITIONS: dict[State, frozenset[State]] = {
    "queued": frozenset({"queued", "sending", "held", "parked", "cancelled", "expired"}),
    "held": frozenset(
        {"sending", "queued", "in_doubt", "parked", "cancelled", "expired", "printed", "held"}
    ),
    "sending": frozenset({"printed", "sent_unconfirmed", "in_doubt", "queued"}),
    "in_doubt": frozenset({"in_doubt", "sending", "held", "parked", "cancelled", "printed"}),
    "parked": frozenset({"queued", "in_doubt", "cancelled"}),
    "printed": frozenset({"in_doubt"}),
    "sent_unconfirmed": frozenset({"in_doubt"}),
    "cancelled": frozenset({"queued", "in_doubt"}),
    "expired": frozenset({"queued", "in_doubt"}),
}
WAITING: tuple[State, ...] = ("queued", "held", "in_doubt")

MAX_DOUBTS = 3  # a printer that never proves anything must not print the same ticket all night
ASKED = "asked"  # reason of a job that a person wants, however old it is


@dataclass(frozen=True, slots=True)
class Job:
    """A row of table `jobs`. Times are unix ms."""

    job_id: str
    order_id: str
    version: int
    station: str
    copy: int
    printer: str  # where it is to be printed now
    home: str  # the printer it was meant for
    state: State
    attempt: int
    doubts: int
    evidence: str
    priority: int
    created: int
    changed: int
    ticket: Ticket
    reason: str | None = None
    mark: str | None = None  # the printer's counter before the last attempt, until that is judged
    not_before: int | None = None  # unix ms; a scheduled order's ticket waits for its time

    @property
    def on_paper(self) -> bool:
        """Whether paper of it may be out: what follows must then speak of it."""
        return self.doubts > 0 or self.state in (
            "sending",
            "in_doubt",
            "printed",
            "sent_unconfirmed",
        )

    @property
    def since(self) -> int:
        """Unix ms from which on it waits for the printer."""
        return max(self.created, self.not_before or 0)

    @property
    def slot(self) -> tuple[str, str, int]:
        """Which pile of paper it adds to."""
        return (self.home, self.station, self.copy)


class Wrong(Exception):
    """A transition that the table does not have: a bug."""


def check(old: State, new: State) -> None:
    if new not in TRANSITIONS[old]:
        raise Wrong(f"{old} -> {new}")


def job_id(order_id: str, version: int, home: str, station: str, copy: int) -> str:
    """The same for the same version of an order, so that a second delivery does nothing."""
    key = "\0".join((order_id, str(version), home, station, str(copy)))
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def token(job: Job) -> str:
    """By which the printer tells this attempt from others: four characters, see `GS ( H`."""
    return hashlib.sha256(f"{job.job_id}\0{job.attempt}".encode()).hexdigest()[:4].upper()


def waiting(doubts: int) -> State:
    """The state of a job that may be sent."""
    return "in_doubt" if doubts else "queued"


def doubt(job: Job) -> Job:
    """A new job whose paper may be out since before the disk's memory begins."""
    return replace(job, state=waiting(1), doubts=1)


def event(job: Job, told: Told, reason: str | None = None) -> PrintEvent:
    return PrintEvent(
        job_id=job.job_id,
        order_id=job.order_id,
        version=job.version,
        station=job.station,
        printer=job.printer,
        copy=job.copy,
        attempt=job.attempt,
        state=told,
        evidence=job.evidence,
        duplicate=job.doubts > 0,
        reason=reason if reason is not None else job.reason,
    )
