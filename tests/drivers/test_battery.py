"""The charge as the kernel says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.battery import charge


@pytest.mark.parametrize(
    ("supplies", "wanted"),
    [
        ({}, None),
        ({"BAT0": {"type": "Battery", "capacity": "57"}}, 0.57),
        ({"a": {"type": "Battery", "capacity": "57"}, "b": {"type": "UPS", "capacity": "9"}}, 0.09),
        ({"AC": {"type": "Mains", "online": "1"}}, None),
        ({"mouse": {"type": "Battery", "scope": "Device", "capacity": "5"}}, None),
        ({"BAT0": {"type": "Battery"}}, None),
        ({"BAT0": {"type": "Battery", "capacity": "\x1b[31m"}}, None),
        ({"BAT0": {"type": "Battery", "capacity": "250"}}, None),
    ],
)  # fmt: skip
def test_charge(tmp_path: Path, supplies: dict[str, dict[str, str]], wanted: float | None) -> None:
    for name, files in supplies.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text + "\n")
    assert charge(tmp_path) == wanted


def test_a_machine_without_such_a_folder_has_no_battery(tmp_path: Path) -> None:
    assert charge(tmp_path / "none") is None
