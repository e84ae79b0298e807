"""A walk about a floor into the model that tells floors apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.arrival.fingerprints import MIN_WINDOWS, surveyed
from agent.arrival.floor import FloorFilter, FloorModel
from drivers.base import Advert

A, B = "C0:00:00:00:00:01", "C0:00:00:00:00:02"
ID = "altbeacon:" + "0" * 40


def walk(seconds: float, *heard: tuple[str, int], identity: str | None = ID) -> list[Advert]:
    return [
        Advert(n / 2, address, rssi, identity)
        for n in range(int(seconds * 2))
        for address, rssi in heard
    ]


def made(*floors: tuple[str, list[Advert]]) -> FloorModel:
    model: FloorModel | None = None
    for floor, adverts in floors:
        model = surveyed(model, floor, adverts, add=False)
    assert model is not None
    assert model.problems() == []
    return model


def test_two_floors_that_were_walked_about_are_told_apart() -> None:
    model = made(("F1", walk(60, (A, -60), (B, -85))), ("F2", walk(60, (A, -85), (B, -60))))
    policy = FloorFilter(model)
    for advert in walk(15, (A, -86), (B, -61)):
        policy.hear(advert.t, advert.address, advert.rssi)
    answer = policy.judge(15.0)
    assert answer is not None
    assert answer.floor == "F2"


def test_one_floor_alone_is_never_the_answer() -> None:
    policy = FloorFilter(made(("F1", walk(60, (A, -60)))))
    for advert in walk(15, (A, -60)):
        policy.hear(advert.t, advert.address, advert.rssi)
    assert policy.judge(15.0) is None


def test_the_loudest_advert_of_a_window_counts_once() -> None:
    model = made(("F1", walk(30, (A, -90), (A, -60))))
    assert model.windows == {"F1": 3}
    assert model.beacons == {A: {"F1": [0, 0, 0, 0, 0, 0, 3]}}


def test_a_floor_is_surveyed_anew_or_more_is_added() -> None:
    first = made(("F1", walk(60, (A, -60))), ("F2", walk(60, (B, -60))))
    anew = surveyed(first, "F1", walk(30, (B, -60)), add=False)
    more = surveyed(first, "F1", walk(30, (A, -60)), add=True)
    assert anew is not None
    assert more is not None
    assert (anew.windows, A in anew.beacons) == ({"F1": 3, "F2": 6}, False)
    assert (more.windows, more.beacons[A]["F1"][-1]) == ({"F1": 9, "F2": 6}, 9)
    assert first.windows == {"F1": 6, "F2": 6}


def test_phones_and_beacons_that_rotate_are_not_counted() -> None:
    phone = walk(60, (B, -50), identity=None)
    rotating = walk(60, (B, -50), identity="eddystone-eid:" + "0" * 16)
    assert surveyed(None, "F1", [*phone, *rotating], add=False) is None
    mixed = [*walk(60, (A, -60)), *phone, *rotating]
    assert B not in made(("F1", sorted(mixed, key=lambda advert: advert.t))).beacons


def test_a_walk_that_is_too_short_says_nothing() -> None:
    assert surveyed(None, "F1", walk(10 * MIN_WINDOWS - 2, (A, -60)), add=False) is None
    assert surveyed(None, "F1", [], add=False) is None


@given(st.lists(st.tuples(st.floats(0, 500), st.integers(-127, 20), st.booleans()), max_size=60))
def test_any_walk_makes_a_model_that_can_be_read(heard: list[tuple[float, int, bool]]) -> None:
    adverts = [Advert(t, A if own else B, rssi, ID) for t, rssi, own in sorted(heard)]
    model = surveyed(None, "F1", adverts, add=False)
    if model is not None:
        assert model.problems() == []
        assert all(sum(counts["F1"]) <= model.windows["F1"] for counts in model.beacons.values())
