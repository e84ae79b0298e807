"""Which printers an order concerns, and what its new version means for the paper that is out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec

from agent.config import PrinterConfig, seconds
from agent.contract.orders import Item, Order
from agent.printing.jobs import Job, job_id
from agent.printing.ticket import Ticket, changed, cut, emptied, void

PRINTED_WHILE = ("pending", "preparing", "ready")  # later nobody cooks any more
UNASSIGNED = "unassigned"  # dishes of no station that any printer serves


@dataclass(frozen=True, slots=True)
class Part:
    """One ticket of an order: the dishes of a station at a printer."""

    printer: str
    station: str  # empty: everything
    copies: int
    items: tuple[Item, ...]


@dataclass(slots=True)
class Plan:
    """What a version of an order asks for."""

    insert: list[Job] = field(default_factory=list)
    cancel: list[tuple[Job, str]] = field(default_factory=list)  # with the reason


def parts(items: Sequence[Item], printers: Sequence[PrinterConfig]) -> list[Part]:
    """A part for each printer without stations, and for each station with dishes.

    A dish of no known station goes to the first printer, unless a printer gets everything anyway:
    nothing is lost because of a missing setting.
    """
    found: list[Part] = []
    homeless = set(range(len(items)))
    for printer in printers:
        if not printer.stations:
            found.append(Part(printer.name, "", printer.copies, tuple(items)))
            homeless.clear()
        for station in printer.stations:
            mine = [n for n, item in enumerate(items) if station in (item.station, item.category)]
            homeless.difference_update(mine)
            if mine:
                dishes = tuple(items[n] for n in mine)
                found.append(Part(printer.name, station, printer.copies, dishes))
    if homeless and printers:
        dishes = tuple(items[n] for n in sorted(homeless))
        found.append(Part(printers[0].name, UNASSIGNED, printers[0].copies, dishes))
    return found


def tickets(order: Order, printers: Sequence[PrinterConfig]) -> dict[tuple[str, str, int], Ticket]:
    """Slot (printer, station, copy) -> ticket. One of them at least says everything."""
    found = parts(order.items, printers)
    everything = any(not part.station for part in found)
    result: dict[tuple[str, str, int], Ticket] = {}
    for n, part in enumerate(found):
        full = not part.station or (not everything and n == 0)
        ticket = cut(
            order, part.items, station=part.station, part=n + 1, parts=len(found), full=full
        )
        for copy in range(1, part.copies + 1):
            result[part.printer, part.station, copy] = msgspec.structs.replace(
                ticket, copy=copy, copies=part.copies
            )
    return result


def react(
    order: Order, jobs: Sequence[Job], printers: Sequence[PrinterConfig], now_ms: int
) -> Plan:
    """What to print and what to cancel, given every earlier job of this order.

    A ticket of which no paper is out is replaced; one that is out is followed by CHANGED 改单 with
    the differences, or VOID 作废. Where a cook would see no difference, nothing is printed.
    """
    plan = Plan()
    cancelled = order.status == "cancelled"
    wanted = tickets(order, printers) if order.status in PRINTED_WHILE else {}
    if not cancelled and not wanted:
        return plan  # being delivered, or done
    for slot in {**wanted, **{job.slot: None for job in jobs}}:
        _slot(plan, order, [job for job in jobs if job.slot == slot], wanted.get(slot), now_ms)
        if slot in wanted and not any(job.slot == slot for job in jobs):
            plan.insert.append(_job(order, slot, wanted[slot], now_ms))
    plan.insert = [_scheduled(job, order, printers) for job in plan.insert]
    return plan


def withdraw(order: Order, jobs: Sequence[Job], now_ms: int) -> Plan:
    """What to cancel, and what to make void, of an order that staff rejected: before the back end
    has a version that says so. Doing it twice is doing it once."""
    plan, over = Plan(), msgspec.structs.replace(order, status="cancelled")
    for slot in {job.slot: None for job in jobs}:
        _pile(plan, over, [job for job in jobs if job.slot == slot], None, now_ms)
    plan.insert = [
        replace(
            job,
            job_id=job_id(job.order_id, job.version, job.home, f"{job.station}\0void", job.copy),
        )
        for job in plan.insert
    ]
    return plan


def _scheduled(job: Job, order: Order, printers: Sequence[PrinterConfig]) -> Job:
    """A first ticket waits until `lead` before the order is due; news of one that is out do not."""
    lead = next((printer.lead for printer in printers if printer.name == job.home), None)
    if lead is None or order.due_at is None or job.ticket.what != "order":
        return job
    return replace(job, not_before=order.due_at - int(seconds(lead) * 1000))


def _slot(
    plan: Plan, order: Order, mine: Sequence[Job], wanted: Ticket | None, now_ms: int
) -> None:
    """The pile of one slot, unless this version was seen to already."""
    if mine and max(job.version for job in mine) < order.version:
        _pile(plan, order, mine, wanted, now_ms)


def _pile(
    plan: Plan, order: Order, mine: Sequence[Job], wanted: Ticket | None, now_ms: int
) -> None:
    """One pile of paper: what is out, what still waits, and what should be there."""
    out = max((job for job in mine if job.on_paper), key=_newness, default=None)
    told = None if out is None or out.ticket.what == "void" else out.ticket
    unsent = [job for job in mine if not job.on_paper and job.state in ("queued", "held", "parked")]
    new: Ticket | None
    if told is not None:
        if order.status == "cancelled":
            new = void(told, order.version)
            unsent += [job for job in mine if job.state == "in_doubt"]
        else:
            new = changed(told, wanted or emptied(told, order.version))
    else:
        new = wanted
        if new is not None and any(changed(job.ticket, new) is None for job in unsent):
            return  # what waits says the same
    reason = "order cancelled" if order.status == "cancelled" else "superseded"
    plan.cancel += [(job, reason) for job in unsent]
    if new is not None:
        plan.insert.append(_job(order, mine[0].slot, new, now_ms))


def _newness(job: Job) -> tuple[int, bool]:
    """A version may be printed and, after a rejection here, made void."""
    return job.version, job.ticket.what == "void"


def _job(order: Order, slot: tuple[str, str, int], ticket: Ticket, now_ms: int) -> Job:
    return new_job(ticket, slot, priority=order.priority, now_ms=now_ms)


def new_job(ticket: Ticket, slot: tuple[str, str, int], *, priority: int, now_ms: int) -> Job:
    home, station, copy = slot
    return Job(
        job_id=job_id(ticket.order_id, ticket.version, home, station, copy),
        order_id=ticket.order_id,
        version=ticket.version,
        station=station,
        copy=copy,
        printer=home,
        home=home,
        state="queued",
        attempt=0,
        doubts=0,
        evidence="none",
        priority=priority,
        created=now_ms,
        changed=now_ms,
        ticket=ticket,
    )
