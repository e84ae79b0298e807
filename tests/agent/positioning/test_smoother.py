"""Hindsight: closer to the truth, told in fewer points."""

from __future__ import annotations

from math import cos, pi, sin
from random import Random

import pytest

from agent.positioning.backlog import Backlog
from agent.positioning.geodesy import distance_m, moved
from agent.positioning.reporting import Report
from agent.positioning.smoother import smooth
from agent.positioning.trace import CHUNK_S, Trace
from agent.positioning.tracker import Tracker
from drivers.base import Fix

HERE = (31.2304, 121.4737)


def ride(seconds: int, sigma_m: float, seed: int = 1) -> list[tuple[Fix, tuple[float, float]]]:
    """Around a block of houses at 8 m/s: fixes and where the rider really was."""
    random, found = Random(seed), []
    for t in range(seconds):
        angle = 2 * pi * t / 120
        true = moved(*HERE, 150 * sin(angle), 150 * cos(angle))
        lat, lon = moved(*true, random.gauss(0, sigma_m), random.gauss(0, sigma_m))
        speed, course = 150 * 2 * pi / 120, (90 + 3 * t) % 360
        found.append((Fix(float(t), 3, lat, lon, speed, course), true))
    return found


def tracked(fixes: list[Fix]) -> Trace:
    tracker, trace = Tracker(), Trace()
    for fix in fixes:
        estimate = tracker.react(fix)
        assert estimate is not None
        trace.add(estimate, tracker.state)
    return trace


def test_hindsight_is_closer_to_the_truth_than_the_moment() -> None:
    found = ride(600, 8.0)
    trace = tracked([fix for fix, _ in found])
    live = [
        distance_m(*true, e.lat, e.lon)
        for (_, true), (e, _) in zip(found, trace._track, strict=True)
    ]
    after = [
        distance_m(*true, e.lat, e.lon)
        for (_, true), e in zip(found, smooth(trace._track), strict=True)
    ]
    assert sum(after) < 0.8 * sum(live)
    assert [e.t for e in smooth(trace._track)] == [fix.t for fix, _ in found]


def test_good_fixes_stay_what_they_are() -> None:
    found = ride(300, 0.5)
    trace = tracked([fix for fix, _ in found])
    for (fix, _), smoothed in zip(found, smooth(trace._track), strict=True):
        assert fix.lat is not None
        assert fix.lon is not None
        assert distance_m(fix.lat, fix.lon, smoothed.lat, smoothed.lon) < 2.0


def test_nothing_is_drawn_across_a_gap() -> None:
    early, late = ride(60, 0.5), ride(60, 0.5)
    far = [
        Fix(fix.t + 600, 3, *moved(*true, 5000.0, 0.0), fix.speed, fix.course) for fix, true in late
    ]
    trace = tracked([fix for fix, _ in early] + far)
    for estimate in smooth(trace._track):
        true = HERE if estimate.t < 100 else moved(*HERE, 5000.0, 0.0)
        assert distance_m(*true, estimate.lat, estimate.lon) < 160
    last_before = [report for report, _ in trace.told(10.0) if report.t < 100][-1]
    assert last_before.speed == pytest.approx(7.85, abs=0.5)  # its own, not towards the far place


@pytest.mark.parametrize("eps_m", [5.0, 10.0, 30.0])
def test_a_server_that_extrapolates_the_trace_is_within_the_limit_of_all_fixes(
    eps_m: float,
) -> None:
    found = ride(900, 1.0)
    trace = tracked([fix for fix, _ in found])
    reports = [report for report, _ in trace.told(eps_m)]
    assert len(reports) < 900 / 8
    for estimate in smooth(trace._track):
        known = [report for report in reports if report.t <= estimate.t][-1]
        at = known.believed_at(estimate.t)
        assert distance_m(*at, estimate.lat, estimate.lon) <= eps_m


def test_moments_and_long_stops_are_kept_in_their_place() -> None:
    tracker, trace = Tracker(), Trace()
    for t in range(300):
        north = 8.0 * min(t, 100) + 8.0 * max(0, t - 220)
        lat, lon = moved(*HERE, 0.0, north)
        stands = 100 < t <= 220
        estimate = tracker.react(Fix(float(t), 3, lat, lon, 0.0 if stands else 8.0, 0.0))
        assert estimate is not None
        trace.add(estimate, tracker.state)
    trace.mark(50.0, "fence")
    reports = {report.t: report for report, _ in trace.told(10.0)}
    assert reports[50.0].reason == "fence"
    assert distance_m(reports[50.0].lat, reports[50.0].lon, *moved(*HERE, 0.0, 400.0)) < 1
    stops = [t for t, report in reports.items() if report.speed < 0.5 and 100 < t < 220]
    assert stops


def test_a_backlog_is_told_anew_every_quarter_of_an_hour_without_a_link() -> None:
    tracker, backlog, chunks = Tracker(), Backlog(), []
    for n, (fix, _) in enumerate(ride(2000, 1.0)):
        estimate = tracker.react(fix)
        assert estimate is not None
        if n % 10 == 0:
            backlog.recorded(n, Report(estimate.t, 0, 0, 0, None, 1, "moved"))
        chunk = backlog.add(estimate, tracker.state, waits=n > 99)
        if chunk is not None:
            chunks.append(chunk)
    assert [chunk.old[0][0] for chunk in chunks] == [100, 1010]
    times = [[report.t for report, _ in chunk.trace.told(10.0)] for chunk in chunks]
    assert times[0][0] == 100.0
    assert times[0][-1] == times[1][0] - 1 == 100.0 + CHUNK_S
