"""The window in flight."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.contract.events import STREAMS, Stream
from agent.uplink.window import (
    BATCH_MAX,
    BATCH_MIN,
    BATCH_START,
    NOT_FOUND,
    PACKETS_MAX,
    PACKETS_MIN,
    PACKETS_START,
    Window,
)

OK = (0,)


def batches(window: Window, now: float, *took: float) -> float:
    """Batches that go one after the other, each with what its PUBACK takes; the time afterwards."""
    for seconds in took:
        window.acked(window.sent("telemetry", 1, now, batch=True), 0, now + seconds)
        now += seconds
    return now


def test_the_window_grows_while_pubacks_are_in_time_and_shrinks_when_they_are_late() -> None:
    window = Window(receive_maximum=100)
    now = batches(window, 0.0, *[0.1] * 40)
    assert (window.batch_bytes, window.packets) == (BATCH_MAX, PACKETS_MAX)
    batches(window, now, *[1.0] * 9)
    assert (window.batch_bytes, window.packets) == (BATCH_MIN, PACKETS_MIN)


def test_a_slow_link_that_jitters_gets_fewer_batches_but_no_smaller_ones() -> None:
    window = Window(20)
    batches(window, 0.0, *[0.08, 0.15, 0.15, 0.15] * 10)
    assert (window.batch_bytes, window.packets) == (BATCH_START, PACKETS_MIN)


def test_a_small_message_says_what_the_link_can_do() -> None:
    narrow, wide = Window(20), Window(20)
    narrow.round_trip(0.08)
    for window in (narrow, wide):
        batches(window, 0.0, *[0.15] * 3)
    assert narrow.packets < PACKETS_START < wide.packets


def test_a_link_that_stalled_gets_its_batches_back() -> None:
    window = Window(20)
    now = batches(window, 0.0, 0.08, *[2.0] * 5)
    assert (window.batch_bytes, window.packets) == (BATCH_MIN, PACKETS_MIN)
    batches(window, now, *[0.09] * 4)
    assert window.batch_bytes == BATCH_START


def test_it_adapts_once_a_round_trip() -> None:
    window = Window(20)
    tokens = [window.sent("telemetry", n, 0.0, batch=True) for n in range(4)]
    for n, token in enumerate(tokens):
        window.acked(token, 0, 0.1 + n * 0.03)
    assert window.packets == PACKETS_START + 1  # the later ones were sent before that


def test_a_fast_link_that_jitters_keeps_its_window() -> None:
    window = Window(20)
    now = 0.0
    for took in [0.0003, 0.02, 0.004, 0.045] * 10:
        window.acked(window.sent("telemetry", 1, now, batch=True), 0, now + took)
        now += took
    assert (window.batch_bytes, window.packets) == (BATCH_MAX, PACKETS_MAX)


def test_a_link_is_quick_as_long_as_its_last_batch_was() -> None:
    window = Window(20)
    window.acked(window.sent("telemetry", 1, 0.0, batch=True), 0, 0.01)
    assert window.quick
    window.acked(window.sent("telemetry", 1, 1.0, batch=True), 0, 1.08)
    assert not window.quick


def test_one_place_is_kept_for_what_is_urgent() -> None:
    window = Window(receive_maximum=3)
    welcome(window, "telemetry")
    window.sent("telemetry", 1, 0.0, batch=False)
    window.sent("telemetry", 2, 0.0, batch=False)
    assert not window.room("telemetry", batch=False)
    assert window.room("critical", batch=False)


def test_only_an_unbroken_run_counts() -> None:
    window = Window(receive_maximum=10)
    first, second, third = (window.sent("state", n, 0.0, batch=False) for n in (1, 2, 3))
    window.acked(second, 0, 0.1)
    assert window.take("state", OK) == (None, None)
    window.acked(first, 0, 0.1)
    assert window.take("state", OK) == (2, None)
    window.acked(third, 0x97, 0.1)
    assert window.take("state", OK) == (None, 0x97)


def test_what_was_forgotten_still_counts_for_the_broker() -> None:
    window = Window(receive_maximum=2)
    old = window.sent("state", 1, 0.0, batch=False)
    window.forget("state")
    assert not window.room("state", batch=False)
    window.acked(old, 0, 0.1)
    assert window.take("state", OK) == (None, None)
    assert window.room("state", batch=False)


@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.sampled_from(STREAMS), st.booleans(), st.integers(0, 3)), max_size=60),
)
def test_never_more_in_flight_than_the_broker_takes(
    maximum: int, steps: list[tuple[Stream, bool, int]]
) -> None:
    window = Window(receive_maximum=maximum)
    flying: list[int] = []
    for stream in STREAMS:
        welcome(window, stream)
    for n, (stream, batch, acks) in enumerate(steps):
        if window.room(stream, batch=batch):
            flying.append(window.sent(stream, n, float(n), batch=batch))
        assert len(flying) <= maximum
        for _ in range(min(acks, len(flying))):
            window.acked(flying.pop(0), 0, n + 0.5)


def welcome(window: Window, stream: Stream) -> None:
    window.acked(window.sent(stream, 1, 0.0, batch=False), 0, 0.1)
    window.take(stream, OK)


@pytest.mark.parametrize("batch", [False, True])
def test_nothing_overtakes_what_the_broker_may_refuse(batch: bool) -> None:
    window = Window(receive_maximum=10)
    first = window.sent("state", 1, 0.0, batch=batch)
    assert not window.room("state", batch=batch)
    assert window.room("telemetry", batch=batch)  # another stream, another subscriber
    window.acked(first, NOT_FOUND, 0.1)
    assert window.take("state", OK) == (None, NOT_FOUND)
    window.forget("state")
    again = window.sent("state", 1, 5.0, batch=batch)
    assert not window.room("state", batch=batch)
    window.acked(again, 0, 5.1)
    assert window.take("state", OK) == (1, None)
    window.sent("state", 2, 5.2, batch=batch)
    assert window.room("state", batch=batch)


def test_after_a_refusal_one_goes_ahead_again() -> None:
    window = Window(receive_maximum=10)
    welcome(window, "critical")
    refused, taken = (window.sent("critical", n, 1.0, batch=False) for n in (2, 3))
    window.acked(refused, 0x97, 1.1)
    assert window.take("critical", OK) == (None, 0x97)
    window.forget("critical")
    assert window.room("critical", batch=False)  # what is stale is no hindrance: it will not count
    window.sent("critical", 2, 6.0, batch=False)
    assert not window.room("critical", batch=False)
    window.acked(taken, 0, 6.1)
    assert not window.room("critical", batch=False)


def test_where_what_nobody_wants_may_go_it_is_no_refusal() -> None:
    window = Window(receive_maximum=10)
    window.acked(window.sent("telemetry", 1, 0.0, batch=False), NOT_FOUND, 0.1)
    assert window.take("telemetry", (0, NOT_FOUND)) == (1, None)
    window.sent("telemetry", 2, 0.2, batch=False)
    assert window.room("telemetry", batch=False)
