"""Rings, soak and abort: a bad release reaches one ring and no further."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.operators.rollout import RINGS, Rollout, plan

FLEET = {f"sh-{n:04}": "shop" for n in range(1000)} | {f"rd-{n:04}": "rider" for n in range(2000)}


def made(fleet: dict[str, str] = FLEET, release: str = "1.1") -> Rollout:
    return plan(release, fleet, 0.0, soak_s=60, patience_s=100)


def answer(rollout: Rollout, asked: list[str], now: float, bad: int = 0) -> None:
    for n, device in enumerate(asked):
        rollout.asked(device, "r", now)
        rollout.note(device, "failed" if n < bad else "succeeded", now)


def test_rings_grow_to_the_whole_fleet_with_their_share_of_every_stratum() -> None:
    rollout = made()
    sizes = [len(rollout.within(ring)) for ring in range(len(RINGS))]
    assert sizes == [3, 27, 270, 1200, 1500]
    shops = [sum(id_.startswith("sh") for id_ in rollout.within(ring)) for ring in range(5)]
    assert shops == [1, 9, 90, 400, 500]


def test_another_release_begins_with_other_devices() -> None:
    assert made().within(0).keys() != made(release="1.2").within(0).keys()
    assert made().members == made().members


def test_a_good_release_goes_through_all_rings_with_a_soak_between_them() -> None:
    rollout, now, rings = made(), 0.0, []
    while rollout.phase != "done":
        asked = rollout.step(now)
        if asked:
            rings.append(len(asked))
            answer(rollout, asked, now)
            assert rollout.step(now) == []
            if rollout.phase == "soaking":
                assert rollout.step(now + 59) == []
        now += 61
        assert now < 1000
    assert rings == [3, 27, 270, 1200, 1500]


def test_a_bad_release_stops_in_its_first_ring() -> None:
    rollout = made()
    answer(rollout, rollout.step(0), 1, bad=1)
    assert rollout.step(2) == []
    assert rollout.phase == "aborted"
    assert "1 of 3 of ring 1" in rollout.reason
    assert sum(m.progress != "waiting" for m in rollout.members.values()) == 3
    assert rollout.step(10_000) == []


def test_who_does_not_answer_counts_as_failed() -> None:
    rollout = made()
    for device in rollout.step(0):
        rollout.asked(device, "r", 0)
    assert rollout.step(99) == []
    assert rollout.phase == "running"
    assert rollout.step(100) == []
    assert rollout.phase == "aborted"


def test_fewer_than_one_in_a_hundred_do_not_stop_it() -> None:
    rollout, now = made(), 0.0
    for _ in range(2):
        answer(rollout, rollout.step(now), now)
        rollout.step(now)
        now += 61
    asked = rollout.step(now)
    assert len(asked) == 270
    answer(rollout, asked, now, bad=2)
    rollout.step(now)
    assert rollout.phase == "soaking"
    assert len(rollout.bad()) == 2


def test_what_breaks_during_the_soak_stops_it_too() -> None:
    rollout = made()
    asked = rollout.step(0)
    answer(rollout, asked, 0)
    rollout.step(1)
    assert rollout.phase == "soaking"
    rollout.note(asked[0], "failed", 30, "went away")
    rollout.step(31)
    assert rollout.phase == "aborted"


def test_a_pause_asks_nobody_and_still_counts() -> None:
    rollout = made()
    asked = rollout.step(0)
    rollout.paused = True
    answer(rollout, asked, 1)
    assert rollout.step(500) == []
    assert rollout.phase == "running"
    rollout.paused = False
    rollout.step(501)
    assert rollout.phase == "soaking"


def test_another_operator_takes_it_over_where_it_is() -> None:
    rollout = made()
    answer(rollout, rollout.step(0), 1)
    rollout.step(2)
    taken = msgspec.json.decode(msgspec.json.encode(rollout), type=Rollout)
    assert taken == rollout
    assert taken.step(100) == rollout.step(100) != []


@pytest.mark.parametrize("rings", [(), (0.5,), (0.5, 0.2, 1.0), (0.0, 1.0), (0.5, 1.5)])
def test_rings_that_make_no_sense_are_refused(rings: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="rise"):
        plan("1", {"a": "x"}, 0.0, rings=rings)


@given(
    st.dictionaries(st.text(min_size=1, max_size=6), st.sampled_from("abc"), max_size=60),
    st.lists(st.booleans(), min_size=60, max_size=60),
)
def test_whatever_happens_it_ends_and_nobody_is_asked_twice(
    fleet: dict[str, str], luck: list[bool]
) -> None:
    rollout, now = made(fleet), 0.0
    seen: set[str] = set()
    for _ in range(20):
        asked = rollout.step(now)
        assert not seen & set(asked)
        seen |= set(asked)
        for device, good in zip(asked, luck, strict=False):
            rollout.asked(device, "r", now)
            rollout.note(device, "succeeded" if good else "failed", now)
        now += 200
    assert rollout.phase in ("done", "aborted")
    if all(luck):
        assert rollout.phase == "done"
        assert seen == set(fleet)
