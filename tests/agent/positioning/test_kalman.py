"""The filter judges fixes by the motion so far."""

from __future__ import annotations

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


def test_who_stays_at_the_other_place_is_believed_there() -> None:
    state = riding()
    verdicts = [state.update(fix(t, 150.0)) for t in range(20, 24)]
    assert verdicts == ["rejected", "rejected", "rejected", "raw"]
    assert distance_m(state.lat, state.lon, *_at(23)) == pytest.approx(150, abs=1)


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
