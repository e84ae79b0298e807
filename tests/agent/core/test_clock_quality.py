from __future__ import annotations

import pytest

from agent.core.clock import SystemClock


@pytest.mark.parametrize("answer", [-1, 5])
def test_a_clock_that_may_not_be_asked_or_is_unset_does_not_count_as_synchronised(
    answer: int,
) -> None:
    clock = SystemClock()
    clock._adjtimex = lambda: answer
    assert clock.quality() in ("rtc", "none")


def test_the_time_of_a_receiver_counts_while_nothing_else_is_known() -> None:
    clock = SystemClock()
    clock._adjtimex = lambda: -1
    clock.gps_time(clock.monotonic(), 1_900_000_000.0)
    assert clock.quality() == "gps"
    assert abs(clock.wall() - 1_900_000_000.0) < 60
