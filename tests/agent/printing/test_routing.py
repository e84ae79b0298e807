"""Which tickets an order and its later versions make."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from agent.contract.orders import Item, Option
from agent.printing.jobs import TRANSITIONS, Wrong, check, job_id
from agent.printing.routing import react, tickets, withdraw
from agent.printing.ticket import changed, merge


@pytest.fixture
def shop(given):
    """A kitchen with two stations and a bar that gets everything."""
    kitchen = given.printer("kitchen", stations=["wok", "cold"])
    return [kitchen, given.printer("bar", copies=2)]


WOK = Item(name="宫保鸡丁", qty=2, station="wok")
COLD = Item(name="凉拌黄瓜", category="cold")
TEA = Item(name="茶", station="drinks")


def slots(plan):
    return [(*job.slot, job.ticket.what) for job in plan.insert]


def names(job):
    return [(line.name, line.qty) for line in job.ticket.lines]


def told(plan, state="printed"):
    """The jobs of a plan, as they are after a while."""
    return [replace(job, state=state) for job in plan.insert]


def test_dishes_go_to_their_stations_and_everything_to_printers_without(shop, given):
    plan = react(given.order(items=[WOK, COLD, TEA]), [], shop, 0)
    assert slots(plan) == [
        ("kitchen", "wok", 1, "order"),
        ("kitchen", "cold", 1, "order"),
        ("bar", "", 1, "order"),
        ("bar", "", 2, "order"),
    ]
    assert names(plan.insert[0]) == [("宫保鸡丁", 2)]
    assert len(plan.insert[2].ticket.lines) == 3
    assert [(j.ticket.part, j.ticket.parts, j.ticket.copy) for j in plan.insert] == [
        (1, 3, 1), (2, 3, 1), (3, 3, 1), (3, 3, 2),
    ]  # fmt: skip


def test_money_and_people_stand_on_full_tickets_only(shop, given):
    found = tickets(given.order(items=[WOK, COLD], total=5000), shop)
    assert {slot: t.bill is not None for slot, t in found.items()} == {
        ("kitchen", "wok", 1): False,
        ("kitchen", "cold", 1): False,
        ("bar", "", 1): True,
        ("bar", "", 2): True,
    }


def test_without_a_printer_for_everything_the_first_ticket_is_full(shop, given):
    found = tickets(given.order(items=[WOK, COLD]), shop[:1])
    assert [t.bill is not None for t in found.values()] == [True, False]


def test_a_dish_of_no_station_goes_to_the_first_printer(shop, given):
    plan = react(given.order(items=[WOK, TEA]), [], shop[:1], 0)
    assert slots(plan) == [("kitchen", "wok", 1, "order"), ("kitchen", "unassigned", 1, "order")]


@pytest.mark.parametrize("status", ["delivering", "completed", "cancelled"])
def test_orders_that_nobody_cooks_any_more_print_nothing(shop, given, status):
    assert not react(given.order(status=status), [], shop, 0).insert


def test_the_same_version_does_nothing(shop, given):
    order = given.order(items=[WOK])
    before = told(react(order, [], shop, 0))
    plan = react(order, before, shop, 1)
    assert not plan.insert
    assert not plan.cancel


def test_a_change_of_status_prints_nothing(shop, given):
    before = told(react(given.order(items=[WOK, COLD]), [], shop, 0))
    later = given.order(version=2, items=[WOK, COLD], status="ready", total=1, paid=True)
    plan = react(later, before, shop, 1)
    assert not plan.insert
    assert not plan.cancel


def test_a_change_prints_the_differences_at_the_stations_concerned(shop, given):
    before = told(react(given.order(items=[WOK, COLD]), [], shop, 0))
    more = msgspec.structs.replace(WOK, qty=3)
    plan = react(given.order(version=2, items=[more, COLD]), before, shop, 1)
    assert slots(plan) == [
        ("kitchen", "wok", 1, "changed"),
        ("bar", "", 1, "changed"),
        ("bar", "", 2, "changed"),
    ]
    (line,) = plan.insert[0].ticket.changes
    assert (line.name, line.before, line.qty) == ("宫保鸡丁", 2, 3)


def test_a_dish_taken_away_is_taken_back_where_it_was_printed(shop, given):
    before = told(react(given.order(items=[WOK, COLD]), [], shop, 0))
    plan = react(given.order(version=2, items=[WOK]), before, shop[:1], 1)
    assert ("kitchen", "cold", 1, "changed") in slots(plan)
    job = next(job for job in plan.insert if job.station == "cold")
    assert job.ticket.lines == ()
    assert job.ticket.changes[0].qty == 0


def test_a_note_concerns_every_station(shop, given):
    before = told(react(given.order(items=[WOK, COLD]), [], shop, 0))
    plan = react(given.order(version=2, items=[WOK, COLD], note="快"), before, shop, 1)
    assert len(plan.insert) == 4
    assert all(job.ticket.changed == ("note",) for job in plan.insert)


def test_a_ticket_that_was_not_sent_yet_is_replaced(shop, given):
    waiting = react(given.order(items=[WOK]), [], shop[:1], 0).insert
    plan = react(given.order(version=2, items=[WOK, WOK]), waiting, shop[:1], 1)
    assert [(job.version, reason) for job, reason in plan.cancel] == [(1, "superseded")]
    assert slots(plan) == [("kitchen", "wok", 1, "order")]
    assert names(plan.insert[0]) == [("宫保鸡丁", 4)]


def test_differences_are_those_from_the_paper_that_is_out(shop, given):
    first = told(react(given.order(items=[WOK]), [], shop[:1], 0))
    second = react(
        given.order(version=2, items=[msgspec.structs.replace(WOK, qty=5)]), first, shop[:1], 1
    ).insert
    third = given.order(version=3, items=[msgspec.structs.replace(WOK, qty=3)])
    plan = react(third, [*first, *second], shop[:1], 2)
    assert [job.version for job, _ in plan.cancel] == [2]
    assert [(line.before, line.qty) for line in plan.insert[0].ticket.changes] == [(2, 3)]


def test_a_change_taken_back_before_it_was_printed_prints_nothing(shop, given):
    first = told(react(given.order(items=[WOK]), [], shop[:1], 0))
    second = react(given.order(version=2, items=[WOK, WOK]), first, shop[:1], 1).insert
    plan = react(given.order(version=3, items=[WOK]), [*first, *second], shop[:1], 2)
    assert not plan.insert
    assert [job.version for job, _ in plan.cancel] == [2]


@pytest.mark.parametrize(
    ("state", "doubts", "voids", "cancels"),
    [
        ("queued", 0, 0, 1),
        ("held", 0, 0, 1),
        ("parked", 0, 0, 1),
        ("sending", 0, 1, 0),
        ("in_doubt", 1, 1, 1),
        ("held", 1, 1, 0),
        ("printed", 0, 1, 0),
        ("sent_unconfirmed", 0, 1, 0),
        ("expired", 0, 0, 0),
    ],
)
def test_a_cancelled_order_takes_back_what_may_be_on_paper(
    shop, given, state, doubts, voids, cancels
):
    before = [
        replace(job, state=state, doubts=doubts)
        for job in react(given.order(items=[WOK]), [], shop[:1], 0).insert
    ]
    plan = react(given.order(version=2, items=[WOK], status="cancelled"), before, shop[:1], 1)
    assert [job.ticket.what for job in plan.insert] == ["void"] * voids
    assert len(plan.cancel) == cancels


def test_a_voided_order_that_comes_back_is_printed_whole(shop, given):
    first = told(react(given.order(items=[WOK]), [], shop[:1], 0))
    gone = given.order(version=2, items=[WOK], status="cancelled")
    second = told(react(gone, first, shop[:1], 1))
    plan = react(given.order(version=3, items=[WOK]), [*first, *second], shop[:1], 2)
    assert slots(plan) == [("kitchen", "wok", 1, "order")]


def test_identical_dishes_are_merged_and_different_ones_are_not():
    spicy = Item(name="面", options=[Option("辣")])
    lines = merge(
        [spicy, Item(name="面"), spicy, Item(name="面", note="少盐"), Item(name="面", qty=3)]
    )
    assert [(line.qty, line.options, line.note) for line in lines] == [
        (2, ("辣",), None),
        (4, (), None),
        (1, (), "少盐"),
    ]


def test_no_difference_is_no_change(given, shop):
    ticket = next(iter(tickets(given.order(items=[WOK, COLD]), shop).values()))
    assert changed(ticket, ticket) is None


def test_job_ids_are_the_same_every_time_and_differ_in_every_part():
    one = job_id("A", 1, "kitchen", "wok", 1)
    assert one == job_id("A", 1, "kitchen", "wok", 1)
    others = [
        job_id("B", 1, "kitchen", "wok", 1),
        job_id("A", 2, "kitchen", "wok", 1),
        job_id("A", 1, "bar", "wok", 1),
        job_id("A", 1, "kitchen", "cold", 1),
        job_id("A", 1, "kitchen", "wok", 2),
    ]
    assert len({one, *others}) == 6


def test_states_change_by_the_table_only():
    for old, news in TRANSITIONS.items():
        for new in TRANSITIONS:
            if new in news:
                check(old, new)
            else:
                with pytest.raises(Wrong):
                    check(old, new)


# --- rejected here --------------------------------------------------------------------------------


def rejected(order, jobs):
    """The jobs after staff rejected the order."""
    plan = withdraw(order, jobs, 5)
    gone = {job.job_id for job, _ in plan.cancel}
    left = [replace(job, state="cancelled") if job.job_id in gone else job for job in jobs]
    return plan, left + told(plan)


def test_a_rejected_order_s_waiting_tickets_are_taken_back_and_those_on_paper_void(shop, given):
    order = given.order(items=[WOK, TEA])
    first = react(order, [], shop, 0)
    jobs = [
        replace(job, state="queued" if job.printer == "bar" else "printed") for job in first.insert
    ]
    plan, after = rejected(order, jobs)
    assert {job.printer for job, _ in plan.cancel} == {"bar"}
    assert slots(plan) == [("kitchen", "wok", 1, "void")]
    assert len({job.job_id for job in after}) == len(after), "a job of its own"
    again, _ = rejected(order, after)
    assert (again.insert, again.cancel) == ([], [])


def test_a_rejected_order_that_is_cancelled_too_is_made_void_once(shop, given):
    order = given.order(items=[WOK])
    _, after = rejected(order, told(react(order, [], shop, 0)))
    cancelled = msgspec.structs.replace(order, version=2, status="cancelled")
    plan = react(cancelled, after, shop, 9)
    assert (plan.insert, plan.cancel) == ([], [])


@pytest.mark.parametrize("state", ["queued", "printed"])
def test_a_rejected_order_that_was_accepted_elsewhere_is_printed_again(shop, given, state):
    order = given.order(items=[WOK])
    _, after = rejected(order, told(react(order, [], shop, 0), state))
    accepted = msgspec.structs.replace(order, version=2, status="preparing")
    assert {slot[3] for slot in slots(react(accepted, after, shop, 9))} == {"order"}
