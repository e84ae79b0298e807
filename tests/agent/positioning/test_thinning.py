"""What stays of a backlog of position messages."""

from __future__ import annotations

from typing import Any

import msgspec

from agent.contract.events import Position
from agent.positioning.thinning import thin


def body(t: float, east: float = 0.0, **more: Any) -> bytes:
    fields = {
        "lat": 0.0, "lon": east / 111195.08, "acc": 5.0, "speed": 6.0, "course": 90.0,
        "fix_t": int(t * 1000), "reason": "moved", "profile": "seed", "datum": "wgs84",
    } | more  # fmt: skip
    return msgspec.json.encode(Position(**fields))


STRAIGHT = [body(15.0 * i, 90.0 * i) for i in range(100)]


def test_a_straight_ride_is_its_ends() -> None:
    assert thin(STRAIGHT, [], 10) == [0, 99]


def test_a_fence_is_kept() -> None:
    ride = [*STRAIGHT[:50], body(750, 4500, reason="fence"), *STRAIGHT[51:]]
    assert thin(ride, [], 10) == [0, 50, 99]


def test_the_messages_around_a_moment_are_kept() -> None:
    assert thin(STRAIGHT, [100_000], 10) == [0, 6, 7, 99]
    assert thin(STRAIGHT, [-5, 10_000_000], 10) == [0, 99]


def test_a_long_stop_keeps_its_begin_and_its_end_and_a_traffic_light_does_not() -> None:
    for seconds, kept in ((120, [0, 2, 5, 6]), (30, [0, 6])):
        stop = [body(30 + i * seconds / 3, 12, speed=0.0) for i in range(3)]
        ride = [body(0), body(15, 6), *stop, body(30 + seconds, 12), body(45 + seconds, 18)]
        assert thin(ride, [], 40) == kept


def test_no_line_leads_over_a_silence_of_the_receiver_or_a_clock_set_back() -> None:
    for later in (1000.0, -1000.0):
        ride = [body(0), body(15), body(30), body(later), body(later + 15), body(later + 30)]
        assert thin(ride, [], 10) == [0, 2, 3, 5]


def test_no_line_leads_from_one_map_to_the_other() -> None:
    ride = [body(15.0 * i, datum="wgs84" if i < 3 else "gcj02") for i in range(6)]
    assert thin(ride, [], 10) == [0, 2, 3, 5]
