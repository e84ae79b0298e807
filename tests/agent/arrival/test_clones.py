from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.arrival.clones import CONFIRM_S, KNOWN, SUSPENDED_S, Clones

IDENTITY = "eddystone-uid:" + "0" * 20 + "/" + "0" * 12
A, B = "C0:00:00:00:00:01", "C0:00:00:00:00:02"
METRE = 1 / 111_195.0  # degrees of latitude


@dataclass(frozen=True)
class Seen:
    t: float
    metres: float
    acc: float | None = 5.0
    lon: float = 121.0
    speed: float | None = None

    @property
    def lat(self) -> float:
        return 31.0 + self.metres * METRE


def test_one_identity_at_two_distant_places_is_suspended_and_told_once() -> None:
    clones = Clones()
    assert clones.hear(IDENTITY, A, Seen(0, 0)) is None
    assert clones.hear(IDENTITY, B, Seen(600, 2000)) is None
    doubt = clones.hear(IDENTITY, B, Seen(600 + CONFIRM_S, 2000))
    assert doubt is not None
    assert (doubt.identity, doubt.addresses, round(doubt.apart_m, -1)) == (IDENTITY, (A, B), 2000)
    assert clones.suspended(IDENTITY, 700)
    assert clones.all_suspended(700) == [IDENTITY]
    for t in (900, 950):  # back at the first: contradicted again, but told already
        assert clones.hear(IDENTITY, A, Seen(t, 0)) is None
    assert clones.suspended(IDENTITY, 950 + SUSPENDED_S - 1)


def test_an_identity_without_contradictions_is_believed_again() -> None:
    clones = Clones()
    for t, metres in ((0, 0), (600, 2000), (620, 2000)):
        clones.hear(IDENTITY, A, Seen(t, metres))
    later = 620 + SUSPENDED_S + 1
    clones.hear(IDENTITY, A, Seen(later, 2000))
    assert not clones.suspended(IDENTITY, later)


def test_a_position_that_jumps_once_costs_nobody_its_beacon() -> None:
    clones = Clones()
    for t, metres in ((0, 0), (60, 5000), (61, 0), (120, 5000), (121, 0)):
        assert clones.hear(IDENTITY, A, Seen(t, metres)) is None
    assert clones.all_suspended(121) == []


def test_positions_that_are_not_sure_prove_nothing() -> None:
    clones = Clones()
    for t in range(0, 100, 10):
        assert clones.hear(IDENTITY, A, Seen(t, 2000 * (t > 40), acc=900)) is None
        assert clones.hear(IDENTITY, A, Seen(t, 9000, acc=None)) is None
    assert clones.all_suspended(100) == []


@settings(max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 60), st.floats(-140, 140)), max_size=60))
def test_a_beacon_heard_within_its_reach_is_never_suspended(
    steps: list[tuple[float, float]],
) -> None:
    clones, now = Clones(), 0.0
    for gap, metres in steps:
        now += gap
        assert clones.hear(IDENTITY, A, Seen(now, metres)) is None


def test_a_flood_of_identities_stays_bounded() -> None:
    clones = Clones()
    for n in range(3 * KNOWN):
        clones.hear(f"{IDENTITY}{n}", A, Seen(float(n), 0))
    assert len(clones._seen) == KNOWN
