from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from agent.arrival.replay import main, run_replay
from agent.layers import ConfigError
from drivers.base import DriverError

A, OTHER = "aa:bb:cc:00:00:01", "aa:bb:cc:00:00:99"
PLACES = f"""
[[place]]
id = "shop"
floor = "3F"
[[place.beacon]]
address = "{A}"
enter_rssi = -70
"""
MODEL = {
    "window_s": 10.0,
    "bin_edges_dbm": [-80],
    "windows": {"2F": 50, "3F": 50},
    "beacons": {A: {"3F": [5, 40]}},
}


def recording(folder: Path, *stretches: tuple[float, float, int]) -> Path:
    """A beacon at an RSSI from..to, twice a second, and someone else all the time."""
    path = folder / "walk.csv"
    rows = ["t,address,rssi"]
    for start, end, rssi in stretches:
        for n in range(int((end - start) * 2)):
            rows += [f"{start + n / 2},{A},{rssi}", f"{start + n / 2},{OTHER},-85"]
    path.write_text("\n".join(rows))
    return path


def replayed(folder: Path, adverts: Path, places: str = PLACES) -> list[dict[str, Any]]:
    (folder / "places.toml").write_text(places)
    out = folder / "events.jsonl"
    run_replay(adverts, places=folder / "places.toml", out=out)
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_a_recorded_stay_gives_its_events_in_the_recordings_time(tmp_path: Path) -> None:
    adverts = recording(tmp_path, (1.5e9, 1.5e9 + 30, -60), (1.5e9 + 30, 1.5e9 + 60, -90))
    events = replayed(tmp_path, adverts)
    assert [(e["event"], e["place"]) for e in events] == [
        ("enter", "shop"),
        ("arrived", "shop"),
        ("exit", "shop"),
    ]
    assert all(1.5e9 <= e["t"] <= e["said"] <= 1.5e9 + 60 for e in events)
    assert events[0]["floor"] == "3F"
    assert "confidence" not in events[0]
    assert "floor" not in events[2]


def test_with_a_floor_model_answers_have_confidence_and_can_be_withdrawn(tmp_path: Path) -> None:
    (tmp_path / "mall.json").write_text(json.dumps(MODEL))
    adverts = recording(tmp_path, (1.5e9, 1.5e9 + 30, -60), (1.5e9 + 900, 1.5e9 + 901, -90))
    events = replayed(tmp_path, adverts, 'floor_model = "mall.json"\n' + PLACES)
    first, *later = [e for e in events if e["event"] == "floor"]
    assert (first["place"], first["floor"]) == ("mall", "3F")
    assert first["confidence"] > 0.5
    assert any(e["floor"] is None and e["evidence"]["cause"] for e in later)


def test_a_hole_in_a_recording_is_unknown_and_then_judged_anew(tmp_path: Path) -> None:
    adverts = recording(tmp_path, (1.5e9, 1.5e9 + 30, -60), (1.5e9 + 900, 1.5e9 + 930, -60))
    words = [e["event"] for e in replayed(tmp_path, adverts)]
    assert words == ["enter", "arrived", "unknown", "enter", "arrived"]


def test_the_command_tells_of_rows_that_it_could_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adverts = recording(tmp_path, (1.5e9, 1.5e9 + 2, 127))
    (tmp_path / "places.toml").write_text(PLACES)
    arguments = argparse.Namespace(
        adverts=adverts, places=tmp_path / "places.toml", out=tmp_path / "o.jsonl"
    )
    assert main(arguments) == 0
    assert "4 rssi_unknown" in capsys.readouterr().err


def test_missing_files_are_named(tmp_path: Path) -> None:
    places = tmp_path / "places.toml"
    with pytest.raises(ConfigError):
        run_replay(tmp_path / "none.csv", places=places, out=tmp_path / "o")
    places.write_text(PLACES)
    with pytest.raises(DriverError, match="cannot be read"):
        run_replay(tmp_path / "none.csv", places=places, out=tmp_path / "o")
    with pytest.raises(DriverError, match="cannot be written"):
        run_replay(recording(tmp_path, (0, 1, -60)), places=places, out=tmp_path / "no" / "o")


def test_a_walk_in_a_real_room_enters_and_leaves_calmly(recordings: Path, tmp_path: Path) -> None:
    """A beacon carried past twelve sensors; each stands for a shop with a threshold of -60 dBm."""
    source = recordings / "ble" / "danis" / "straight_05_all_sensors.mbd.gz"
    rows, senders = ["t,address,rssi"], set()
    with gzip.open(source, "rt") as lines:
        for t, address, _, rssi, *_ in sorted(line.split(",") for line in lines):
            digits = address.replace(":", "").lower()
            sender = ":".join(digits[n : n + 2] for n in range(0, 12, 2))
            senders.add(sender)
            rows.append(f"{t},{sender},{rssi}")
    adverts = tmp_path / "walk.csv"
    adverts.write_text("\n".join(rows))
    places = "\n".join(
        f'[[place]]\nid = "{s}"\n[[place.beacon]]\naddress = "{s}"\nenter_rssi = -60\n'
        for s in sorted(senders)
    )
    events = replayed(tmp_path, adverts, places)
    enters = sum(e["event"] == "enter" for e in events)
    assert 5 <= enters <= 40  # in 150 s, twelve sensors; the raw RSSI crosses hundreds of times
    assert "unknown" not in {e["event"] for e in events}
