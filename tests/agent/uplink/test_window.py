"""The window in flight."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.contract.events import STREAMS
from agent.uplink.window import (
    BATCH_MAX,
    BATCH_MIN,
    BATCH_START,
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
    maximum: int, steps: list[tuple[str, bool, int]]
) -> None:
    window = Window(receive_maximum=maximum)
    flying: list[int] = []
    for n, (stream, batch, acks) in enumerate(steps):
        if window.room(stream, batch=batch):
            flying.append(window.sent(stream, n, float(n), batch=batch))
        assert len(flying) <= maximum
        for _ in range(min(acks, len(flying))):
            window.acked(flying.pop(0), 0, n + 0.5)
