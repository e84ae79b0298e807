from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.consumer.ledger import Coverage, Span, window

spans = st.builds(
    lambda first, size: Span(first, first + size), st.integers(1, 60), st.integers(0, 9)
)


@pytest.mark.parametrize(
    ("accounted", "contiguous", "ahead"),
    [
        ([], 0, ()),
        ([Span(1, 1)], 1, ()),
        ([Span(2, 2)], 0, (Span(2, 2),)),
        ([Span(3, 3), Span(1, 1)], 1, (Span(3, 3),)),
        ([Span(3, 3), Span(1, 1), Span(2, 2)], 3, ()),
        ([Span(1, 5), Span(3, 4), Span(5, 5)], 5, ()),
        ([Span(9, 9), Span(4, 6), Span(5, 7)], 0, (Span(4, 7), Span(9, 9))),
    ],
)
def test_only_the_unbroken_run_from_one_counts(accounted, contiguous, ahead):
    assert Coverage().add(accounted) == Coverage(contiguous, ahead)


@given(st.lists(st.lists(spans, max_size=5), max_size=8))
def test_it_says_the_same_as_a_set_of_all_numbers(arrivals):
    coverage, numbers = Coverage(), set()
    for accounted in arrivals:
        coverage = coverage.add(accounted)
        numbers |= {n for first, last in accounted for n in range(first, last + 1)}
        assert (
            set(range(1, coverage.contiguous + 1))
            | {n for first, last in coverage.ahead for n in range(first, last + 1)}
            == numbers
        )
        edges = [coverage.contiguous, *(n for span in coverage.ahead for n in span)]
        assert all(
            later > earlier + 1 for earlier, later in zip(edges[::2], edges[1::2], strict=False)
        )


@given(st.lists(spans, max_size=12), st.lists(spans, min_size=1, max_size=4))
def test_the_runs_near_what_is_added_are_all_that_is_needed(before, accounted):
    whole = Coverage().add(before)
    low, high = window(accounted)
    near = tuple(span for span in whole.ahead if span.first <= high and span.last >= low)
    far = set(whole.ahead) - set(near)
    part = Coverage(whole.contiguous, near).add(accounted)
    expected = whole.add(accounted)
    assert part.contiguous == expected.contiguous
    assert set(part.ahead) | far == set(expected.ahead)
