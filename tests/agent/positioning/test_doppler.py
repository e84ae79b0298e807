"""What a receiver's own velocity proves."""

from __future__ import annotations

import pytest

from agent.positioning.doppler import Steps, doppler
from agent.positioning.geodesy import moved
from drivers.base import Fix

HERE = (31.2304, 121.4737)


def fix(t: float, north: float, speed: float | None, course: float | None = 0.0) -> Fix:
    lat, lon = moved(*HERE, 0.0, north)
    return Fix(t, 3, lat, lon, speed, course)


@pytest.mark.parametrize(
    ("speed", "course", "wanted"),
    [(None, 90.0, None), (0.1, None, (0.0, 0.0)), (5.0, None, None), (5.0, 90.0, (5.0, 0.0))],
)
def test_a_velocity_needs_a_course_unless_at_rest(
    speed: float | None, course: float | None, wanted: tuple[float, float] | None
) -> None:
    assert doppler(fix(0, 0, speed, course)) == (wanted and pytest.approx(wanted))


def test_steps_that_go_as_the_velocity_says_are_steady() -> None:
    steps = Steps()
    found = [steps.react(fix(t, 8.0 * t, 8.0), (0, 0)).steady for t in range(4)]
    assert found == [False, False, True, True]
    assert not steps.react(fix(4, 60.0, 8.0), (0, 0)).steady
    assert not steps.react(fix(20, 160.0, 8.0), (0, 0)).steady  # after a gap it begins anew


def test_who_rests_has_measured_it_twice() -> None:
    steps = Steps()
    assert not steps.react(fix(0, 0, 0.1), (0, 0)).resting
    assert steps.react(fix(1, 0, 0.1), (0, 0)).resting
    assert steps.react(fix(2, 12, 0.1), (0, 0)).resting  # a reflection
    assert not steps.react(fix(3, 12, None), (0, 0)).resting  # not measured


def test_a_velocity_that_the_steps_contradict_for_long_is_not_believed() -> None:
    steps = Steps()
    believed = [steps.react(fix(t, 5.0 * t, 0.0), (0, 0)).velocity is not None for t in range(60)]
    assert believed[0]
    assert not any(believed[20:])
    back = [steps.react(fix(60 + t, 295 + 5 * t, 5.0), (0, 0)).velocity for t in range(90)]
    assert back[-1] == pytest.approx((0.0, 5.0))


def test_reflections_do_not_discredit_a_velocity() -> None:
    steps = Steps()
    for t in range(120):
        off = 30.0 if t % 20 < 5 else 0.0
        assert steps.react(fix(t, 8.0 * t + off, 8.0), (0, 0)).velocity is not None


def test_a_fast_receiver_is_not_sooner_believed() -> None:
    steps = Steps()
    found = [steps.react(fix(t / 10, 0.8 * t, 8.0), (0, 0)).steady for t in range(30)]
    assert not any(found[:19])
    assert found[-1]
