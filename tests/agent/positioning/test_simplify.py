"""The fewest fixes that tell a ride, held against every other choice and a slower optimum."""

from __future__ import annotations

from itertools import combinations, islice, pairwise
from math import hypot, inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.positioning.geodesy import offset_m
from agent.positioning.simplify import REACH, Point, simplify
from drivers.gps.track import read_track

EPS = 10.0
NEARLY = 1.0001  # this test measures on another plane


def at(t: float, east: float, north: float) -> Point:
    """Metres from a place on the equator, where degrees are equal in both directions."""
    return Point(t, north / 111195.0802, 121 + east / 111195.0802)


def off(points: list[Point], i: int, a: int, b: int) -> float:
    """Metres that fix i lies from the straight way between fixes a and b, at its time."""
    share = (points[i].t - points[a].t) / (points[b].t - points[a].t)
    lat = points[a].lat + share * (points[b].lat - points[a].lat)
    lon = points[a].lon + share * (points[b].lon - points[a].lon)
    return hypot(*offset_m(lat, lon, points[i].lat, points[i].lon))


def worst(points: list[Point], kept: list[int]) -> float:
    return max(
        (off(points, i, a, b) for a, b in pairwise(kept) for i in range(a + 1, b)),
        default=0.0,
    )


def optimum(points: list[Point], eps: float) -> int:
    """By the definition: the shortest path over segments that are within eps of all between."""
    best = [1, *(len(points) for _ in points[1:])]
    for a in range(len(points) - 1):
        for b in range(a + 1, min(len(points), a + 1 + REACH)):
            if best[b] > best[a] + 1 and all(off(points, i, a, b) <= eps for i in range(a + 1, b)):
                best[b] = best[a] + 1
    return best[-1]


metres = st.floats(-40, 40)
steps = st.tuples(st.floats(0.5, 20), metres, metres)


@st.composite
def rides(draw: st.DrawFn, most: int) -> list[Point]:
    t, points = 0.0, []
    for dt, east, north in draw(st.lists(steps, min_size=1, max_size=most)):
        t += dt
        points.append(at(t, east, north))
    return points


@given(rides(most=40), st.sets(st.integers(0, 39)), st.sampled_from([1.0, 10.0, 40.0]))
def test_what_is_left_out_is_near_and_what_must_be_kept_is(
    ride: list[Point], keep: set[int], eps: float
) -> None:
    keep = {i for i in keep if i < len(ride)}
    kept = simplify(ride, eps, keep)
    assert kept == sorted(set(kept))
    assert {0, len(ride) - 1} | keep <= set(kept)
    assert worst(ride, kept) <= eps * NEARLY


@given(rides(most=8), st.sets(st.integers(0, 7)))
def test_no_smaller_choice_would_do(ride: list[Point], keep: set[int]) -> None:
    keep = {i for i in keep if i < len(ride)} | {0, len(ride) - 1}
    kept = simplify(ride, EPS, keep)
    free = [i for i in range(len(ride)) if i not in keep]
    for size in range(len(kept) - len(keep)):
        for more in combinations(free, size):
            assert worst(ride, sorted({*keep, *more})) > EPS / NEARLY


@given(rides(most=30), st.sampled_from([3.0, 10.0, 30.0]))
def test_a_longer_ride_takes_as_few_as_the_definition(ride: list[Point], eps: float) -> None:
    count = len(simplify(ride, eps))
    assert optimum(ride, eps * NEARLY) <= count <= optimum(ride, eps / NEARLY)


def test_a_ride_with_a_long_stop_takes_as_few_as_the_definition() -> None:
    """Long enough for the search to ask samples first."""
    east = [7.0 * i for i in range(40)] + [280.0 + i % 7 for i in range(120)]
    east += [287 + 6.0 * i for i in range(40)]
    ride = [at(float(i), e, 9.0 * (i % 3)) for i, e in enumerate(east)]
    assert len(simplify(ride, EPS)) == optimum(ride, EPS)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_so_few_fixes_are_all_kept(count: int) -> None:
    assert simplify([at(float(i), 0, 0) for i in range(count)], EPS) == list(range(count))


def test_a_straight_ride_is_its_ends_and_a_stop_is_not_lost() -> None:
    straight = [at(float(i), 8.0 * i, 0) for i in range(100)]
    assert simplify(straight, EPS) == [0, 99]
    stop = [*straight, *(at(100.0 + i, 8.0 * 99, 0) for i in range(60))]
    assert len(simplify(stop, EPS)) == 3


def test_both_sides_of_a_gap_are_kept_and_of_a_clock_that_jumps_back() -> None:
    times = [0.0, 1.0, 2.0, 60.0, 61.0, 62.0, 50.0, 51.0, 52.0, 52.0]
    ride = [at(t, 0, 0) for t in times]
    assert simplify(ride, EPS) == [0, 2, 3, 5, 6, 8, 9]
    assert simplify(ride, EPS, gap_s=inf) == [0, 5, 6, 8, 9]


def test_a_ride_over_the_date_line_is_no_way_round_the_world() -> None:
    ride = [Point(float(i), 0.0, (179.9995 + i * 1e-5 + 180) % 360 - 180) for i in range(100)]
    assert simplify(ride, EPS) == [0, 99]


@pytest.mark.parametrize("files", ["google_mtv_f9k/*ublox*.gz", "genivi/*Z205*.gz"])
def test_a_recorded_ride_takes_as_few_as_the_definition(recordings: Path, files: str) -> None:
    track = read_track(next((recordings / "gps").glob(files)))
    placed = (Point(f.t, f.lat, f.lon) for f in track if f.lat is not None and f.lon is not None)
    ride = list(islice(placed, 300))
    assert len(ride) == 300
    count = len(simplify(ride, EPS, gap_s=inf))
    assert optimum(ride, EPS * NEARLY) <= count <= optimum(ride, EPS / NEARLY)
