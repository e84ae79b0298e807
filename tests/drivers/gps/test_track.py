"""Recorded tracks as fixes in the recording's own time."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import pytest

from drivers.base import DriverError
from drivers.gps.track import read_track
from tests.drivers.gps.talker import START, epoch

NMEA = b"".join(epoch(START + n, 31.0 + n / 1e4, 121.0) for n in range(5))


@pytest.mark.parametrize("name", ["ride.nmea", "ride.log", "ride.nmea.gz"])
def test_nmea_is_read_in_the_receivers_time(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(NMEA) if name.endswith(".gz") else NMEA)
    fixes = list(read_track(path))
    assert [fix.t for fix in fixes] == [START + n for n in range(5)]
    assert fixes[4].lat == pytest.approx(31.0004)


def test_csv_is_read_with_blanks_as_unknown(tmp_path: Path) -> None:
    path = tmp_path / "ride.csv"
    path.write_text(
        "t,lat,lon,speed,course,sigma\n1,31.0,121.0,5.0,90,2\n2,31.1,121.0,,,\n3,,121.0,,,\n"
        "x,1,2,,,\n2,31.1,121.0,,,\n4,1\n"
    )
    rejected = Counter[str]()
    one, two, three, four = read_track(path, rejected)
    assert (one.t, one.lat, one.speed, one.course, one.sigma, one.mode) == (1, 31, 5, 90, 2, 3)
    assert (two.speed, two.course, two.sigma) == (None, None, None)
    assert three.mode == four.mode == 1
    assert rejected == {"malformed": 1, "time does not increase": 1}


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\xff\x00"])
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ride.csv"
    path.write_bytes(content)
    with pytest.raises(DriverError, match="must name t,lat,lon"):
        list(read_track(path))


def test_a_missing_or_damaged_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="cannot be read"):
        list(read_track(tmp_path / "none.nmea"))
    half = tmp_path / "half.nmea.gz"
    half.write_bytes(gzip.compress(NMEA)[:-20])
    with pytest.raises(DriverError, match="cannot be read"):
        list(read_track(half))


def test_a_table_of_a_spreadsheet_is_read_and_times_beyond_all_years_are_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ride.csv"
    path.write_bytes(b"\xef\xbb\xbft,lat,lon\r\n1e308,31,121\r\ninf,31,121\r\n7,31.0,121.0\r\n")
    rejected = Counter[str]()
    (fix,) = read_track(path, rejected)
    assert (fix.t, fix.lat) == (7, 31)
    assert rejected == {"malformed": 2}
