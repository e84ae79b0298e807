"""What the server hears, and that its own picture is never wrong by more than was agreed."""

from __future__ import annotations

import json
from dataclasses import replace
from math import cos, degrees, radians, sin
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.contract.wire import encode_body
from agent.positioning.geodesy import distance_m, moved
from agent.positioning.message import position_body
from agent.positioning.profiles import PROFILES, Profile, profile, profile_for
from agent.positioning.reporting import Reporting
from agent.positioning.tracker import Estimate
from drivers.base import Fix

HERE = (31.2304, 121.4737)
QUIET = profile("seed", moving_s=0, still_s=0)


def estimate(
    t: float,
    north: float = 0.0,
    east: float = 0.0,
    *,
    speed: float = 0.0,
    course: float | None = None,
    moving: bool = True,
) -> Estimate:
    lat, lon = moved(*HERE, east, north)
    return Estimate(t, lat, lon, speed, course, 3.0, moving, "raw", Fix(t, 3, lat, lon))


def reasons(reporting: Reporting, estimates: list[Estimate]) -> list[str]:
    return [report.reason if (report := reporting.react(e)) else "" for e in estimates]


def north(t: float, speed: float, *, off: float = 0.0) -> Estimate:
    return estimate(t, speed * t, off, speed=speed, course=0.0)


def test_a_straight_ride_needs_one_message() -> None:
    assert reasons(Reporting(QUIET), [north(t, 8.0) for t in range(60)]) == ["wake"] + [""] * 59


def test_heartbeats_come_at_their_times() -> None:
    moving = reasons(Reporting(PROFILES["seed"]), [north(t, 8.0) for t in range(31)])
    assert [t for t, reason in enumerate(moving) if reason == "heartbeat"] == [15, 30]
    still = reasons(Reporting(PROFILES["seed"]), [estimate(t, moving=False) for t in range(241)])
    assert [t for t, reason in enumerate(still) if reason] == [0, 120, 240]


def test_reasons() -> None:
    reporting = Reporting(QUIET)
    assert reasons(reporting, [estimate(0, moving=False)]) == ["wake"]
    assert reasons(reporting, [north(5, 2.2)]) == ["start"]
    assert reasons(reporting, [estimate(9, 40, speed=6.0, course=10.0)]) == ["moved"]
    assert reasons(reporting, [estimate(13, 50, 30, speed=6.0, course=100.0)]) == ["turned"]
    assert reasons(reporting, [estimate(13.5, 50, 33, moving=False)]) == ["stop"]
    assert reasons(reporting, [estimate(60, 50, 33, moving=False)]) == ["wake"]


def test_a_stop_is_told_once_and_only_if_the_server_thinks_otherwise() -> None:
    reporting = Reporting(QUIET)
    reporting.react(north(0, 0.9))
    stopped = [estimate(t, 1.0, moving=False) for t in range(1, 100)]
    assert [reason for reason in reasons(reporting, stopped) if reason] == ["stop"]
    calm = Reporting(QUIET)
    calm.react(estimate(0, speed=0.3, course=None))
    assert not any(reasons(calm, [estimate(t, moving=False) for t in range(1, 29)]))


def test_what_is_forced_is_the_only_message_about_that_estimate() -> None:
    reporting = Reporting(PROFILES["seed"])
    reporting.react(north(0, 8.0))
    here = estimate(5, 60, 40, speed=8.0, course=90.0)
    assert reporting.force(here, "fence").reason == "fence"
    assert reporting.react(here) is None


def test_a_rider_who_turns_is_expected_to_go_on_turning() -> None:
    reporting = Reporting(QUIET)
    for t, course in enumerate((0.0, 20.0)):
        report = reporting.react(estimate(t, 30.0 * t, speed=8.0, course=course))
    assert report is not None
    assert report.course == 40.0


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_profiles_can_be_changed_singly(name: str) -> None:
    changed = profile(name, still_s=0)
    assert changed.still_s == 0
    assert changed.max_error_m == PROFILES[name].max_error_m


def test_an_unknown_profile_is_the_callers_mistake() -> None:
    with pytest.raises(KeyError):
        profile("sead")


def server_belief(message: dict[str, float], now: float) -> tuple[float, float]:
    """The back end's own arithmetic, from what travelled and nothing else."""
    lat, lon, speed, course = (message[k] for k in ("lat", "lon", "speed", "course"))
    if not speed or course is None:
        return lat, lon
    s, radius = speed * (now - message["fix_t"] / 1000), 6371008.8
    lat1 = lat + degrees(s * cos(radians(course)) / radius)
    return lat1, lon + degrees(s * sin(radians(course)) / (radius * cos(radians(lat))))


@given(
    st.integers(0, 10_000),
    st.sampled_from(["seed", "economy"]),
    st.sampled_from([1.0, 0.2]),
    st.sampled_from([0.0, 31.2304, -52.0, 69.9]),
)
@settings(max_examples=40, deadline=None)
def test_the_server_is_never_wrong_by_more_than_was_agreed(
    seed: int, name: str, step: float, lat: float
) -> None:
    """Rides of any kind; the server has only the bytes that were published."""
    random, rules = Random(seed), PROFILES[name]
    reporting, message = Reporting(rules), None
    lon, speed, course, t = random.uniform(-179, 179), 0.0, random.uniform(0, 360), 1.8e9
    for _ in range(300):
        t += step * random.choice([1, 1, 1, 2, 7])
        speed = min(max(0.0, speed + random.gauss(0, 2)), 30.0)
        course = (course + random.gauss(0, 25)) % 360
        lat, lon = moved(lat, lon, random.gauss(0, 3) + speed * step, random.gauss(0, 3))
        known = course if random.random() < 0.9 else None
        now = Estimate(t, lat, lon, speed, known, 3.0, speed > 0.5, "raw", Fix(t, 3, lat, lon))
        report = reporting.react(now)
        if report is not None:
            body = position_body(report, fix_t=report.t, profile=name)
            message = json.loads(encode_body(body))
        assert message is not None
        assert distance_m(*server_belief(message, t), lat, lon) <= rules.max_error_m


def test_a_custom_limit_is_kept() -> None:
    reporting = Reporting(Profile("mine", 3.0, 0, 0))
    assert reasons(reporting, [north(0, 5.0), north(1, 5.0, off=2.9), north(2, 5.0, off=3.1)]) == [
        "wake",
        "",
        "moved",
    ]


@pytest.mark.parametrize(
    ("base", "battery", "override", "wanted"),
    [
        ("seed", None, None, "seed"),
        ("seed", 0.21, None, "seed"),
        ("seed", 0.2, None, "economy"),
        ("seed", 0.05, "live", "live"),  # somebody is looking
        ("distance50", 0.05, None, "distance50"),  # is coarser anyway
        ("economy", 1.0, "seed", "seed"),
    ],
)
def test_the_profile_of_the_moment(
    base: str, battery: float | None, override: str | None, wanted: str
) -> None:
    asked = PROFILES[override] if override else None
    assert profile_for(PROFILES[base], battery=battery, override=asked).name == wanted


def test_live_tells_every_fix() -> None:
    reporting = Reporting(PROFILES["live"])
    assert all(reasons(reporting, [north(t, 8.0) for t in range(20)]))


def test_a_message_serves_estimate_and_fix_where_they_differ() -> None:
    reporting = Reporting(QUIET)
    reporting.react(north(0, 8.0))
    here = estimate(5, 40.0, speed=8.0, course=0.0)
    lat, lon = moved(*HERE, 14.0, 40.0)
    here = replace(here, verdict="filtered", fix=Fix(5.0, 3, lat, lon))
    report = reporting.react(here)
    assert report is not None
    assert report.reason == "moved"
    assert distance_m(report.lat, report.lon, lat, lon) < 10
    assert distance_m(report.lat, report.lon, here.lat, here.lon) < 10


@pytest.mark.parametrize(("off", "moving"), [(25.0, True), (8.0, False)])
def test_a_fix_that_the_estimate_refutes_is_not_followed(off: float, *, moving: bool) -> None:
    reporting = Reporting(QUIET)
    reporting.react(estimate(0, moving=moving))
    lat, lon = moved(*HERE, off, 0.0)
    now = replace(estimate(1, moving=moving), verdict="filtered", fix=Fix(1.0, 3, lat, lon))
    assert reporting.react(now) is None
