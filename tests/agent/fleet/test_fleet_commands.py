"""Finding a device, trying it, starting it anew."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from agent.alerting.library import Library
from agent.alerting.signals import Signals
from agent.alerting.speaker import Speaker
from agent.commands.fleet import FleetCommands
from agent.contract.errors import Rejected
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.fleet.commands import CommandTable
from drivers import catalog
from tests.support import ListRecorder


class Device:
    def __init__(self, *, reboot: bool = False, deaf: bool = False) -> None:
        self.clock = ManualClock()
        self.signals = Signals()
        self.sound = catalog.load("sound", "simulated")
        self.restarts = self.reboots = 0
        self.parts: list[tuple[str, int, bytes]] = []
        self.codes: list[int | None] = []  # of the PUBACKs that come first
        settings = self.sound.settings()
        speaker = Speaker(
            self.clock, Health(self.clock), Library("zh"),
            None if deaf else lambda: self.sound.open(settings, self.clock),
        )  # fmt: skip
        self.table = CommandTable(ListRecorder())
        FleetCommands(
            self.clock,
            self.signals,
            speaker,
            self._restart,
            reboot,
            self._reboot,
            self._collect,
            self._deliver,
        ).add_to(self.table)

    def _restart(self) -> None:
        self.restarts += 1

    async def _reboot(self) -> None:
        self.reboots += 1

    async def _collect(self) -> bytes:
        return bytes(range(256)) * 400

    async def _deliver(self, cmd_id: str, part: int, data: bytes) -> int | None:
        self.parts.append((cmd_id, part, data))
        return self.codes.pop(0) if self.codes else 0

    async def ask(self, name: str, **params: Any) -> Any:
        return await self.table.ask(name, params, "cli")


@pytest.mark.parametrize("deaf", [False, True])
def test_a_device_shows_itself_and_goes_back_to_what_it_showed(deaf: bool) -> None:
    async def story() -> None:
        device = Device(deaf=deaf)
        device.signals.light("sos", "on")
        task = asyncio.ensure_future(device.ask("device.identify", seconds=5))
        buzzed = []
        for _ in range(9):
            await device.clock.advance(0.5)
            buzzed.append(device.signals.buzzing)
        assert {True, False} == set(buzzed)
        assert device.signals.shown() == {"alert": "blink", "sos": "blink"}
        device.signals.light("alert", "on")  # an order comes meanwhile
        await device.clock.advance(60)
        assert await task == 5
        assert device.signals.shown() == {"alert": "on", "sos": "on"}
        assert not device.signals.buzzing

    asyncio.run(story())


def test_it_shows_itself_silently_when_asked_to() -> None:
    async def story() -> None:
        device = Device()
        task = asyncio.ensure_future(device.ask("device.identify", seconds=2, sound=False))
        await device.clock.advance(1)
        assert not device.signals.buzzing
        assert set(device.signals.shown().values()) == {"blink"}
        await device.clock.advance(2)
        await task

    asyncio.run(story())


def test_only_clips_that_are_there_are_played() -> None:
    device = Device()
    with pytest.raises(Rejected, match="no clip nonsense"):
        asyncio.run(device.ask("sound.play", clips=["chime", "nonsense"]))
    for hostile in ("../../etc/passwd", "a/b", ""):
        with pytest.raises(Rejected) as refused:
            asyncio.run(device.ask("sound.play", clips=[hostile]))
        assert refused.value.code == "invalid"
    with pytest.raises(Rejected, match="nothing was heard"):
        asyncio.run(Device(deaf=True).ask("sound.play", clips=["chime"]))


def test_a_reboot_is_for_devices_that_allow_it() -> None:
    async def story() -> None:
        device = Device()
        with pytest.raises(Rejected) as refused:
            await device.ask("device.reboot")
        assert (refused.value.code, device.reboots) == ("not_allowed", 0)
        device = Device(reboot=True)
        await device.ask("device.reboot")
        await device.ask("agent.restart")
        assert (device.reboots, device.restarts) == (1, 1)

    asyncio.run(story())


def test_who_is_pinged_says_what_time_it_is_there() -> None:
    answer = asyncio.run(Device().ask("ping"))
    assert (answer["t"], answer["tq"]) == (1_800_000_000_000, "ntp")


def test_what_shops_ask_needs_another_key_than_what_devices_need() -> None:
    scopes = {entry.name: entry.scope for entry in Device().table.entries()}
    assert scopes["sound.play"] == scopes["ping"] == "order"
    assert scopes["agent.restart"] == scopes["device.reboot"] == "ops"


def test_the_shipped_chime_is_there() -> None:
    assert Library("zh").preferred(["chime"]) == [
        Path(__file__).parents[3] / "agent" / "alerting" / "prompts" / "chime.wav"
    ]


def test_a_file_for_support_goes_in_parts_and_each_until_the_broker_has_it() -> None:
    async def story() -> None:
        device = Device()
        device.codes = [0, None, None]
        task = asyncio.ensure_future(device.table.ask("bundle.send", {}, "command:c7:ops-1"))
        await device.clock.advance(60)
        answer = await task
        assert [(cmd, part) for cmd, part, _ in device.parts] == [
            ("c7", 0), ("c7", 1), ("c7", 1), ("c7", 1), ("c7", 2), ("c7", 3),
        ]  # fmt: skip
        whole = b"".join({part: data for _, part, data in device.parts}.values())
        assert whole == bytes(range(256)) * 400
        assert answer["sha256"] == hashlib.sha256(whole).hexdigest()
        assert (answer["parts"], answer["bytes"]) == (4, len(whole))

    asyncio.run(story())


def test_parts_that_nobody_wants_are_not_sent_on() -> None:
    async def story() -> None:
        device = Device()
        device.codes = [0x10]
        with pytest.raises(Rejected) as refused:
            await device.table.ask("bundle.send", {}, "command:c7")
        assert (refused.value.code, len(device.parts)) == ("nobody_listens", 1)
        with pytest.raises(Rejected, match="edge-agent bundle"):
            await device.ask("bundle.send")

    asyncio.run(story())
