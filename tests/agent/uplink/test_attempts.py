"""Which broker is next, and when."""

from __future__ import annotations

import random
import statistics

from hypothesis import given
from hypothesis import strategies as st

from agent.uplink.attempts import (
    BACKOFF_MIN_S,
    BUSY_S,
    HOPS_MAX,
    PAUSE_MIN_S,
    SHORT_MAX,
    STEADY_S,
    WINDOW_MAX_S,
    Attempts,
    Told,
)

A, B, C = "mqtt://a", "mqtt://b", "mqtt://c"


def most(low: float, high: float) -> float:
    """Draws the limit itself."""
    assert low == PAUSE_MIN_S
    return high


def attempts(*urls: str, retry_max_s: float = 60.0, window_s: float = 0.0) -> Attempts:
    return Attempts(urls or (A,), retry_max_s, most, window_s)


def test_the_limit_doubles_from_failure_to_failure_up_to_its_greatest() -> None:
    one = attempts()
    assert [one.failed() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_pauses_are_spread_evenly_between_nothing_and_the_limit() -> None:
    draws = []
    for seed in range(4000):
        one = Attempts((A,), 60.0, random.Random(seed).uniform)
        draws.append([one.failed() for _ in range(7)][-1])
    tenths = [sum(1 for d in draws if 6 * n <= d < 6 * (n + 1)) for n in range(10)]
    assert min(tenths) > 320  # of 400 each; 5 sigma are 95
    assert max(tenths) < 480
    assert abs(statistics.mean(draws) - 30) < 1.5
    assert min(draws) >= PAUSE_MIN_S


def test_a_fleet_that_loses_its_broker_does_not_return_in_one_second() -> None:
    """1,000 devices, the broker 60 s away: none of the next 120 seconds sees more than 5 %."""
    arrivals: list[int] = []
    for seed in range(1000):
        one = Attempts((A,), 60.0, random.Random(seed).uniform)
        t = one.ended(3600.0, progressed=True, by_broker=True)
        while t < 60.0:
            t += one.failed(by_broker=True)
        arrivals.append(int(t))
    assert max(arrivals.count(second) for second in range(60, 180)) < 50


def test_only_a_connection_that_carried_something_begins_anew() -> None:
    one = attempts()
    for _ in range(4):
        one.failed()
    assert one.ended(5.0, progressed=False) == 16  # accepted, and nothing went through: as before
    assert one.ended(5.0, progressed=True) == 2  # it was short
    assert one.ended(STEADY_S, progressed=True) == 1
    assert one.short == 0


def test_short_connections_make_longer_and_longer_pauses() -> None:
    one = attempts()
    assert [one.ended(1.0, progressed=True) for _ in range(4)] == [2, 4, 8, 16]
    assert one.short > SHORT_MAX
    two = attempts()
    assert two.ended(1.0, progressed=True, taken_over=True) == 2**SHORT_MAX


def test_brokers_are_tried_in_their_order_and_a_round_doubles_the_limit() -> None:
    three = attempts(A, B, C)
    seen = [(three.url, three.failed()) for _ in range(7)]
    assert seen == [(A, 1), (B, 1), (C, 1), (A, 2), (B, 2), (C, 2), (A, 4)]


def test_a_broker_that_fell_silent_is_not_tried_again_first() -> None:
    two = attempts(A, B)
    for _ in range(5):
        before = two.url
        assert two.ended(20.0, progressed=True, silent=True) <= 2 * BACKOFF_MIN_S
        assert two.url != before
    assert two.short == 0, "nobody uses our id"


def test_a_lost_fallback_is_tried_again_first_and_left_for_home() -> None:
    two = attempts(A, B)
    two.failed()
    assert (two.url, two.away) == (B, True)
    two.ended(100.0, progressed=True)
    assert two.url == B
    two.go_home()
    assert (two.url, two.away) == (A, False)


def test_a_server_named_for_now_is_left_when_its_connection_ends() -> None:
    one = attempts(A)
    assert one.failed(Told(server=B)) == BACKOFF_MIN_S
    assert (one.url, one.away) == (B, False)
    one.ended(100.0, progressed=True)
    assert one.url == A


def test_a_server_named_for_good_goes_first_and_the_old_one_stays_behind_it() -> None:
    one = attempts(A)
    one.ended(100.0, Told(server=B, for_good=True), progressed=True, by_broker=True)
    assert (one.url, one.urls) == (B, (B, A))
    one.failed()
    assert one.url == A


def test_brokers_that_send_us_round_in_circles_are_met_with_pauses() -> None:
    one = attempts(A)
    seen = []
    pauses = []
    for n in range(60):
        seen.append(one.url)
        pauses.append(one.failed(Told(server=B if n % 2 else C)))
    assert seen[: HOPS_MAX + 1].count(A) == 1
    assert seen.count(A) > 1
    assert max(pauses) == 60


def test_a_busy_broker_is_left_alone_for_longer() -> None:
    one = attempts(A)
    assert one.failed(Told(busy=True)) == BUSY_S
    two = attempts(A, B)
    assert two.ended(100.0, Told(busy=True), progressed=True, by_broker=True) == BUSY_S
    assert two.url == B


def test_a_window_spreads_what_the_broker_ended_and_nothing_else() -> None:
    one = attempts(window_s=65.0)
    assert one.ended(100.0, progressed=True, by_broker=True) == 65
    assert one.ended(100.0, progressed=True, by_broker=False) == 1
    assert one.ended(100.0, Told(window_s=20.0), progressed=True) == 20
    assert one.failed(Told(window_s=1e9)) == WINDOW_MAX_S


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["failed", "short", "steady", "home"]),
            st.sampled_from([Told(), Told(B), Told(C, for_good=True), Told(busy=True)]),
            st.booleans(),
        ),
        max_size=60,
    ),
    st.sampled_from([(A,), (A, B), (A, B, C)]),
)
def test_whatever_happens_a_pause_is_bounded_and_the_first_is_met_again(
    story: list[tuple[str, Told, bool]], urls: tuple[str, ...]
) -> None:
    one = attempts(*urls)
    for what, told, by_broker in story:
        if what == "home":
            one.go_home()
            continue
        if what == "failed":
            pause = one.failed(told, by_broker=by_broker)
        else:
            lasted = 1.0 if what == "short" else 100.0
            pause = one.ended(lasted, told, progressed=True, by_broker=by_broker)
        assert PAUSE_MIN_S <= pause <= 60
        assert len(one.urls) <= 4
    met = set()
    for _ in range(len(one.urls) + 1):
        met.add(one.url)
        one.failed()
    assert met >= set(urls)
