from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.demo.ledger import StreamBook


def test_a_repetition_is_counted_and_not_stored():
    book = StreamBook()
    assert book.take(1, 11)
    assert not book.take(1, 11)
    assert (book.raw, book.distinct, book.conflicting) == (2, 1, 0)


def test_a_number_that_was_given_out_twice_is_noticed():
    book = StreamBook()
    book.take(1, 11)
    book.take(1, 12)
    assert book.conflicting == 1


def test_only_an_unbroken_run_may_be_acknowledged():
    book = StreamBook()
    for seq in (1, 2, 4, 5):
        book.take(seq, seq)
    assert (book.stored_upto, book.holes()) == (2, 1)
    book.take(3, 3)
    assert (book.stored_upto, book.holes(), book.disordered) == (5, 0, 1)


def test_a_gap_explains_what_never_arrived_and_nothing_else():
    book = StreamBook()
    book.take(1, 1)
    book.take(3, 3)
    book.take(10, 10)
    book.explain(2, 10)
    assert (book.explained, book.distinct, book.stored_upto, book.holes()) == (7, 3, 10, 0)


def test_events_that_the_device_spoke_of_and_gave_up_are_told_from_numbers_never_used():
    book = StreamBook()
    book.take(1, 1)
    book.says(first_unacked=2, last=3)
    book.says(first_unacked=2, last=1000)  # started anew: the whole block counts as given out
    book.take(1000, 1000)
    book.explain(2, 1000)
    assert (book.explained, book.given_up, book.recorded) == (998, 2, 4)


def test_what_the_device_recorded_and_the_back_end_lacks_is_a_hole():
    book = StreamBook()
    book.take(1, 1)
    book.says(first_unacked=2, last=5)
    assert (book.holes(), book.lost(), book.recorded) == (4, 0, 5)


def test_a_block_that_a_crash_left_half_used_does_not_count_as_recorded():
    book = StreamBook()
    book.take(1, 1)
    book.says(first_unacked=2, last=1000, waiting=3)
    assert (book.holes(), book.recorded) == (999, 4)


def test_what_the_device_forgot_and_the_back_end_lacks_is_lost():
    book = StreamBook()
    book.take(1, 1)
    book.take(3, 3)
    book.says(first_unacked=5, last=5)
    assert book.lost() == 2


@given(st.lists(st.integers(1, 60), max_size=120))
def test_the_books_balance_whatever_arrives(arrivals):
    book = StreamBook()
    for seq in arrivals:
        book.take(seq, seq)
    known = set(arrivals)
    assert book.raw == len(arrivals)
    assert book.distinct == len(known)
    assert book.holes() == max(known, default=0) - len(known)
    upto = 0
    while upto + 1 in known:
        upto += 1
    assert book.stored_upto == upto
