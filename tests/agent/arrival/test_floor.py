from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.arrival.floor import FloorAnswer, FloorFilter, FloorModel

MODEL = FloorModel(
    window_s=10.0,
    bin_edges_dbm=[-92, -86, -80, -74, -68, -62],
    windows={"1F": 100, "2F": 100},
    beacons={
        "A": {"1F": [0, 0, 10, 20, 30, 10, 5], "2F": [20, 8, 1, 0, 0, 0, 0]},
        "B": {"2F": [0, 0, 10, 20, 30, 10, 5], "1F": [20, 8, 1, 0, 0, 0, 0]},
    },
)


def walk(belief: FloorFilter, start: int, seconds: int, address: str, rssi: int) -> None:
    for t in range(start, start + seconds):
        belief.hear(t, address, rssi)
        belief.judge(t)


def answered(belief: FloorFilter, now: float) -> FloorAnswer:
    answer = belief.judge(now)
    assert answer is not None
    return answer


def test_the_loud_beacon_names_the_floor() -> None:
    belief = FloorFilter(MODEL)
    walk(belief, 0, 12, "A", -70)
    assert answered(belief, 12).floor == "1F"
    assert answered(belief, 12).confidence > 0.9


def test_nobody_can_tell_without_a_known_beacon() -> None:
    belief = FloorFilter(MODEL)
    walk(belief, 0, 12, "a stranger", -40)
    assert belief.judge(12) is None


def test_the_belief_follows_a_lift() -> None:
    belief = FloorFilter(MODEL)
    walk(belief, 0, 60, "A", -70)
    walk(belief, 60, 25, "B", -70)
    assert answered(belief, 85).floor == "2F"


def test_a_short_odd_reading_does_not_move_the_rider() -> None:
    belief = FloorFilter(MODEL)
    walk(belief, 0, 60, "A", -70)
    walk(belief, 60, 1, "B", -83)
    assert answered(belief, 61).floor == "1F"


def test_without_evidence_confidence_fades() -> None:
    belief = FloorFilter(MODEL)
    walk(belief, 0, 30, "A", -70)
    fresh = answered(belief, 30).confidence
    for t in range(31, 55):
        belief.judge(t)
    assert answered(belief, 55).confidence < fresh
    assert belief.judge(61) is None


def test_a_deaf_scanner_forgets_the_floor() -> None:
    belief = FloorFilter(MODEL)
    walk(belief, 0, 30, "A", -70)
    belief.forget()
    assert belief.judge(30.5) is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"beacons": {"A": {"9F": [0] * 7}}}, "entry in `windows`"),
        ({"beacons": {"A": {"1F": [0] * 6}}}, "needs 7 counts"),
        ({"bin_edges_dbm": [-60.0, -70.0, -80.0, -81.0, -82.0, -83.0]}, "must rise"),
    ],
)
def test_a_model_that_does_not_fit_together_is_told(
    change: dict[str, object], problem: str
) -> None:
    assert any(problem in line for line in msgspec.structs.replace(MODEL, **change).problems())
    assert MODEL.problems() == []


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("ABx"), st.integers(-126, 20)), max_size=80))
def test_confidence_is_a_probability(heard: list[tuple[str, int]]) -> None:
    belief, rng = FloorFilter(MODEL), random.Random(1)
    now = 0.0
    for address, rssi in heard:
        now += rng.choice([0.1, 1.0, 30.0])
        belief.hear(now, address, rssi)
        answer = belief.judge(now)
        assert answer is None or 0.5 <= answer.confidence <= 1
