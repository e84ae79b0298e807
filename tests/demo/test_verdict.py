from __future__ import annotations

from agent.demo.belief import Spread
from agent.demo.ledger import Ledger
from agent.demo.paper import Tickets, picture
from agent.demo.verdict import Facts, is_good, judge, table
from drivers.printer.elements import Cut, Paper, Qr, Run, Text


def ticket(*lines):
    return Paper(tuple(Text((Run(line),)) for line in lines))


def facts(**changes):
    errors = Spread()
    errors.add(3.0)
    ledger = Ledger()
    ledger.book("d", "e", "critical").take(1, 1)
    tickets = Tickets()
    tickets.add(ticket("demo-00001 v1"))
    values = {
        "ledger": ledger, "tickets": tickets, "sent": ["demo-00001 v1"], "orders": 1, "rung": 1,
        "to_paper": Spread(), "malformed": 1, "refused": 1,
        "alerts": 1, "acknowledged": 1, "off": errors, "off_at_fixes": errors,
        "sos_ms": 80.0, "sos_pressed": True,
        "kills": 1, "cuts": 1, "drained": True,
    }  # fmt: skip
    return Facts(**(values | changes))


def bad(given):
    return {row.what for row in judge(given) if row.good is False}


def test_a_run_in_which_nothing_went_wrong_is_good():
    assert is_good(judge(facts()))


def test_an_order_without_paper_is_missing():
    assert bad(facts(sent=["demo-00001 v1", "demo-00002 v1"])) == {"orders missing"}


def test_a_second_ticket_is_forgiven_only_when_it_says_so():
    said, silent = Tickets(), Tickets()
    for tickets in (said, silent):
        tickets.add(ticket("demo-00001 v1"))
    said.add(ticket("** POSSIBLE DUPLICATE **", "demo-00001 v1"))
    silent.add(ticket("demo-00001 v1"))
    assert bad(facts(tickets=said)) == set()
    assert bad(facts(tickets=silent)) == {"tickets twice, silently"}


def test_the_ticket_of_a_change_is_no_duplicate():
    tickets = Tickets()
    for version in (1, 2):
        tickets.add(ticket(f"demo-00001 v{version}"))
    assert bad(facts(tickets=tickets, sent=["demo-00001 v1", "demo-00001 v2"])) == set()


def test_a_ticket_that_came_out_twice_on_one_piece_of_paper_is_seen():
    tickets = Tickets()
    tickets.add(ticket("demo-00001 v1", "demo-00001 v1"))
    assert bad(facts(tickets=tickets)) == {"tickets twice, silently"}


def test_an_order_that_nobody_heard_is_bad():
    assert bad(facts(orders=2)) == {"orders that rang"}


def test_a_lost_event_is_bad_even_when_it_is_only_one():
    given = facts()
    given.ledger.book("d", "e", "critical").take(3, 3)
    assert "gaps unexplained" in bad(given)


def test_telemetry_given_up_at_a_kill_is_told_and_critical_events_never_may_be():
    for stream, wrong in (("telemetry", set()), ("critical", {"critical: received / recorded"})):
        given = facts(ledger=Ledger())
        book = given.ledger.book("d", "e", stream)
        book.take(1, 1)
        book.says(first_unacked=2, last=2)
        book.take(1000, 1000)
        book.explain(2, 1000)
        assert bad(given) == wrong


def test_an_sos_that_never_came_is_bad():
    assert bad(facts(sos_ms=None)) == {"SOS, button to back end"}


def test_the_table_marks_what_is_bad():
    assert "BAD" in table(judge(facts(drained=False)))


def test_percentiles_are_of_the_samples():
    errors = Spread()
    for metres in range(1, 101):
        errors.add(float(metres))
    assert (errors.percentile(0.5), errors.percentile(0.95), errors.worst) == (50, 95, 100)


def test_the_page_gets_the_modules_of_a_qr_code():
    drawn = picture(Paper((Qr("hello"), Cut())), 384)
    modules = drawn["elements"][0]["modules"]
    assert len(modules) == len(modules[0]) == 21
