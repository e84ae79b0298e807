"""Standing and riding off, told by places alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from agent.positioning.geodesy import distance_m, moved
from agent.positioning.profiles import profile
from agent.positioning.reporting import Reporting
from agent.positioning.resting import Resting
from agent.positioning.tracker import Tracker
from drivers.base import Fix
from tests.agent.positioning.test_parked import HERE, parked


def stands(metres: Sequence[float]) -> list[bool]:
    """A fix a second, so many metres north."""
    rest = Resting()
    return [rest.react(float(t), *moved(*HERE, 0.0, m)) for t, m in enumerate(metres)]


@pytest.mark.parametrize(
    ("metres", "rests"),
    [
        ([0.0] * 30, True),
        ([0.0] * 10, False),  # not yet
        ([0.0] * 20 + [9.0] * 10, True),  # a reflection
        ([0.0] * 20 + [9.0] * 2 + [0.0] * 3, True),  # there and back
        ([0.0] * 20 + [0.5, 2.0, 4.5, 8.0], False),  # 1 m/s2
        ([0.0] * 20 + [1.5 * n for n in range(5)], False),  # at a walk
        ([6.0 * n for n in range(30)], False),
    ],
)
def test_a_jump_is_no_ride(metres: Sequence[float], *, rests: bool) -> None:
    assert stands(metres)[-1] is rests


def blind(fixes: Sequence[Fix]) -> list[Fix]:
    """Without what the receiver measured of its velocity."""
    return [replace(fix, speed=None, course=None) for fix in fixes]


def test_who_parks_among_houses_without_a_velocity_is_told_of_about_once_an_hour() -> None:
    extra = 0
    for seed in range(6):
        tracker, reporting = Tracker(), Reporting(profile("seed", moving_s=0, still_s=0))
        for fix in blind(parked(seed, hours=1.0, drift_m=2.5, among_houses=True)):
            estimate = tracker.react(fix)
            assert estimate is not None
            extra += reporting.react(estimate) is not None
        extra -= 1  # the first
    assert extra <= 6


@pytest.mark.parametrize("acceleration", [0.5, 1.0, 2.0, 3.0])
def test_who_then_rides_off_is_never_more_than_the_limit_away(acceleration: float) -> None:
    tracker, reporting, report = Tracker(), Reporting(profile("seed", still_s=0)), None
    numbers = Random(1)
    ride = [
        Fix(720.0 + t, 3, *moved(*HERE, numbers.gauss(0, 0.3), acceleration * t * t / 2))
        for t in range(20)
    ]
    for fix in [*blind(parked(1, hours=0.2, drift_m=1.0, among_houses=False)), *ride]:
        estimate = tracker.react(fix)
        assert estimate is not None
        report = reporting.react(estimate) or report
        assert report is not None
        assert fix.lat is not None
        assert fix.lon is not None
        assert distance_m(*report.believed_at(fix.t), fix.lat, fix.lon) <= 10.02
