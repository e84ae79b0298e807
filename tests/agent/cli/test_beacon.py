"""What the radio hears, on the command line; the radio is a recording."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import pytest

from agent.arrival import fingerprints
from agent.arrival.overview import Row
from agent.arrival.places import load
from agent.cli import main
from agent.cli.beacon import screen
from drivers.beacons import recording

UUID = "7e6985df-4aa3-4bda-bb8b-9f11bf8077a0"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A rider whose radio plays 20 s of a beacon in a fifth of a second."""
    lines = ["t,address,rssi,uuid,major,minor,tx_power,identity"]
    lines += [f"{n / 10},C0:00:00:00:00:01,{-60 - n % 5},{UUID},21,1,-59," for n in range(200)]
    (tmp_path / "adverts.csv").write_text("\n".join(lines))
    file = tmp_path / "c.toml"
    file.write_text(
        f"role='rider'\n[device]\nid='r'\n[store]\npath='{tmp_path}/a.db'\n[position]\n"
        f"[beacons]\ndriver='replay'\nplaces='{tmp_path}/places.toml'\n"
        f"[beacons.replay]\npath='{tmp_path}/adverts.csv'\nspeed=100\n"
    )
    return file


def test_scan_shows_who_is_heard(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent / "places.toml").write_text(
        f'[[place]]\nid="shop"\n[[place.beacon]]\nidentity="ibeacon:{UUID}/21/1"\nenter_rssi=-70\n'
    )
    assert main(["beacon", "scan", "--config", str(config)]) == 0
    out = capsys.readouterr().out
    assert "C0:00:00:00:00:01" in out
    assert "shop +" in out
    assert main(["beacon", "scan", "--json", "--config", str(config)]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["beacons"][0]["identity"] == f"ibeacon:{UUID}/21/1"


def test_a_hostile_identity_does_not_reach_the_terminal() -> None:
    row = Row("C0:00:00:00:00:01", "eddystone-url:\x1b]0;x\x07\u202e", -60.0, 1, None, 0, "a\nb", 1)
    shown = screen([row])
    assert shown.count("\n") == 1
    assert all(character.isprintable() or character == "\n" for character in shown)


def test_learn_measures_writes_and_asks_before_it_replaces(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    places = config.parent / "places.toml"
    learn = ["beacon", "learn", "shop", "--floor", "F3", "--config", str(config)]
    learn += ["--set", "beacons.replay.speed=8"]  # a threshold wants some seconds
    with pytest.raises(SystemExit):
        main([*learn, "--seconds", "0"])
    places.write_text("# ours\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("\n\ny\n"))
    assert main(learn) == 0
    assert places.read_text().startswith("# ours\n")
    (place,) = load(places).places
    assert (place.id, place.floor) == ("shop", "F3")
    assert place.beacon[0].identity == f"ibeacon:{UUID}/21/1"
    before = places.read_bytes()
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert main(learn) == 1
    assert places.read_bytes() == before
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(learn) == 1
    assert "--yes asks nothing" in capsys.readouterr().err


def test_two_floors_are_walked_about_and_a_place_adds_to_its_own(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprints, "WINDOW_S", 0.4)
    places = config.parent / "places.toml"
    places.write_text("# ours\n")
    at = ["--config", str(config), "--set", "beacons.replay.speed=16"]
    slow = ["--config", str(config), "--set", "beacons.replay.speed=8"]  # for a threshold

    def windows() -> tuple[int, ...]:
        found = json.loads((config.parent / "floors.json").read_text())["windows"]
        return tuple(found[floor] for floor in ("F1", "F2"))

    assert main(["beacon", "floor", "F1", "--yes", *at]) == 0
    assert "one floor alone" in capsys.readouterr().out
    assert places.read_text() == 'floor_model = "floors.json"\n\n# ours\n'
    assert main(["beacon", "floor", "F2", "--yes", *at]) == 0
    before = windows()
    assert min(before) >= 3
    assert main(["beacon", "floor", "F2", "--add", "--yes", *at]) == 0
    assert windows()[0] == before[0]
    assert windows()[1] >= before[1] + 3
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert main(["beacon", "floor", "F2", *at]) == 1
    assert main(["beacon", "learn", "shop", "--floor", "F1", "--yes", *slow]) == 0
    assert windows()[0] >= before[0] + 3
    found = load(places)
    assert found.floor_model is not None
    assert (found.building, [place.floor for place in found.places]) == ("floors", ["F1"])


def test_a_walk_without_beacons_is_told_and_changes_nothing(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (config.parent / "adverts.csv").write_text("t,address,rssi\n0,C0:00:00:00:00:01,-60\n")
    assert main(["beacon", "floor", "F1", "--yes", "--config", str(config)]) == 1
    assert "half a minute" in capsys.readouterr().err
    assert not (config.parent / "places.toml").exists()


def test_what_is_recorded_is_what_replay_reads(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "heard.csv"
    assert main(["sim", "record", str(out), "--config", str(config)]) == 0
    rejected: Counter[str] = Counter()
    with out.open() as lines:
        heard = list(recording.read(lines, rejected))
    assert not rejected
    assert len(heard) == 200
    assert {(a.identity, a.power_1m) for a in heard} == {(f"ibeacon:{UUID}/21/1", -59)}
    assert (config.parent / "adverts.csv").read_text().splitlines()[0].split(",") == list(
        recording.COLUMNS
    )
