"""A small fleet against a real mosquitto: kills, cuts and restarts, and every command ends once."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
from pathlib import Path

import pytest

from agent.core.clock import SystemClock
from agent.swarm.conductor import Conductor
from agent.swarm.ledger import Ledger, Row, effects
from tests.support import free_port

TLS = importlib.util.find_spec("cryptography") is not None


@pytest.mark.skipif(
    shutil.which("mosquitto", path="/usr/sbin:/usr/bin") is None, reason="no mosquitto"
)
def test_every_command_ends_once_whatever_is_killed(tmp_path: Path) -> None:
    async def play() -> Conductor:
        conductor = Conductor(
            tmp_path, SystemClock(trusted=True),
            count=6, crowds=2, tls=TLS, seed=3, port=free_port(),
        )  # fmt: skip
        async with conductor.open():
            await conductor.measure_commands(20, 200)
            await conductor.measure_reconnect()
            await conductor.chaos(60, 20)
            conductor.judge()
        return conductor

    verdict = asyncio.run(play()).verdict
    assert (verdict.open, verdict.executed_twice, verdict.ended_twice) == (0, 0, 0)
    assert verdict.missing_effects == 0
    assert verdict.commands == 80
    assert verdict.ends["succeeded"] >= 20
    assert sum(verdict.faults.values()) > 0


def test_what_was_running_when_a_crowd_died_is_found_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "a")
    ledger.commit(
        [("d1", "c1", "running"), ("d1", "c2", "succeeded")],
        [Row("d1", 1, b"x"), Row("d1", 2, b"y")],
        [],
        [("d1", 7)],
    )
    ledger.effect("d1", "c2")
    ledger.close()
    again = Ledger(tmp_path, "a")
    assert again.open_commands() == [("d1", "c1", "running")]
    assert again.devices() == {"d1": (2, 7)}
    assert [row.seq for row in again.waiting("d1")] == [1, 2]
    assert again.known("d1", "c2")
    again.commit([], [], [("d1", 1)])
    assert [row.seq for row in again.waiting("d1")] == [2]
    assert effects(tmp_path) == ["d1 c2"]
    again.close()
