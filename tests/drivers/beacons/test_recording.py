from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.clock import ManualClock
from drivers.base import Advert, DriverError
from drivers.beacons.recording import NotARecording, read, valid_rssi
from drivers.beacons.replay import Settings, open_scanner, read_adverts

HEADER = "t,address,uuid,major,minor,tx_power,rssi"
UUID = "9195b3ad-a9d0-4500-85ff-9fb0f65a5201"
ROWS = [
    HEADER,
    f"100.0,aa:bb:cc:00:00:01,{UUID},1,2,-59,-70",
    "100.5,AA:BB:CC:00:00:02,,,,,-81",
    "102.0,AA:BB:CC:00:00:01,,,,,-71",
]


def test_a_recording_gives_its_adverts() -> None:
    rejected: Counter[str] = Counter()
    adverts = list(read(ROWS, rejected))
    assert adverts[0] == Advert(100.0, "AA:BB:CC:00:00:01", -70, f"ibeacon:{UUID}/1/2", -59)
    assert adverts[1] == Advert(100.5, "AA:BB:CC:00:00:02", -81)
    assert not rejected


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        ("nan,AA:BB:CC:00:00:01,,,,,-70", "not_an_advert"),
        ("101,AA:BB:CC:00:00,,,,,-70", "not_an_advert"),
        ("101,AA:BB:CC:00:00:01,,,,,loud", "not_an_advert"),
        ("101,AA:BB:CC:00:00:01,no-uuid,1,2,-59,-70", "not_an_advert"),
        ("101,AA:BB:CC:00:00:01", "not_an_advert"),
        ("101,AA:BB:CC:00:00:01,,,,,127", "rssi_unknown"),
        ("101,AA:BB:CC:00:00:01,,,,,inf", "rssi_unknown"),
        ("99,AA:BB:CC:00:00:01,,,,,-70", "out_of_order"),
    ],
)
def test_a_row_that_makes_no_sense_is_counted(row: str, cause: str) -> None:
    rejected: Counter[str] = Counter()
    assert len(list(read([*ROWS[:3], row, ROWS[3]], rejected))) == 3
    assert rejected == {cause: 1}


@pytest.mark.parametrize("lines", [[], [""], ["t,rssi", "1,-70"], ["\0"]])
def test_a_file_without_its_columns_is_no_recording(lines: list[str]) -> None:
    with pytest.raises(NotARecording):
        list(read(lines, Counter()))


@settings(max_examples=200)
@given(st.lists(st.text(max_size=60), max_size=20))
def test_any_text_gives_adverts_or_counts(lines: list[str]) -> None:
    rejected: Counter[str] = Counter()
    adverts = list(read(["t,address,rssi", *lines], rejected))
    assert all(valid_rssi(advert.rssi) for advert in adverts)


@settings(max_examples=100)
@given(st.text(alphabet="0123456789.,-:ABCeinf\"'\r\n", max_size=200))
def test_almost_adverts_give_adverts_or_counts(text: str) -> None:
    list(read(f"t,address,rssi\n1,AA:BB:CC:00:00:01,{text}".splitlines(keepends=True), Counter()))


def test_a_replay_keeps_the_rhythm_of_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "walk.csv"
    path.write_text("\n".join(ROWS))
    clock = ManualClock(monotonic=50.0)

    async def main() -> list[tuple[float, int]]:
        heard: list[tuple[float, int]] = []

        async def listen() -> None:
            async with open_scanner(Settings(path=str(path), speed=2.0), clock) as scanner:
                heard.extend([(a.t, a.rssi) async for a in scanner.adverts()])

        async with asyncio.TaskGroup() as group:
            group.create_task(listen())
            await clock.advance(5)
        return heard

    assert asyncio.run(main()) == [(50.0, -70), (50.25, -81), (51.0, -71)]


def test_a_missing_or_foreign_recording_is_named(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="cannot be read"):
        list(read_adverts(tmp_path / "none.csv", Counter()))
    (tmp_path / "odd.csv").write_bytes(b"\xff\xfe,\n1,2\n")
    with pytest.raises(DriverError, match="no column t, address, rssi"):
        list(read_adverts(tmp_path / "odd.csv", Counter()))
