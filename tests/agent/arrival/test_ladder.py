"""What is tried with a radio that hears nothing, and when."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from agent.arrival.ladder import PATIENT_MAX_S, Ladder


def climbed(seconds: float, *, quick: bool, tick: float = 0.25) -> list[tuple[float, str]]:
    ladder, said, now = Ladder(), [], 0.0
    while now <= seconds:
        if ladder.due(now):
            said.append((now, str(ladder.climb(now, quick=quick))))
        now += tick
    return said


def test_a_sure_stall_is_met_with_all_that_there_is_within_16_seconds() -> None:
    assert climbed(20, quick=True) == [(0.0, "restart"), (6.0, "power"), (15.0, "reset")]


def test_where_it_may_only_be_quiet_each_step_has_more_patience() -> None:
    times = [t for t, _ in climbed(3600, quick=False)]
    pauses = [b - a for a, b in itertools.pairwise(times)]
    assert pauses[:4] == [30, 60, 120, 240]
    assert set(pauses[4:]) == {PATIENT_MAX_S}


def test_what_is_not_possible_here_is_passed_over() -> None:
    ladder = Ladder()
    ladder.climb(0, quick=True)
    ladder.climb(6, quick=True)
    ladder.impossible()
    assert ladder.due(6)
    assert ladder.climb(6, quick=True) == "reset"
    ladder.impossible()
    assert not ladder.due(6)  # from the top it does not start again at once


@given(st.lists(st.tuples(st.floats(0, 400), st.booleans(), st.booleans()), max_size=60))
def test_it_never_runs_in_circles_without_a_pause(steps: list[tuple[float, bool, bool]]) -> None:
    ladder, now, climbs = Ladder(), 0.0, 0
    for pause, quick, fails in steps:
        now += pause
        if ladder.due(now):
            climbs += 1
            ladder.climb(now, quick=quick)
            if fails:
                ladder.impossible()
    assert climbs <= 3 + 3 * (now // 6 + 1)


def test_a_radio_that_hears_again_begins_with_the_gentlest() -> None:
    ladder = Ladder()
    ladder.climb(0, quick=True)
    ladder.climb(6, quick=True)
    ladder.heard()
    assert ladder.rung is None
    assert ladder.climb(100, quick=True) == "restart"
