from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.arrival.learning import (
    HIGHEST_DBM,
    LOWEST_DBM,
    REACH_DB,
    STEP_DB,
    Learned,
    Sample,
    surveyed,
)


def walk(inside: int, outside: int, *, noise: float = 0.0, seed: int = 1) -> list[Sample]:
    """Thirty seconds inside, thirty outside, ten packets a second."""
    rng = random.Random(seed)

    def heard() -> Iterator[Sample]:
        for n in range(600):
            level = inside if n < 300 else outside
            yield Sample(n / 10, round(rng.gauss(level, noise)), n < 300)

    return list(heard())


def test_the_threshold_lies_between_what_was_heard_inside_and_outside() -> None:
    level = surveyed(walk(-60, -80))
    assert level is not None
    assert -80 < level <= -60 + 2.5


def test_noise_moves_a_survey_by_little() -> None:
    levels = [surveyed(walk(-60, -76, noise=4, seed=seed)) for seed in range(5)]
    assert all(level is not None and -74 < level < -56 for level in levels)


@pytest.mark.parametrize("samples", [[], walk(-60, -80)[:300], walk(-60, -80)[300:]])
def test_a_survey_of_one_kind_says_nothing(samples: list[Sample]) -> None:
    assert surveyed(samples) is None


def test_pick_ups_bring_a_threshold_down_to_where_nearly_all_enter() -> None:
    rng = random.Random(2)
    levels = [rng.gauss(-72, 3) for _ in range(600)]
    learned = Learned.start(-68.0)
    for level in levels:
        learned = learned.picked_up(level)
    entered = sum(level >= learned.enter_rssi for level in levels)
    assert entered / len(levels) > 0.88
    assert learned.pick_ups == 600


def test_a_zone_that_is_far_too_wide_narrows_slowly() -> None:
    learned = Learned.start(-90.0)
    for _ in range(100):
        learned = learned.picked_up(-60.0)
    assert -90 < learned.enter_rssi <= -84


@settings(max_examples=80)
@given(st.floats(-95, -40), st.lists(st.floats(-127, 20), max_size=200))
def test_no_pick_up_moves_it_far_and_all_together_stay_within_reach(
    start: float, levels: list[float]
) -> None:
    learned = Learned.start(start)
    for level in levels:
        moved = learned.picked_up(level)
        assert abs(moved.enter_rssi - learned.enter_rssi) <= STEP_DB
        assert abs(moved.enter_rssi - start) <= REACH_DB + 1e-9
        assert LOWEST_DBM <= moved.enter_rssi <= HIGHEST_DBM
        learned = moved
