from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.arrival.clones import SUSPENDED_S
from agent.arrival.floor import FloorModel
from agent.arrival.fusion import NOWHERE, Arrivals, Ride, Statement
from agent.arrival.places import BeaconRule, Place, Places
from drivers.base import Advert

A, B, OTHER = "C0:00:00:00:00:01", "C0:00:00:00:00:02", "C0:00:00:00:00:99"
IDENTITY = "altbeacon:" + "0" * 40
SHOP = Place(
    id="shop",
    floor="3F",
    beacon=[BeaconRule(address=A, enter_rssi=-70), BeaconRule(address=B, enter_rssi=-70)],
)
MODEL = FloorModel(
    window_s=10.0,
    bin_edges_dbm=[-80.0],
    windows={"2F": 100, "3F": 100},
    beacons={"C0:00:00:00:00:22": {"2F": [5, 90]}, "C0:00:00:00:00:33": {"3F": [5, 90]}},
)


@dataclass(frozen=True)
class Seen:
    t: float
    lat: float
    lon: float = 121.0
    acc: float | None = 5.0
    speed: float | None = None


def heard(
    policy: Arrivals,
    start: float,
    seconds: float,
    *beacons: tuple[str, int],
    excluded: Sequence[str] = (),
    ride: Ride = NOWHERE,
    identity: str | None = None,
) -> list[Statement]:
    """What is said while each beacon sends twice a second and someone else always does."""
    said = []
    for n in range(int(seconds * 2)):
        t = start + n / 2
        policy.hear(Advert(t, OTHER, -80))
        for address, rssi in beacons:
            policy.hear(Advert(t, address, rssi, identity))
        said += policy.judge(t, Ride(excluded) if excluded else ride)
    return said


def words(said: Sequence[Statement]) -> list[str]:
    return [statement.word for statement in said]


def test_a_stay_is_entered_arrived_and_left_once() -> None:
    policy = Arrivals(Places([SHOP]))
    said = heard(policy, 0, 60, (A, -60)) + heard(policy, 60, 60, (A, -90))
    assert words(said) == ["enter", "arrived", "exit"]
    enter, arrived, left = said
    assert (enter.t, arrived.t) == (0.0, 0.0)  # both dated to the first crossing
    assert (enter.said, arrived.said) == (0.5, 12.5)
    assert 60 <= left.t <= 64
    assert enter.floor == "3F"
    assert enter.evidence == {"beacon": A, "packets": 2, "p75": -60.0, "margin_db": 10.0}
    assert arrived.evidence["dwell_s"] == 12.5
    assert left.evidence["cause"] == "weak"


def test_a_place_is_left_when_its_last_beacon_is() -> None:
    policy = Arrivals(Places([SHOP]))
    said = heard(policy, 0, 20, (A, -60), (B, -60))
    said += heard(policy, 20, 60, (A, -90), (B, -60))
    assert words(said) == ["enter", "arrived"]
    assert words(heard(policy, 80, 60)) == ["exit"]


def test_passing_by_is_no_arrival() -> None:
    policy = Arrivals(Places([SHOP]))
    said = heard(policy, 0, 5, (A, -60)) + heard(policy, 5, 30, (A, -95))
    assert words(said) == ["enter", "exit"]


def test_silence_of_the_radio_is_never_a_departure() -> None:
    policy = Arrivals(Places([SHOP]))
    heard(policy, 0, 20, (A, -60))
    assert [policy.judge(20 + n) for n in range(3600)] == [[]] * 3600


def test_a_deaf_radio_makes_the_place_unknown_once() -> None:
    policy = Arrivals(Places([SHOP]))
    heard(policy, 0, 20, (A, -60))
    (unknown,) = policy.lose(50.0, "scanner_silent")
    assert (unknown.word, unknown.place) == ("unknown", "shop")
    assert unknown.evidence == {"cause": "scanner_silent", "silent_s": 30.5}
    assert policy.lose(55.0, "scanner_failed") == []
    assert policy.judge(600.0) == []


def test_after_deafness_presence_is_judged_anew() -> None:
    policy = Arrivals(Places([SHOP]))
    heard(policy, 0, 20, (A, -60))
    policy.lose(50.0, "scanner_silent")
    said = heard(policy, 600, 20, (A, -60))
    assert words(said) == ["enter", "arrived"]
    assert said[0].evidence["after"] == "unknown"
    assert said[0].t >= 600


def test_after_deafness_absence_is_found_out() -> None:
    policy = Arrivals(Places([SHOP]))
    heard(policy, 0, 20, (A, -60))
    policy.lose(50.0, "scanner_silent")
    said = heard(policy, 600, 30)
    assert words(said) == ["exit"]
    assert said[0].t == 600


def test_a_place_outside_is_not_spoken_of_when_the_radio_goes_deaf() -> None:
    policy = Arrivals(Places([SHOP]))
    heard(policy, 0, 20, (A, -90))
    assert policy.lose(50.0, "scanner_failed") == []


def test_an_identity_needs_its_address_where_both_are_given() -> None:
    rule = BeaconRule(address=A, identity=IDENTITY, enter_rssi=-70)
    places = Places([Place(id="shop", beacon=[rule])])
    assert heard(Arrivals(places), 0, 20, (A, -60)) == []
    assert heard(Arrivals(places), 0, 20, (B, -60), identity=IDENTITY) == []
    assert words(heard(Arrivals(places), 0, 5, (A, -60), identity=IDENTITY)) == ["enter"]


def test_an_identity_alone_is_believed_from_any_address() -> None:
    rule = BeaconRule(identity=IDENTITY, enter_rssi=-70)
    policy = Arrivals(Places([Place(id="shop", beacon=[rule])]))
    assert words(heard(policy, 0, 5, (A, -60), identity=IDENTITY)) == ["enter"]


def test_a_beacon_heard_far_from_its_shop_is_a_conflict_and_not_an_arrival() -> None:
    policy = Arrivals(Places([SHOP]))
    assert heard(policy, 0, 20, (A, -60), excluded=["shop"]) == []
    assert policy.conflicts == {"shop"}
    said = heard(policy, 20, 5, (A, -60))
    assert words(said) == ["enter"]
    assert said[0].t >= 20  # not dated back to where it was a conflict
    assert not policy.conflicts


def test_a_neighbour_about_as_loud_is_named() -> None:
    next_door = Place(id="next door", beacon=[BeaconRule(address=B, enter_rssi=-70)])
    shop = Place(id="shop", beacon=[BeaconRule(address=A, enter_rssi=-70)])
    said = heard(Arrivals(Places([shop, next_door])), 0, 5, (A, -60), (B, -64))
    assert [(s.place, s.evidence["rivals"]) for s in said] == [
        ("shop", ["next door"]),
        ("next door", ["shop"]),
    ]


def test_at_the_neighbours_counter_the_own_door_is_not_entered() -> None:
    next_door = Place(id="next door", beacon=[BeaconRule(address=B, enter_rssi=-70)])
    shop = Place(id="shop", beacon=[BeaconRule(address=A, enter_rssi=-70)])
    alone = heard(Arrivals(Places([shop, next_door])), 0, 5, (A, -69))
    assert [s.place for s in alone] == ["shop"]
    beside = heard(Arrivals(Places([shop, next_door])), 0, 5, (A, -69), (B, -50))
    assert [s.place for s in beside] == ["next door"]


def test_a_place_that_cannot_be_is_nobodys_rival() -> None:
    copied = Place(id="copied", beacon=[BeaconRule(address=B, enter_rssi=-70)])
    shop = Place(id="shop", beacon=[BeaconRule(address=A, enter_rssi=-70)])
    policy = Arrivals(Places([shop, copied]))
    said = heard(policy, 0, 5, (A, -69), (B, -50), excluded=["copied"])
    assert [s.place for s in said] == ["shop"]


def test_a_floor_that_nobody_surveyed_excludes_nothing() -> None:
    attic = Place(id="attic", floor="9F", beacon=[BeaconRule(address=A, enter_rssi=-70)])
    policy = Arrivals(Places([attic], MODEL, "mall"))
    said = heard(policy, 0, 30, ("C0:00:00:00:00:33", -60), (A, -60))
    assert "enter" in words(said)


def test_one_is_at_one_of_two_neighbours_only() -> None:
    next_door = Place(id="next door", beacon=[BeaconRule(address=B, enter_rssi=-70)])
    shop = Place(id="shop", beacon=[BeaconRule(address=A, enter_rssi=-70)])
    policy = Arrivals(Places([shop, next_door]))
    assert words(heard(policy, 0, 120, (A, -62), (B, -62))) == ["enter", "enter"]
    said = heard(policy, 120, 60, (A, -58), (B, -68))
    assert [(s.word, s.place) for s in said] == [("arrived", "shop")]
    said = heard(policy, 180, 300, (A, -90), (B, -58))
    assert [(s.word, s.place) for s in said] == [("exit", "shop"), ("arrived", "next door")]


def test_an_order_for_one_of_two_neighbours_counts_for_it() -> None:
    next_door = Place(id="next door", beacon=[BeaconRule(address=B, enter_rssi=-70)])
    shop = Place(id="shop", beacon=[BeaconRule(address=A, enter_rssi=-70)])
    policy = Arrivals(Places([shop, next_door]))
    policy.revise([shop, next_door], expected={"shop"})
    said = heard(policy, 0, 120, (A, -62), (B, -62))
    assert [s.place for s in said if s.word == "arrived"] == ["shop"]


def test_beside_the_shop_of_an_order_a_neighbour_is_entered_only_when_it_leads() -> None:
    next_door = Place(id="next door", beacon=[BeaconRule(address=B, enter_rssi=-70)])
    shop = Place(id="shop", beacon=[BeaconRule(address=A, enter_rssi=-70)])
    policy = Arrivals(Places([shop, next_door]))
    policy.revise([shop, next_door], expected={"shop"})
    assert [s.place for s in heard(policy, 0, 5, (A, -66), (B, -66))] == ["shop"]
    assert heard(policy, 5, 2, (A, -90), (B, -60)) == []
    said = heard(policy, 7, 20, (A, -90), (B, -60))
    enter = next(s for s in said if s.word == "enter")
    assert enter.place == "next door"
    assert 5 <= enter.t <= 8  # not when it was first loud enough, but when it began to lead


def test_couriers_with_their_beacons_are_nobodys_rivals() -> None:
    two = [
        Place(id=f"rider:{n}", beacon=[BeaconRule(address=address, enter_rssi=-70)])
        for n, address in enumerate((A, B))
    ]
    said = heard(Arrivals(Places(two), rivals=False), 0, 30, (A, -62), (B, -62))
    assert sorted(words(said)) == ["arrived", "arrived", "enter", "enter"]
    assert all("rivals" not in s.evidence for s in said)


def test_places_that_share_a_beacon_are_one_room() -> None:
    two = [Place(id=name, beacon=SHOP.beacon) for name in ("noodles", "rice")]
    said = heard(Arrivals(Places(two)), 0, 30, (A, -62))
    assert sorted(words(said)) == ["arrived", "arrived", "enter", "enter"]


def test_a_gps_far_away_ends_a_long_stay_soon() -> None:
    policy = Arrivals(Places([SHOP]))
    heard(policy, 0, 600, (A, -60))
    assert heard(policy, 600, 15, (A, -90)) == []
    assert words(heard(policy, 615, 5, (A, -90), excluded=["shop"])) == ["exit"]


def test_a_pick_up_moves_the_threshold_and_says_so() -> None:
    policy = Arrivals(Places([SHOP]))
    policy.revise([SHOP], expected={"shop"})
    assert heard(policy, 0, 30, (A, -72)) == []
    assert policy.picked_up("shop")
    (enter, *_) = heard(policy, 30, 10, (A, -72))
    assert (enter.word, enter.evidence["learned_db"]) == ("enter", -0.95)
    assert not policy.picked_up("elsewhere")


def test_who_still_rides_has_not_arrived() -> None:
    policy = Arrivals(Places([SHOP]))
    riding = Ride(distance_m={"shop": 40.04}, speed=6.0)
    said = heard(policy, 0, 30, (A, -60), ride=riding)
    assert words(said) == ["enter"]
    assert (said[0].evidence["fence_m"], said[0].evidence["speed"]) == (40.0, 6.0)
    (arrived,) = heard(policy, 30, 2, (A, -60), ride=Ride(speed=0.4))
    assert (arrived.word, arrived.t) == ("arrived", 0.0)


def test_a_copied_identity_makes_its_place_unknown_and_enters_no_more() -> None:
    rule = BeaconRule(identity=IDENTITY, enter_rssi=-70)
    policy = Arrivals(Places([Place(id="shop", beacon=[rule])]))

    def told(start: float, seconds: float, lat: float) -> list[Statement]:
        said = []
        for n in range(int(seconds * 2)):
            t = start + n / 2
            policy.hear(Advert(t, A, -60, IDENTITY), Seen(t, lat))
            said += policy.judge(t)
        return said

    assert words(told(0, 20, 31.0)) == ["enter", "arrived"]
    (unknown,) = told(600, 60, 31.1)
    assert unknown.word == "unknown"
    assert unknown.evidence["cause"] == "identity_suspended"
    assert policy.suspended() == [IDENTITY]
    assert told(1200, 60, 31.0) == []
    again = told(1260 + SUSPENDED_S, 20, 31.0)
    assert words(again) == ["enter", "arrived"]


def test_the_beacon_heard_through_the_ceiling_does_not_enter() -> None:
    policy = Arrivals(Places([SHOP], MODEL, "mall"))
    said = heard(policy, 0, 20, ("C0:00:00:00:00:22", -60))
    assert words(said) == ["floor"]
    assert (said[0].place, said[0].floor) == ("mall", "2F")
    assert words(heard(policy, 20, 20, ("C0:00:00:00:00:22", -60), (A, -65))) == []
    said = heard(policy, 40, 40, ("C0:00:00:00:00:33", -60), (A, -65))
    assert [s.floor for s in said if s.word in {"enter", "arrived"}] == ["3F", "3F"]
    assert said[-1].confidence is not None


def test_the_floor_is_withdrawn_when_the_radio_goes_deaf() -> None:
    policy = Arrivals(Places([SHOP], MODEL, "mall"))
    heard(policy, 0, 20, ("C0:00:00:00:00:33", -60))
    (withdrawn,) = policy.lose(60.0, "scanner_failed")
    assert (withdrawn.word, withdrawn.place, withdrawn.floor) == ("floor", "mall", None)


AFTER = {
    "outside": {"enter"},
    "enter": {"arrived", "exit", "unknown"},
    "arrived": {"exit", "unknown"},
    "unknown": {"enter", "exit"},
    "exit": {"enter"},
}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.1, 0.5, 2.0, 11.0, 90.0]),
            st.sampled_from([A, A, B, OTHER, "lose"]),
            st.integers(-95, -50),
        ),
        max_size=120,
    )
)
def test_whatever_is_heard_the_words_follow_one_another(
    steps: list[tuple[float, str, int]],
) -> None:
    policy, now, last, t = Arrivals(Places([SHOP])), 0.0, "outside", 0.0
    for gap, sender, rssi in steps:
        now += gap
        if sender == "lose":
            said = policy.lose(now, "scanner_failed")
        else:
            policy.hear(Advert(now, sender, rssi))
            said = policy.judge(now)
        for statement in said:
            assert statement.word in AFTER[last]
            assert t <= statement.t <= statement.said == now
            last, t = statement.word, statement.t
