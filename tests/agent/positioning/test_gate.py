"""Which fixes are believed, and the second they were taken at."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.positioning.gate import Gate
from drivers.base import Fix

FIX = Fix(t=100.0, mode=3, lat=31.2, lon=121.4, utc=1_800_000_000.0)


def after(seconds: float, *, late: float = 0.0, clock: float = 0.0) -> Fix:
    """A fix `seconds` later that came `late`, by a receiver whose clock was set by `clock`."""
    return replace(FIX, t=FIX.t + seconds + late, utc=1_800_000_000.0 + seconds + clock)


@pytest.mark.parametrize(
    ("fix", "cause"),
    [
        (replace(FIX, mode=1), "no fix"),
        (replace(FIX, lat=None), "no fix"),
        (replace(FIX, lat=0.0, lon=0.0), "null island"),
        (replace(FIX, lat=float("nan")), "impossible"),
        (replace(FIX, lon=181.0), "impossible"),
        (replace(FIX, sigma=51.0), "imprecise"),
        (replace(FIX, sigma=float("nan")), "imprecise"),
    ],
)
def test_what_is_no_position_is_not_believed(fix: Fix, cause: str) -> None:
    gate = Gate()
    assert gate.admit(fix) is None
    assert gate.rejected == {cause: 1}


def test_the_jitter_of_the_line_is_taken_out_of_the_time() -> None:
    gate = Gate()
    times = [gate.admit(after(n, late=late)) for n, late in enumerate([0.0, 0.4, 0.1, 0.9])]
    assert [fix.t for fix in times if fix] == pytest.approx([100, 101, 102, 103], abs=1e-3)


def test_a_fix_that_lay_in_a_buffer_is_not_taken_for_a_fresh_one() -> None:
    gate = Gate()
    assert gate.admit(after(0))
    backlog = [gate.admit(after(n, late=30.0 - n)) for n in range(1, 28)]
    assert not any(backlog)
    assert gate.rejected == {"late": 27}
    assert gate.admit(after(29, late=1.0))


def test_a_receiver_that_sets_its_clock_is_believed_again_at_the_second_fix() -> None:
    gate = Gate()
    assert gate.admit(after(0))
    for n, clock in ((1, -604_800.0), (10, 604_800.0)):
        first, second = after(n, clock=clock), after(n + 1, clock=clock)
        assert gate.admit(first) is None or clock > 0
        believed = gate.admit(second)
        assert believed is not None
        assert believed.t == pytest.approx(second.t, abs=0.01)


def test_the_same_second_is_used_once() -> None:
    gate = Gate()
    assert gate.admit(after(0))
    assert gate.admit(after(0, late=0.5)) is None
    assert gate.rejected == {"repeated": 1}


@given(st.lists(st.tuples(st.floats(0, 1e6), st.none() | st.floats(0, 2e9)), max_size=30))
def test_admitted_time_rises_and_is_never_in_the_future(
    readings: list[tuple[float, float]],
) -> None:
    gate, last = Gate(), float("-inf")
    for t, utc in sorted(readings, key=lambda reading: reading[0]):
        admitted = gate.admit(replace(FIX, t=t, utc=utc))
        if admitted is not None:
            assert last < admitted.t <= t + 1e-3
            last = admitted.t
