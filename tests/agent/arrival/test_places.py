from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.arrival.places import load
from agent.layers import ConfigError

UUID = "9195B3AD-A9D0-4500-85FF-9FB0F65A5201"
MODEL = {
    "window_s": 10.0,
    "bin_edges_dbm": [-80],
    "windows": {"1F": 3},
    "beacons": {"aa:bb:cc:00:00:01": {"1F": [1, 2]}},
}


def written(folder: Path, text: str) -> Path:
    path = folder / "places.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load(written(folder, text))
    return error.value.problems


def test_places_are_read_in_the_spelling_of_the_drivers(tmp_path: Path) -> None:
    (tmp_path / "mall.json").write_text(json.dumps(MODEL))
    text = f"""
    floor_model = "mall.json"
    [[place]]
    id = "shop-021"
    floor = "3F"
    [[place.beacon]]
    address = "aa:bb:cc:00:00:01"
    identity = "ibeacon:{UUID}/1/2"
    enter_rssi = -70
    [[place]]
    id = "shop-022"
    [[place.beacon]]
    identity = "eddystone-url:https://Example.com/"
    enter_rssi = -70.5
    """
    places = load(written(tmp_path, text))
    first, second = places.places
    assert first.beacon[0].address == "AA:BB:CC:00:00:01"
    assert first.beacon[0].identity == f"ibeacon:{UUID.lower()}/1/2"
    assert second.beacon[0].identity == "eddystone-url:https://Example.com/"
    assert second.floor is None
    assert places.building == "mall"
    assert places.floor_model is not None
    assert list(places.floor_model.beacons) == ["AA:BB:CC:00:00:01"]


def test_every_problem_is_listed(tmp_path: Path) -> None:
    text = """
    floor_model = "none.json"
    [[place]]
    id = "a"
    [[place]]
    id = "b"
    [[place.beacon]]
    adress = "AA:BB:CC:00:00:01"
    enter_rssi = -70
    [[place]]
    id = "c"
    [[place.beacon]]
    enter_rssi = -70
    [[place.beacon]]
    address = "AABBCC000001"
    identity = "ibeacon:7"
    enter_rssi = -70
    [[place]]
    id = "c"
    [[place.beacon]]
    address = "AA:BB:CC:00:00:01"
    enter_rssi = 70
    """
    found = "\n".join(problems(tmp_path, text))
    for expected in (
        "none.json: cannot be read",
        "'a': has no [[place.beacon]]",
        "'b': Object contains unknown field `adress`",
        "'c': a beacon needs an address or an identity",
        "address 'AABBCC000001' is not like",
        "identity 'ibeacon:7' is not like",
        "<= 0",
    ):
        assert expected in found


def test_a_place_listed_twice_is_told(tmp_path: Path) -> None:
    place = (
        '[[place]]\nid = "a"\n[[place.beacon]]\naddress = "AA:BB:CC:00:00:01"\nenter_rssi = -7\n'
    )
    assert any("listed twice" in line for line in problems(tmp_path, place * 2))


@pytest.mark.parametrize(
    "text", ["[[place", 'place = "x"', "floor_model = 7", "places = []", "place = [1]"]
)
def test_a_file_of_another_kind_is_told(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text)


@pytest.mark.parametrize(
    "model", ["", "[]", "{}", json.dumps({**MODEL, "bin_edges_dbm": [-80, 1]})]
)
def test_a_broken_floor_model_is_told(tmp_path: Path, model: str) -> None:
    (tmp_path / "mall.json").write_text(model)
    assert any("mall.json" in line for line in problems(tmp_path, 'floor_model = "mall.json"'))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "places.toml")


@settings(max_examples=60)
@given(st.text(alphabet='[]"=\n ab1.-{}place', max_size=80))
def test_any_text_is_places_or_problems(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = written(tmp_path_factory.getbasetemp(), text)
    with contextlib.suppress(ConfigError):
        load(path)
