"""What nmcli and mmcli print, and what becomes of it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.clock import SystemClock
from drivers.base import AccessPoint, Cell, DriverError, Sighting
from drivers.surroundings import mmcli, nmcli

LIST = r"""24\:A4\:3C\:01\:02\:03:82:6:cafe\: upstairs
24\:A4\:3C\:01\:02\:04:95:11:
24\:A4\:3C\:01\:02\:05:60:36:mine_nomap
nonsense
24\:A4\:3C\:01\:02\:06:101:6:too loud
"""


def cell(**network: str) -> str:
    return json.dumps({"modem": {"location": {"3gpp": network, "gps": {"nmea": []}}}})


def test_the_loudest_come_first_and_who_wants_no_map_is_left_out() -> None:
    rejected: Counter[str] = Counter()
    assert nmcli.parse(LIST, rejected) == (
        AccessPoint("24:A4:3C:01:02:04", 95, 11),
        AccessPoint("24:A4:3C:01:02:03", 82, 6),
    )
    assert rejected == {"wifi_nomap": 1, "wifi_line": 2}


def test_at_most_twenty_are_told() -> None:
    lines = "\n".join(rf"24\:A4\:3C\:01\:02\:{n:02X}:{n}:6:x" for n in range(60))
    assert [p.signal for p in nmcli.parse(lines, Counter())] == list(range(59, 39, -1))


@pytest.mark.parametrize(
    ("network", "found"),
    [
        ({"mcc": "460", "mnc": "00", "lac": "FFFE", "tac": "0018D2", "cid": "06A3B102"},
         Cell(460, 0, 0x18D2, 0x06A3B102)),
        ({"mcc": "262", "mnc": "02", "lac": "1A2B", "tac": "000000", "cid": "C0DE"},
         Cell(262, 2, 0x1A2B, 0xC0DE)),
        ({"mcc": "--", "mnc": "--", "lac": "--", "tac": "--", "cid": "--"}, None),
        ({"mcc": "460", "mnc": "00", "lac": "FFFE", "tac": "--", "cid": "1"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_a_cell_is_told_only_whole(network: dict[str, str], found: Cell | None) -> None:
    assert mmcli.parse(cell(**network), Counter()) == found


@given(st.text().filter(lambda text: '"modem"' not in text))
def test_any_text_is_read_or_counted(text: str) -> None:
    nmcli.parse(text, Counter())
    with pytest.raises(DriverError, match="not understood"):
        mmcli.parse(text, Counter())


def tool(folder: Path, script: str) -> str:
    path = folder / "tool"
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)
    return str(path)


def look(path: str) -> Sighting:
    async def main() -> Sighting:
        settings = nmcli.Settings(tool=path)
        async with nmcli.DRIVER.open(settings, SystemClock()) as surroundings:
            return await surroundings.look()

    return asyncio.run(main())


def test_the_tool_is_asked(tmp_path: Path) -> None:
    asked = "[ \"$*\" = '-t -f BSSID,SIGNAL,CHAN,SSID device wifi list --rescan auto' ] || exit 9"
    path = tool(tmp_path, f"{asked}\nprintf '24\\\\:A4\\\\:3C\\\\:01\\\\:02\\\\:03:82:6:x\\n'")
    assert look(path).wifi == (AccessPoint("24:A4:3C:01:02:03", 82, 6),)


@pytest.mark.parametrize(
    ("script", "words"),
    [(None, "apt install network-manager"), ("echo no radio >&2; exit 8", "no radio")],
)
def test_a_tool_that_fails_is_said_in_words(tmp_path: Path, script: str | None, words: str) -> None:
    path = str(tmp_path / "missing") if script is None else tool(tmp_path, script)
    with pytest.raises(DriverError, match=words):
        look(path)
