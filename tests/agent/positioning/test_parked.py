"""A parked kit is quiet, though reflections let its fixes wander.

The wander is made up after recordings at rest: a slow drift of some metres and, by houses, jumps
of 8 m on average that stay for 20 s, while the receiver measures some centimetres a second.
"""

from __future__ import annotations

from math import cos, exp, pi, sin, sqrt
from random import Random

import pytest

from agent.positioning.geodesy import distance_m, moved
from agent.positioning.profiles import profile
from agent.positioning.reporting import Reporting
from agent.positioning.tracker import Tracker
from drivers.base import Fix

HERE = (31.2304, 121.4737)
DRIFT_S = 100.0  # over which the drift forgets
JUMP_EVERY_S, JUMP_S, JUMP_M = 120.0, 20.0, 8.0


def parked(seed: int, *, hours: float, drift_m: float, among_houses: bool) -> list[Fix]:
    random, fixes = Random(seed), []
    keep = exp(-1 / DRIFT_S)
    x = y = jump_x = jump_y = until = 0.0
    for t in range(int(hours * 3600)):
        x = keep * x + random.gauss(0, drift_m * sqrt(1 - keep * keep))
        y = keep * y + random.gauss(0, drift_m * sqrt(1 - keep * keep))
        if t >= until:
            jump_x = jump_y = 0.0
            if among_houses and random.random() < 1 / JUMP_EVERY_S:
                far, where = random.expovariate(1 / JUMP_M), random.uniform(0, 2 * pi)
                jump_x, jump_y = far * cos(where), far * sin(where)
                until = t + random.expovariate(1 / JUMP_S)
        lat, lon = moved(
            *HERE, x + jump_x + random.gauss(0, 0.3), y + jump_y + random.gauss(0, 0.3)
        )
        speed, course = abs(random.gauss(0, 0.03)), random.uniform(0, 360)
        fixes.append(Fix(float(t), 3, lat, lon, speed, course))
    return fixes


@pytest.mark.parametrize(("drift_m", "among_houses"), [(1.0, False), (2.5, False), (2.5, True)])
def test_a_parked_kit_sends_heartbeats_and_at_most_one_message_more_an_hour(
    drift_m: float, *, among_houses: bool
) -> None:
    hours, extra = 1.0, 0
    for seed in range(3):
        tracker, reporting = Tracker(), Reporting(profile("seed", moving_s=0, still_s=0))
        for fix in parked(seed, hours=hours, drift_m=drift_m, among_houses=among_houses):
            estimate = tracker.react(fix)
            assert estimate is not None
            extra += reporting.react(estimate) is not None
        extra -= 1  # the first
    assert extra <= 3 * hours


def test_a_parked_kit_is_shown_where_it_stands() -> None:
    tracker = Tracker()
    errors = []
    for fix in parked(1, hours=1.0, drift_m=2.5, among_houses=True):
        estimate = tracker.react(fix)
        assert estimate is not None
        errors.append(distance_m(*HERE, estimate.lat, estimate.lon))
    assert sorted(errors)[int(0.95 * len(errors))] < 8
    assert max(errors) < 12


def test_who_drives_off_is_told_of_within_seconds() -> None:
    tracker, reporting = Tracker(), Reporting(profile("seed", still_s=0))
    for fix in parked(1, hours=0.2, drift_m=1.0, among_houses=False):
        estimate = tracker.react(fix)
        assert estimate is not None
        reporting.react(estimate)
    reasons = []
    for t in range(1, 8):
        lat, lon = moved(*HERE, 0.0, 1.0 * t * t)
        estimate = tracker.react(Fix(720.0 + t, 3, lat, lon, 2.0 * t, 0.0))
        assert estimate is not None
        if (report := reporting.react(estimate)) is not None:
            reasons.append((t, report.reason))
    assert reasons[0][1] == "start"
    assert reasons[0][0] <= 4
