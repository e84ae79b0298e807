from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.arrival.geofence import HYSTERESIS_M, Circle, Crossing, Geofence, Polygon
from agent.positioning.geodesy import moved

SHOP = Circle("shop-021", 31.2304, 121.4737, 100.0)
METRE = 1 / 111_195.0  # degrees of latitude


@dataclass(frozen=True)
class Seen:
    t: float
    lat: float
    lon: float = 121.4737
    acc: float | None = 5.0
    speed: float | None = None


def at(t: float, distance: float, acc: float | None = 5.0) -> Seen:
    return Seen(t, SHOP.lat + distance * METRE, acc=acc)


def crossings(*seen: Seen) -> list[Crossing]:
    fence = Geofence(SHOP)
    found = [fence.see(estimate) for estimate in seen]
    return [crossing for crossing in found if crossing is not None]


def test_two_fixes_inside_enter_dated_to_the_first() -> None:
    (crossing,) = crossings(at(0, 150), at(1, 90), at(2, 80))
    assert (crossing.event, crossing.t) == ("enter", 1)
    assert crossing.distance_m == pytest.approx(90, abs=0.1)


@pytest.mark.parametrize(
    "seen",
    [
        [at(0, 150), at(1, 90), at(2, 150), at(3, 90)],  # a single fix each time
        [at(0, 90), at(0.2, 90)],  # two of one moment share their error
        [at(0, 90, acc=400), at(5, 90, acc=400)],  # cell-tower fixes
        [at(0, 101), at(1, 102)],
    ],
)
def test_doubtful_fixes_do_not_enter(seen: list[Seen]) -> None:
    assert crossings(*seen) == []


def test_starting_inside_is_entering() -> None:
    assert [c.event for c in crossings(at(0, 10), at(1, 10))] == ["enter"]


def test_wandering_on_the_edge_enters_once() -> None:
    edge = [at(n, 100 + (-1) ** (n // 2) * 0.9 * HYSTERESIS_M) for n in range(100)]
    assert [c.event for c in crossings(*edge)] == ["enter"]


def test_leaving_needs_two_fixes_beyond_the_hysteresis() -> None:
    seen = [at(0, 10), at(1, 10), at(2, 130), at(3, 10), at(4, 130), at(5, 140)]
    enter, leave = crossings(*seen)
    assert (enter.event, leave.event, leave.t) == ("enter", "leave", 4)
    assert leave.distance_m == pytest.approx(130, abs=0.1)


@pytest.mark.parametrize(
    ("distance", "acc", "excluded"),
    [(2000, 10, True), (2000, None, True), (260, 10, False), (2000, 900, False), (0, 5, False)],
)
def test_only_a_sure_and_far_position_excludes_the_place(
    distance: float, acc: float | None, excluded: bool
) -> None:
    assert Geofence(SHOP).excludes(at(0, distance, acc)) is excluded


@settings(max_examples=80)
@given(st.lists(st.tuples(st.floats(0.1, 30), st.floats(0, 500)), max_size=80))
def test_enter_and_leave_alternate(steps: list[tuple[float, float]]) -> None:
    now, seen = 0.0, []
    for gap, distance in steps:
        now += gap
        seen.append(at(now, distance))
    found = crossings(*seen)
    words = [crossing.event for crossing in found]
    assert words == ["enter", "leave"] * (len(words) // 2) + ["enter"] * (len(words) % 2)
    assert [c.t for c in found] == sorted(c.t for c in found)


def place(north: float, east: float = 0.0) -> tuple[float, float]:
    return moved(SHOP.lat, SHOP.lon, east, north)


# An L of two wings, 100 m wide each: its inner corner is at (0, 0), the centre of no circle.
YARD = Polygon(
    "yard",
    tuple(place(*c) for c in [(0, 0), (0, 200), (-100, 200), (-100, -100), (200, -100), (200, 0)]),
)


@pytest.mark.parametrize(
    ("north", "east", "outside"),
    [
        (-50, -50, -50.0),
        (-50, 100, -50.0),
        (50, 50, 50.0),  # in the bay
        (10, 100, 10.0),
        (-90, 100, -10.0),
        (230, -140, 50.0),  # off a corner
        (-50, 300, 100.0),
    ],
)
def test_metres_from_the_edge_of_a_polygon(north: float, east: float, outside: float) -> None:
    assert YARD.outside_m(*place(north, east)) == pytest.approx(outside, abs=0.2)


def test_a_polygon_is_entered_and_left_like_a_circle() -> None:
    fence = Geofence(YARD)
    path = [(50, 50), (-50, 50), (-50, 60), (9, 60), (9, 60), (20, 60), (21, 60)]
    found = [fence.see(Seen(t, *place(north, east))) for t, (north, east) in enumerate(path)]
    assert [c and (c.event, c.t) for c in found if c] == [("enter", 1), ("leave", 5)]


@given(
    north=st.floats(-300, 300),
    east=st.floats(-300, 300),
    turn=st.integers(0, 5),
    back=st.booleans(),
)
def test_the_edge_does_not_depend_on_where_a_polygon_begins(
    north: float, east: float, turn: int, *, back: bool
) -> None:
    corners = YARD.corners[turn:] + YARD.corners[:turn]
    other = Polygon("yard", corners[::-1] if back else corners)
    here = place(north, east)
    assert other.outside_m(*here) == pytest.approx(YARD.outside_m(*here), abs=0.05)
    assert other.radius_m == pytest.approx(YARD.radius_m, rel=1e-3)


def test_who_stays_dwells_once_for_each_time_inside() -> None:
    fence = Geofence(replace(SHOP, dwell_s=60.0))
    seen = [at(t, 10 if t % 300 < 200 else 200) for t in range(600)]
    found = [(c.event, c.t) for c in map(fence.see, seen) if c is not None]
    assert found == [
        ("enter", 0),
        ("dwell", 60),
        ("leave", 200),
        ("enter", 300),
        ("dwell", 360),
        ("leave", 500),
    ]


def test_a_pause_in_the_fixes_does_not_end_a_dwelling() -> None:
    fence = Geofence(replace(SHOP, dwell_s=60.0))
    seen = [at(0, 10), at(1, 10), at(2, 105), at(90, 10)]
    assert [c.event for c in map(fence.see, seen) if c is not None] == ["enter", "dwell"]
