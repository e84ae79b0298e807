"""Moving or standing, with hysteresis."""

from __future__ import annotations

import pytest

from agent.positioning.stops import Stops

M = 1 / 111_195


@pytest.mark.parametrize(
    ("speeds", "wanted"),
    [
        ([5, 5, 5], "mmm"),
        ([5, 0, 0, 0, 0, 0], "mmmmss"),  # 3 s under 0.5 m/s
        ([0, 0, 0.6, 0, 0, 0, 0], "mmmmmms"),
        ([0, 0, 0, 0, 1.0, 1.0, 1.0], "mmmssss"),
        ([0, 0, 0, 0, 2.0, 0, 2.0, 2.0], "mmmssssm"),  # twice over 1.2 m/s
    ],
)
def test_speed_decides(speeds: list[float], wanted: str) -> None:
    stops = Stops()
    said = "".join("m" if stops.react(t, 31.0, 121.0, v) else "s" for t, v in enumerate(speeds))
    assert said == wanted


def test_ten_metres_from_the_stop_is_moving_whatever_the_speed() -> None:
    stops = Stops()
    for t in range(5):
        stops.react(t, 31.0, 121.0, 0.0)
    assert not stops.react(5, 31.0 + 9 * M, 121.0, 0.0)
    assert stops.react(6, 31.0 + 11 * M, 121.0, 0.0)
