"""The store dies at a call that writes, and what it promised is there. All: bench/torture.py."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tests.crashes.judge import Call, build, judge, live, power_cuts, read_log

KILLS = 10
CUTS = 80


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = build(tmp_path_factory.mktemp("shim"))
    if library is None:
        pytest.skip("needs a C compiler and Linux")
    return library


@pytest.fixture(scope="module")
def calls(shim: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    """Of two whole lives on one folder."""
    folder = tmp_path_factory.mktemp("whole")
    log = shim.parent / "log"
    for seed in (1, 1001):
        assert not live(shim, folder, seed, log=log)
    judge(folder)
    return read_log(log)


def test_what_is_promised_survives_a_kill_at_any_call(
    shim: Path, calls: list[Call], tmp_path: Path
) -> None:
    half = len(calls) // 2
    for number, at in enumerate(range(1, half, half // KILLS)):
        folder = tmp_path / "store"
        folder.mkdir()
        live(shim, folder, 1, at=at, tear=bool(number % 2))
        judge(folder)
        shutil.rmtree(folder)


def test_what_is_promised_survives_a_power_cut_at_any_call(
    calls: list[Call], tmp_path: Path
) -> None:
    share = CUTS / len(calls)
    for _ in power_cuts(calls, tmp_path / "store", random.Random(1), each=1, share=share):
        judge(tmp_path / "store")
