from __future__ import annotations

import pytest

from agent.core.clock import SystemClock
from agent.core.timedaemon import TimeDaemon


def test_a_clock_that_nobody_set_does_not_count_as_synchronised() -> None:
    clock = SystemClock()
    clock._adjtimex = lambda: 5
    assert clock.quality() in ("rtc", "none")


@pytest.mark.parametrize(("said", "quality"), [("yes", {"ntp"}), ("no", {"rtc", "none"})])
def test_where_the_kernel_may_not_be_asked_the_time_daemon_is(said: str, quality: set[str]) -> None:
    clock = SystemClock()
    clock._adjtimex = lambda: -1
    clock._daemon = TimeDaemon(("echo", said))
    assert clock.quality() in ("rtc", "none")  # asked, not answered yet
    child = clock._daemon._child
    assert child is not None
    child.wait(10)
    assert clock.quality() in quality


def test_the_time_of_a_receiver_counts_while_nothing_else_is_known() -> None:
    clock = SystemClock()
    clock._adjtimex = lambda: 5
    clock.gps_time(clock.monotonic(), 1_900_000_000.0)
    assert clock.quality() == "gps"
    assert abs(clock.wall() - 1_900_000_000.0) < 60
