"""The filter judges fixes by the motion so far."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from agent.positioning.geodesy import distance_m, moved
from agent.positioning.kalman import Filter
from drivers.base import Fix

HERE = (31.2304, 121.4737)


def fix(t: float, north: float, east: float = 0.0, **changes: float | None) -> Fix:
    """A rider going north at 8 m/s who is now so many metres off."""
    lat, lon = moved(*HERE, east, 8.0 * t + north)
    return Fix(t, 3, lat, lon, changes.get("speed", 8.0), changes.get("course", 0.0))


def riding(seconds: int = 20) -> Filter:
    state = Filter()
    for t in range(seconds):
        state.update(fix(t, 0.0))
    return state


def test_good_fixes_are_published_as_they_are() -> None:
    state = Filter()
    assert {state.update(fix(t, 0.5 * (-1) ** t)) for t in range(60)} == {"raw"}


def test_an_outlier_is_rejected_and_bridged() -> None:
    state = riding()
    assert state.update(fix(20, 150.0)) == "rejected"
    assert distance_m(state.lat, state.lon, *_at(20)) < 1.0
    assert state.update(fix(21, 0.0)) != "rejected"


def _at(t: float) -> tuple[float, float]:
    return moved(*HERE, 0.0, 8.0 * t)


def test_who_moves_on_from_another_place_is_believed_there() -> None:
    state = riding()
    verdicts = [state.update(fix(t, 150.0)) for t in range(20, 23)]
    assert verdicts == ["rejected", "rejected", "raw"]
    assert distance_m(state.lat, state.lon, *_at(22)) == pytest.approx(150, abs=1)


def standing(t: float, off: float) -> Fix:
    return replace(fix(t, off - 8.0 * t), speed=0.0, course=None)


def test_who_stands_elsewhere_is_believed_there_after_a_while() -> None:
    """A reflection keeps its place as well as the truth does, but no fix is doubted for ever."""
    state = Filter()
    for t in range(60):
        state.update(standing(t, 0.0))
    verdicts = [state.update(standing(t, 40.0)) for t in range(60, 240)]
    assert verdicts[:8] == ["rejected"] * 8
    assert distance_m(state.lat, state.lon, *moved(*HERE, 0.0, 40.0)) < 10


def test_a_reflection_at_a_red_light_hardly_moves_the_rider() -> None:
    state = Filter()
    for t in range(60):
        state.update(standing(t, 0.0))
    for t in range(60, 80):
        state.update(standing(t, 12.0))
    assert distance_m(state.lat, state.lon, *HERE) < 6


def test_a_velocity_of_a_bad_moment_is_not_believed() -> None:
    state = riding()
    state.update(fix(20, 2.0, speed=25.0, course=90.0))
    assert abs(state.vx) < 2.0


def test_the_first_fix_is_corrected_by_those_that_follow() -> None:
    """A receiver that has just found back is still settling."""
    state = Filter()
    state.update(fix(0, 60.0))
    for t in range(1, 4):
        state.update(fix(t, 0.0))
    assert distance_m(state.lat, state.lon, *_at(3)) < 8


def test_after_a_gap_the_filter_begins_anew() -> None:
    state = riding()
    assert state.update(fix(40, 300.0)) == "raw"


def test_noise_of_a_street_canyon_is_filtered() -> None:
    random, state, raw, filtered = Random(7), Filter(), [], []
    for t in range(300):
        reading = fix(t, random.gauss(0, 9), random.gauss(0, 9))
        assert reading.lat is not None
        assert reading.lon is not None
        state.update(reading)
        raw.append(distance_m(reading.lat, reading.lon, *_at(t)))
        filtered.append(distance_m(state.lat, state.lon, *_at(t)))
    assert sum(filtered[60:]) < 0.6 * sum(raw[60:])


@pytest.mark.parametrize(
    ("speed", "course", "wanted"), [(8.0, None, 8.0), (None, None, 8.0), (0.1, None, 0.0)]
)
def test_velocity_is_found_without_a_course(
    speed: float | None, course: None, wanted: float
) -> None:
    state = Filter()
    for t in range(30):
        reading = fix(t, -8.0 * t if wanted == 0 else 0.0, speed=speed, course=course)
        state.update(reading)
    assert state.speed == pytest.approx(wanted, abs=0.3)
    assert state.sigma < 3.0


@pytest.mark.parametrize("speed", [3.0, 8.0, 20.0])
def test_a_receiver_that_always_says_0_is_followed_all_the_same(speed: float) -> None:
    state = Filter()
    for t in range(180):
        lat, lon = moved(*HERE, 0.0, speed * t)
        state.update(Fix(float(t), 3, lat, lon, 0.0))
        if t > 45:
            assert distance_m(state.lat, state.lon, lat, lon) < 15
