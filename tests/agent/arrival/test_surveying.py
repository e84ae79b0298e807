"""A survey into the file of places."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.arrival.overview import KNOWN, Overview
from agent.arrival.places import BeaconRule, Place, load
from agent.arrival.surveying import has, merged, rule
from agent.layers import ConfigError
from drivers.base import Advert

ID = "ibeacon:7e6985df-4aa3-4bda-bb8b-9f11bf8077a0/21/1"
OLD = """# ours, do not lose this line
floor_model = "mall.json"

[[place]]
id = "shop-020"      # next door
[[place.beacon]]
address = "C0:00:00:00:00:02"
enter_rssi = -70

[[place]]
id = "shop-021"
[[place.beacon]]
address = "C0:00:00:00:00:01"
enter_rssi = -70
"""
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20)


def walk(rssi: int, seconds: float = 30, *, address: str = "C0:00:00:00:00:01",
         identity: str | None = ID) -> list[Advert]:  # fmt: skip
    return [Advert(n / 10, address, rssi, identity) for n in range(int(seconds * 10))]


def test_the_threshold_lies_between_inside_and_outside() -> None:
    found = rule(walk(-65), walk(-85), None)
    assert found is not None
    assert found.identity == ID
    assert -85 < found.enter_rssi <= -62


def test_when_nothing_is_heard_outside_inside_decides() -> None:
    found = rule(walk(-65), [], None)
    assert found is not None
    assert found.enter_rssi == -65


def test_the_loudest_is_meant_or_the_one_that_is_named() -> None:
    mixed = [*walk(-65), *walk(-50, address="C0:00:00:00:00:09", identity=None)]
    loudest, named = rule(mixed, [], None), rule(mixed, [], ID)
    assert loudest is not None
    assert named is not None
    assert (loudest.address, named.identity) == ("C0:00:00:00:00:09", ID)


def test_too_little_is_nothing() -> None:
    assert rule([], [], None) is None
    assert rule(walk(-65), [], "ibeacon:another") is None
    assert rule(walk(-65, 0.5), [], None) is None


def test_the_rest_of_the_file_stays_as_it_was(tmp_path: Path) -> None:
    place = Place(id="shop-021", floor="F3", beacon=[BeaconRule(identity=ID, enter_rssi=-71.5)])
    new = merged(OLD, place)
    assert new.startswith(OLD[: OLD.index('[[place]]\nid = "shop-021"')])
    (tmp_path / "p.toml").write_text(new.replace('floor_model = "mall.json"', ""))
    assert [p.id for p in load(tmp_path / "p.toml").places] == ["shop-020", "shop-021"]
    assert load(tmp_path / "p.toml").places[1] == place
    assert has(new, "shop-021")
    assert not has(new, "shop-022")


@given(NAMES, NAMES)
def test_any_name_is_written_so_that_it_is_read_again(name: str, floor: str) -> None:
    place = Place(id=name, floor=floor, beacon=[BeaconRule(identity=ID, enter_rssi=-71.5)])
    for text in ("", OLD):
        places = tomllib.loads(merged(text, place))["place"]
        assert (places[-1]["id"], places[-1]["floor"]) == (name, floor)
        assert merged(merged(text, place), place) == merged(text, place)


def test_a_file_that_cannot_be_edited_is_left_alone() -> None:
    inline = 'place = [{id = "a", beacon = [{address = "C0:00:00:00:00:01", enter_rssi = -70}]}]\n'
    place = Place(id="b", beacon=[BeaconRule(identity=ID, enter_rssi=-71.5)])
    with pytest.raises(ConfigError, match="cannot be changed"):
        merged(inline, place)


def test_an_overview_shows_the_loudest_first_with_its_place_and_has_a_bound() -> None:
    overview = Overview([Place(id="shop-021", beacon=[BeaconRule(identity=ID, enter_rssi=-70)])])
    for advert in [*walk(-60, 3), *walk(-50, 3, address="C0:00:00:00:00:09", identity=None)]:
        overview.hear(advert)
    loud, ours = overview.rows(3.0)
    assert (loud.place, ours.place, ours.margin_db, ours.interval_s) == (None, "shop-021", 10, 0.1)
    assert overview.rows(60.0) == []
    for n in range(2 * KNOWN):
        overview.hear(Advert(60.0, f"C0:00:00:00:{n >> 8:02X}:{n & 255:02X}", -60))
    assert len(overview.rows(60.0)) == KNOWN
