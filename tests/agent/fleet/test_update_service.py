"""The agent's part in an update: a request, a proof, and one event for each end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from agent.contract.errors import Rejected
from agent.contract.events import Update
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.fleet.box import REQUEST, VERDICT, Request, Verdict, left
from agent.fleet.slots import Result, Slots, Trial
from agent.fleet.update_service import STEADY_S, UpdateService
from agent.store.database import Database
from drivers.base import DriverError
from tests.support import ListRecorder, until


class Device:
    def __init__(self, folder: Path, slot: str = "old") -> None:
        self.clock = ManualClock()
        self.health = Health(self.clock)
        self.database = Database(folder / "agent.db", self.clock, self.health)
        self.recorder = ListRecorder()
        self.slots = Slots(folder / "opt", folder / "state")
        self.box = folder / "update"
        self.troubles: set[str] = set()
        self.confirmed = False
        self.announced: list[bool] = []
        self.service = UpdateService(
            self.slots,
            self.box,
            self.database,
            self.clock,
            lambda: self.troubles,
            self.recorder,
            lambda _seq: self.confirmed,
            self._announce,
            prefix=folder / "opt" / "slots" / slot,
        )

    async def _announce(self) -> None:
        self.announced.append(self.service.trying)

    def states(self) -> list[str]:
        return [body.state for body in self.recorder.bodies if isinstance(body, Update)]

    def verdict(self) -> Verdict | None:
        return left(self.box / VERDICT, Verdict)

    async def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            await self.clock.advance(1.0)

    async def tell(self, result: Result) -> None:
        """As the updater does at its end."""
        self.slots.conclude(result)
        (self.slots.state / "trial.json").unlink(missing_ok=True)
        (self.box / REQUEST).unlink(missing_ok=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    slots = Slots(tmp_path / "opt", tmp_path / "state")
    slots.state.mkdir()
    for name in ("old", "new"):
        slots.path(name).mkdir(parents=True)
        slots.seal(name)
    slots.switch("old")
    (tmp_path / "update").mkdir()
    return tmp_path


def play(device: Device, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        await device.database.open()
        beat = Heartbeat("update", device.clock, device.health)
        running = asyncio.ensure_future(device.service.run(beat))
        try:
            await story()
        finally:
            running.cancel()
            await asyncio.wait([running])
            await device.database.close()
        if not running.cancelled():
            running.result()

    asyncio.run(whole())


def test_a_release_is_asked_for_once(folder: Path) -> None:
    device = Device(folder)

    async def story() -> None:
        asked = await device.service.start("1.1")
        assert left(device.box / REQUEST, Request) == Request(asked, "1.1")
        assert device.states() == ["requested"]
        with pytest.raises(Rejected, match=r"1\.1 is on its way"):
            await device.service.start("1.2")
        with pytest.raises(Rejected, match="no version"):
            await device.service.start("../1")

    play(device, story)


def test_an_agent_outside_of_slots_says_so(folder: Path) -> None:
    device = Device(folder)
    device.slots.link.unlink()

    async def story() -> None:
        with pytest.raises(Rejected, match="not installed in slots"):
            await device.service.start("1.1")

    play(device, story)


def test_how_an_update_ended_is_told_once_whoever_runs_then(folder: Path) -> None:
    device = Device(folder)

    async def story() -> None:
        asked = await device.service.start("1.1")
        await device.tell(Result(asked, "1.1", "new", "failed", "space: make room"))
        await device.pass_time(2)
        await until(lambda: device.states() == ["requested", "failed"])

    play(device, story)
    again = Device(folder)

    async def later() -> None:
        await again.pass_time(3)
        assert again.states() == []

    play(again, later)


def test_the_proof_needs_the_back_end_s_word_and_quiet(folder: Path) -> None:
    trial = Trial("new", "old", "1.1", "r1")
    Slots(folder / "opt", folder / "state").begin(trial)
    device = Device(folder, slot="new")

    async def story() -> None:
        await until(lambda: device.states() == ["trying"])
        await device.pass_time(60)
        assert device.verdict() is None  # nobody confirmed
        device.troubles = {"service.gps"}
        device.confirmed = True
        await device.pass_time(30)
        assert device.verdict() is None
        device.troubles = set()
        await device.pass_time(STEADY_S + 3)
        await until(lambda: device.verdict() == Verdict("r1", "new"))
        assert device.service.trying
        await device.tell(device.slots.keep(trial))
        await device.pass_time(2)
        await until(lambda: device.announced == [False])
        assert device.service.status()["last"] == "1.1 kept"

    play(device, story)


def test_trouble_from_before_is_not_held_against_a_release(folder: Path) -> None:
    old = Device(folder)
    old.troubles = {"sound"}

    async def ask() -> None:
        await old.service.start("1.1")

    play(old, ask)
    new = Device(folder, slot="new")
    new.troubles = {"sound"}
    new.confirmed = True
    new.slots.begin(Trial("new", "old", "1.1", "r1"))

    async def story() -> None:
        await until(lambda: new.states() == ["trying"])
        await new.pass_time(STEADY_S + 3)
        await until(lambda: new.verdict() is not None)

    play(new, story)


def test_another_slot_s_trial_is_none_of_our_business(folder: Path) -> None:
    device = Device(folder, slot="old")
    device.confirmed = True
    device.slots.begin(Trial("new", "old", "1.1", "r1"))

    async def story() -> None:
        await device.pass_time(60)
        assert device.verdict() is None
        assert device.states() == []

    play(device, story)


@pytest.mark.parametrize("name", ["trial.json", "result.json"])
def test_a_damaged_file_of_the_updater_s_is_told_and_harms_nobody(folder: Path, name: str) -> None:
    (folder / "state" / name).write_text("{")
    device = Device(folder)
    assert not device.service.trying
    with pytest.raises(DriverError, match="cannot be read"):
        play(device, lambda: device.pass_time(1))
