from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.arrival.contest import ALONE_DBS, BESIDE_DBS, HELD, Contest


def loudest_other(margins: Mapping[str, float]) -> Callable[[str], float]:
    return lambda at: max((m for other, m in margins.items() if other != at), default=-math.inf)


def watched(
    contest: Contest, start: float, seconds: float, margins: Mapping[str, float]
) -> dict[str, float]:
    """Four looks a second at the same margins; when each place was decided for."""
    when: dict[str, float] = {}
    for n in range(int(seconds * 4)):
        now = start + n / 4
        contest.look(now, margins, loudest_other(margins))
        for place in margins:
            if contest.decides(place):
                when.setdefault(place, now - start)
    return when


@pytest.mark.parametrize(
    ("margins", "seconds"),
    [
        ({"a": 10.0}, 12.5),
        ({"a": 0.0}, 25),
        ({"a": -3.0}, 100),
        ({"a": 14.0, "b": -15.0}, 12.5),
        ({"a": 14.0, "b": 10.0}, 50),
        ({"a": 4.0, "b": -30.0}, 12.5),  # so faint that it is no rival
    ],
)
def test_the_clearer_the_lead_the_sooner_decided(margins: dict[str, float], seconds: float) -> None:
    when = watched(Contest(), 0, 200, margins)
    assert list(when) == ["a"]
    assert when["a"] == pytest.approx(seconds, abs=0.5)


def test_two_that_are_equally_loud_are_never_decided_between() -> None:
    assert watched(Contest(), 0, 3600, {"a": 5.0, "b": 5.0}) == {}


def test_who_passes_at_the_edge_is_nowhere() -> None:
    contest = Contest()
    for start in range(0, 1200, 60):
        assert watched(contest, start, 15, {"a": 1.0}) == {}
        assert watched(contest, start + 15, 45, {"a": -12.0}) == {}


def test_a_neighbour_who_is_louder_for_a_minute_is_not_believed() -> None:
    contest = Contest()
    assert list(watched(contest, 0, 120, {"a": 10.0, "b": -5.0})) == ["a"]
    assert list(watched(contest, 120, 60, {"a": 0.0, "b": 8.0})) == ["a"]
    assert contest.elsewhere("b")
    assert list(watched(contest, 180, 150, {"a": -10.0, "b": 8.0})) == ["a", "b"]
    assert not contest.elsewhere("b")


def test_places_of_one_room_do_not_stand_against_each_other() -> None:
    contest = Contest()
    for n in range(60):
        contest.look(n / 2, {"noodles": 9.0, "rice": 9.0}, lambda _: -math.inf)
    assert contest.decides("noodles", {"noodles", "rice"})
    assert contest.decides("rice", {"noodles", "rice"})


def test_a_slow_radio_is_given_the_time_that_passed() -> None:
    contest = Contest()
    for n in range(4):
        contest.look(n * 10.5, {"a": 10.0}, lambda _: -math.inf)
    assert contest.decides("a")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 40),
            st.dictionaries(st.sampled_from("abc"), st.floats(-127, 60), max_size=3),
        ),
        max_size=60,
    )
)
def test_of_rivals_never_two_are_decided_for(looks: list[tuple[float, dict[str, float]]]) -> None:
    contest, now = Contest(), 0.0
    for gap, margins in looks:
        now += gap
        contest.look(now, margins, loudest_other(margins))
        assert sum(contest.decides(place) for place in "abc") <= 1
        assert len(contest._claims) <= 3
        assert all(0 < c.evidence <= HELD * BESIDE_DBS for c in contest._claims.values())
    assert ALONE_DBS < BESIDE_DBS
