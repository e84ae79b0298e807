from __future__ import annotations

from dataclasses import dataclass

import pytest

from agent.arrival.candidates import candidates
from agent.arrival.geofence import Circle, Geofence
from agent.arrival.places import BeaconRule, Place

OURS = "ibeacon:7e6985df-4aa3-4bda-bb8b-9f11bf8077a0/"
BY_ADDRESS = BeaconRule(address="C0:00:00:00:00:01", enter_rssi=-70)
BY_IDENTITY = BeaconRule(identity=OURS + "21/1", enter_rssi=-70)
STRANGER = BeaconRule(identity="eddystone-uid:" + "0" * 20 + "/" + "0" * 12, enter_rssi=-70)
NEAR = Place(id="near", beacon=[BY_ADDRESS, BY_IDENTITY, STRANGER])
FAR = Place(id="far", floor="3F", beacon=[BY_IDENTITY])
METRE = 1 / 111_195.0  # degrees of latitude
FENCES = {
    "near": Geofence(Circle("near", 31.0, 121.0, 100.0)),
    "far": Geofence(Circle("far", 31.0 + 2000 * METRE, 121.0, 100.0)),
}


@dataclass(frozen=True)
class Seen:
    t: float = 0.0
    lat: float = 31.0
    lon: float = 121.0
    acc: float | None = 5.0
    speed: float | None = None


def test_what_is_not_known_excludes_nothing() -> None:
    assert candidates([NEAR, FAR]) == [NEAR, FAR]
    assert candidates([NEAR, FAR], fences=FENCES) == [NEAR, FAR]
    assert candidates([NEAR, FAR], where=Seen()) == [NEAR, FAR]


def test_only_shops_with_a_live_order() -> None:
    assert candidates([NEAR, FAR], shops={"far"}) == [FAR]
    assert candidates([NEAR, FAR], shops=()) == []


@pytest.mark.parametrize(
    ("metres", "acc", "left"),
    [
        (0, 5, ["near"]),
        (230, 5, ["near"]),  # within 150 m of the fence
        (300, 5, []),
        (300, 60, ["near"]),  # unless the position is as poor as that
        (1000, None, []),
        (1900, 5, ["far"]),
    ],
)
def test_only_shops_near_enough(metres: float, acc: float | None, left: list[str]) -> None:
    where = Seen(lat=31.0 + metres * METRE, acc=acc)
    assert [place.id for place in candidates([NEAR, FAR], fences=FENCES, where=where)] == left


def test_only_our_own_beacons_and_those_named_by_address() -> None:
    (place, far) = candidates([NEAR, FAR], namespaces=[OURS])
    assert place.beacon == [BY_ADDRESS, BY_IDENTITY]
    assert far == FAR
    alien = Place(id="alien", beacon=[STRANGER])
    assert candidates([alien], namespaces=[OURS]) == []
