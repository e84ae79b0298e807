"""Replays: the daemon's policies over recorded tracks."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from agent.positioning.geodesy import distance_m, extrapolate
from agent.positioning.profiles import PROFILES, profile
from agent.positioning.replay import Replayed, run_replay
from drivers.base import DriverError
from drivers.gps.track import COLUMNS, read_track

RIDE = Path(__file__).parents[3] / "config" / "demo" / "ride.csv"
QUIET = profile("seed", moving_s=0, still_s=0)


@pytest.fixture
def ride(tmp_path: Path) -> Path:
    """The demo ride, once a second."""
    path = tmp_path / "ride.csv"
    path.write_text("".join(RIDE.read_text(encoding="utf-8").splitlines(keepends=True)[1:]))
    return path


def test_a_replay_writes_what_was_asked_for(ride: Path, tmp_path: Path) -> None:
    out, fixes, estimates = (tmp_path / name for name in ("m.jsonl", "f.csv", "e.csv"))
    done = run_replay(
        ride, profile=PROFILES["seed"], out=out, fixes_out=fixes, estimates_out=estimates
    )
    messages = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert done.messages == len(messages) > 10
    first = messages[0]
    assert first["t"] == first["sent"] == 0.0
    assert (first["lat"], first["reason"], first["profile"]) == (31.2297705, "wake", "seed")
    for path in (fixes, estimates):
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        assert tuple(rows[0]) == COLUMNS
        assert len(rows) == done.fixes == done.estimates
    assert list(read_track(fixes)) == list(read_track(ride))


def test_nothing_asked_for_is_only_counted(ride: Path) -> None:
    assert run_replay(ride, profile=QUIET).messages > 5


def test_files_that_cannot_be_used_are_errors(ride: Path, tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="cannot be read"):
        run_replay(tmp_path / "none.csv", profile=QUIET)
    with pytest.raises(DriverError, match="cannot be written"):
        run_replay(ride, profile=QUIET, out=tmp_path / "no" / "m.jsonl")


def test_the_server_is_right_about_a_real_drive(recordings: Path, tmp_path: Path) -> None:
    """28 minutes with a modern receiver: no fix is more than 10 m from the server's belief."""
    track = recordings / "gps/google_mtv_f9k/MTV.Local1.ublox-F9K.20200206-181434.nmea.gz"
    done = run_replay(track, profile=QUIET, out=tmp_path / "m.jsonl")
    messages = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    assert done == Replayed(1654, 1654, len(messages), done.rejected)
    assert len(messages) <= 155  # what plain dead reckoning needs
    for fix in read_track(track):
        while len(messages) > 1 and messages[1]["t"] <= fix.t:
            messages.pop(0)
        m = messages[0]
        believed = extrapolate(m["lat"], m["lon"], m["speed"], m["course"], fix.t - m["t"])
        assert fix.lat is not None
        assert fix.lon is not None
        assert distance_m(*believed, fix.lat, fix.lon) <= 10.0
