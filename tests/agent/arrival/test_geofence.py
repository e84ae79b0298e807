from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.arrival.geofence import HYSTERESIS_M, Circle, Crossing, Geofence

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
