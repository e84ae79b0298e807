from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.arrival.presence import HISTORY, BeaconPresence, percentile75


def fed(beacon: BeaconPresence, packets: Iterable[tuple[float, int]]) -> BeaconPresence:
    """A beacon that was judged after every packet."""
    for t, rssi in packets:
        beacon.hear(t, rssi)
        judge(beacon, t)
    return beacon


def judge(beacon: BeaconPresence, now: float, rival: float = 0.0) -> None:
    beacon.measure(now)
    beacon.judge(now, rival)


def steady(start: float, end: float, rssi: int, interval: float = 0.5) -> list[tuple[float, int]]:
    return [(start + n * interval, rssi) for n in range(int((end - start) / interval) + 1)]


def test_one_loud_packet_is_not_enough_and_two_are() -> None:
    beacon = fed(BeaconPresence(-70.0), [(0.0, -40)])
    assert beacon.inside is False
    fed(beacon, [(0.5, -40)])
    assert beacon.inside is True
    assert (beacon.since, beacon.cause) == (0.0, "strong")  # the first crossing


def test_the_same_packet_told_twice_counts_once() -> None:
    assert fed(BeaconPresence(-70.0), [(0.0, -40), (0.004, -40)]).inside is False


def test_two_packets_far_above_the_threshold_need_not_wait_for_the_percentile() -> None:
    faint = steady(0, 3, -90, 0.1)
    assert fed(BeaconPresence(-70.0), [*faint, (3.1, -61), (3.2, -61)]).inside is True
    assert fed(BeaconPresence(-70.0), [*faint, (3.1, -63), (3.2, -63)]).inside is False


def test_a_weak_moment_is_no_departure() -> None:
    beacon = fed(BeaconPresence(-70.0), [*steady(0, 10, -68), *steady(10.5, 13, -75)])
    assert beacon.inside is True
    assert fed(beacon, steady(13.5, 20, -68)).inside is True


def test_an_enter_is_dated_to_its_first_loud_packet_not_to_half_a_window_back() -> None:
    beacon = fed(BeaconPresence(-70.0), [*steady(0, 10, -90), *steady(10.5, 13, -68)])
    assert (beacon.inside, beacon.since) == (True, 10.5)


@pytest.mark.parametrize(("rssi", "seconds"), [(-76, 8), (-80, 6), (-90, 5)])
def test_the_weaker_the_sooner_left_and_dated_to_where_it_began(rssi: int, seconds: float) -> None:
    beacon = fed(BeaconPresence(-70.0), steady(0, 10, -68))
    decided = next(t for t, level in steady(10.5, 60, rssi)
                   if fed(beacon, [(t, level)]).inside is False)  # fmt: skip
    assert beacon.cause == "weak"
    assert decided - 10 == pytest.approx(seconds, abs=1)
    assert 10 <= beacon.since <= 12


def test_weak_now_and_then_never_adds_up() -> None:
    beacon = fed(BeaconPresence(-70.0), steady(0, 10, -68))
    for start in range(10, 600, 10):  # a shadow of 4 s in every 10
        fed(beacon, [*steady(start + 0.5, start + 4, -77), *steady(start + 4.5, start + 10, -68)])
    assert beacon.inside is True


def test_who_stayed_for_long_is_missed_for_longer() -> None:
    beacon = stayed()
    fed(beacon, steady(300.5, 330, -85))
    assert beacon.inside is True
    fed(beacon, steady(330.5, 480, -85))
    assert (beacon.inside, beacon.cause) == (False, "weak")
    assert 300 <= beacon.since <= 303


def stayed() -> BeaconPresence:
    """For five minutes."""
    return fed(BeaconPresence(-70.0), steady(0, 300, -68))


def test_who_stayed_for_long_and_speaks_from_elsewhere_is_missed_at_once() -> None:
    beacon = stayed()
    for t, rssi in steady(300.5, 310, -85):
        beacon.hear(t, rssi)
        beacon.measure(t)
        beacon.judge(t, elsewhere=True)
    assert (beacon.inside, beacon.cause) == (False, "weak")


def test_who_stayed_for_long_may_be_silent_for_a_minute() -> None:
    beacon = stayed()
    judge(beacon, 355)
    assert beacon.inside is True
    judge(beacon, 361)
    assert (beacon.inside, beacon.cause, beacon.since) == (False, "silent", 300.0)


@pytest.mark.parametrize(("away", "missed_for_long"), [(300, True), (1200, False)])
def test_who_is_back_soon_after_a_long_stay_stays_on(away: float, missed_for_long: bool) -> None:
    beacon = stayed()
    judge(beacon, 370)
    assert beacon.inside is False
    back = 370 + away
    fed(beacon, [*steady(back, back + 10, -68), *steady(back + 10.5, back + 25, -85)])
    assert beacon.inside is missed_for_long


def test_a_deaf_radio_does_not_make_a_long_stay_a_short_one() -> None:
    beacon = stayed()
    beacon.forget()
    assert beacon.inside is None
    beacon.resume(400)
    fed(beacon, steady(400, 415, -85))
    assert beacon.inside is None  # weak, but not for long enough
    fed(beacon, steady(415.5, 430, -68))
    assert beacon.inside is True


def test_at_the_neighbours_beacon_it_takes_more_to_be_here() -> None:
    alone, beside = BeaconPresence(-70.0), BeaconPresence(-70.0)
    for t, rssi in steady(0, 5, -70):
        alone.hear(t, rssi)
        beside.hear(t, rssi)
        judge(alone, t, rival=-5.0)
        judge(beside, t, rival=20.0)
    assert (alone.inside, beside.inside) == (True, False)


@pytest.mark.parametrize("window_of", [0.1, 0.5, 2.0, 10.5])
def test_leaving_needs_more_than_one_weak_packet_at_any_interval(window_of: float) -> None:
    beacon = fed(BeaconPresence(-70.0), steady(0, 20 * window_of, -68, window_of))
    fed(beacon, [(21 * window_of, -95), (22 * window_of, -68)])
    assert beacon.inside is True


@pytest.mark.parametrize(("interval", "limit"), [(0.1, 10.0), (1.0, 10.0), (2.0, 16.0)])
def test_silence_is_judged_by_the_interval_that_was_learned(interval: float, limit: float) -> None:
    beacon = fed(BeaconPresence(-70.0), steady(0, 60, -60, interval))
    judge(beacon, 60 + limit - 0.1)
    assert beacon.inside is True
    judge(beacon, 60 + limit + 0.2)
    assert beacon.since == pytest.approx(60)
    assert [beacon.inside, beacon.cause] == [False, "silent"]


def test_a_report_per_scan_cycle_suffices_to_enter_and_to_stay() -> None:
    """An adapter that filters duplicates reports a beacon once in 10.5 s."""
    beacon = fed(BeaconPresence(-70.0), steady(0, 42, -65, 10.5))
    assert (beacon.inside, beacon.since) == (True, 0.0)
    judge(beacon, 42 + 83)
    assert beacon.inside is True
    judge(beacon, 42 + 85)
    assert (beacon.inside, beacon.cause) == (False, "silent")


def test_a_deaf_scanner_leaves_the_state_unknown_until_it_hears_again() -> None:
    beacon = fed(BeaconPresence(-70.0), steady(0, 10, -60))
    beacon.forget()
    assert beacon.inside is None
    beacon.resume(600.0)
    judge(beacon, 605.0)
    assert beacon.inside is None
    fed(beacon, [(605.0, -73), (605.5, -73)])  # between the thresholds: still there
    assert beacon.inside is True


@pytest.mark.parametrize("packets", [[], steady(601, 606, -80)])
def test_after_deafness_a_departure_is_found_out(packets: list[tuple[float, int]]) -> None:
    beacon = fed(BeaconPresence(-70.0), steady(0, 10, -60))
    beacon.forget()
    beacon.resume(600.0)
    fed(beacon, packets)
    judge(beacon, 611.0)
    assert beacon.inside is False
    assert beacon.since >= 600


def test_outside_stays_outside_when_the_scanner_was_deaf() -> None:
    beacon = fed(BeaconPresence(-70.0), steady(0, 10, -90))
    beacon.forget()
    assert beacon.inside is False


@given(st.lists(st.integers(-126, 20), min_size=1, max_size=40))
def test_the_percentile_is_that_of_the_textbook(values: list[int]) -> None:
    ordered = sorted(values)
    position = 0.75 * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    expected = ordered[low] + (ordered[high] - ordered[low]) * (position - low)
    assert percentile75(ordered) == pytest.approx(expected)


@settings(max_examples=80)
@given(st.lists(st.tuples(st.floats(0.0, 20.0), st.integers(-110, -30)), max_size=60))
def test_states_change_forward_in_time_only(steps: list[tuple[float, int]]) -> None:
    beacon, now, since, inside = BeaconPresence(-70.0), 0.0, 0.0, False
    for gap, rssi in steps:
        now += gap
        beacon.hear(now, rssi)
        judge(beacon, now)
        if beacon.inside != inside:
            assert since <= beacon.since <= now
            since, inside = beacon.since, bool(beacon.inside)
        assert len(beacon._packets) <= HISTORY
