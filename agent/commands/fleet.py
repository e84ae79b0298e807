"""For who looks after many devices from afar: is it there, which one is it, start it anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from agent import __version__
from agent.alerting.signals import Signals
from agent.alerting.speaker import Speaker
from agent.commands.params import Params
from agent.contract.errors import Rejected
from agent.core.clock import Clock
from agent.fleet.commands import CommandTable
from agent.fleet.sending import send
from agent.fleet.table import Tell
from agent.fleet.throttle import PAPER

PULSE_S = 0.5  # of the buzzer
BUNDLE_S = 1800.0
CHIME_S = 4.0  # between two chimes

Clip = Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,32}$")]


class Identify(Params, frozen=True):
    seconds: Annotated[float, Meta(ge=1, le=60)] = 15.0
    sound: bool = True  # also buzzer and chime; else lights only


class Play(Params, frozen=True):
    clips: Annotated[list[Clip], Meta(min_length=1, max_length=8)]  # names of files, without .wav


@dataclass(slots=True)
class FleetCommands:
    clock: Clock
    signals: Signals
    speaker: Speaker  # one of its own, for tests of the sound
    restart: Callable[[], None]
    reboot_allowed: bool
    reboot_machine: Callable[[], Awaitable[None]]
    collect: Callable[[], Awaitable[bytes]]  # one file for support
    deliver: Callable[
        [str, int, bytes], Awaitable[int | None]
    ]  # (cmd_id, part, bytes); see sending

    def add_to(self, table: CommandTable) -> None:
        add = table.add
        add("ping", "Is it there, and what time is it there?", self.ping, changes=False)
        add(
            "device.identify", "Lights, buzzer and chime, so that a person finds it.",
            self.identify, Identify, nature="repeatable", slow=True, cost=PAPER, deadline_s=90,
        )  # fmt: skip
        add(
            "sound.play", "Play these clips.", self.play, Play,
            slow=True, cost=PAPER, deadline_s=120,
        )  # fmt: skip
        add(
            "bundle.send",
            "Send one file for support, in parts to bundle/{cmd_id}/{part}.",
            self.send_bundle,
            changes=False,
            tells=True,
            slow=True,
            cost=PAPER,
            deadline_s=BUNDLE_S,
        )
        add(
            "agent.restart", "Start the agent anew.", self.start_anew,
            nature="restart", dangerous=True, slow=True,
        )  # fmt: skip
        add(
            "device.reboot", "Start the whole machine anew, where fleet.allow_reboot lets you.",
            self.reboot, nature="reboot", dangerous=True, slow=True,
        )  # fmt: skip

    async def ping(self, _params: Any, _by: str) -> dict[str, Any]:
        return {
            "t": int(self.clock.wall() * 1000),
            "tq": self.clock.quality(),
            "agent": __version__,
            "boot_id": self.clock.boot_id,
        }

    async def identify(self, params: Identify, _by: str) -> float:
        self.signals.mark(on=True)
        try:
            if not params.sound:
                await self.clock.sleep(params.seconds)
            else:
                await asyncio.gather(self._buzz(params.seconds), self._chime(params.seconds))
        finally:
            self.signals.buzz(on=False, by="identify")
            self.signals.mark(on=False)
        return params.seconds

    async def _buzz(self, seconds: float) -> None:
        end, on = self.clock.monotonic() + seconds, False
        while (left := end - self.clock.monotonic()) > 0:
            on = not on
            self.signals.buzz(on=on, by="identify")
            await self.clock.sleep(min(PULSE_S, left))

    async def _chime(self, seconds: float) -> None:
        """Where there is a loudspeaker."""
        end = self.clock.monotonic() + seconds
        await self.speaker.open(at_once=True)
        try:
            while self.clock.monotonic() < end and await self.speaker.say(["chime"], loud=True):
                await self.clock.sleep(min(CHIME_S, max(0.0, end - self.clock.monotonic())))
        finally:
            await self.speaker.close()

    async def play(self, params: Play, _by: str) -> list[str]:
        missing = self.speaker.missing(params.clips)
        if missing:
            raise Rejected("no_clip", f"there is no clip {', '.join(missing)}")
        await self.speaker.open(at_once=True)
        try:
            if not await self.speaker.say(params.clips, loud=False):
                raise Rejected("no_sound", "nothing was heard; see: edge-agent doctor")
        finally:
            await self.speaker.close()
        return params.clips

    async def send_bundle(self, _params: Any, by: str, tell: Tell) -> dict[str, Any]:
        """Only for who asked over MQTT: a person here has `edge-agent bundle`."""
        door, _, rest = by.partition(":")
        if door != "command":
            raise Rejected("not_here", "use: edge-agent bundle")
        cmd_id = rest.partition(":")[0]
        return await send(
            await self.collect(),
            lambda part, data: self.deliver(cmd_id, part, data),
            self.clock,
            tell,
        )

    async def start_anew(self, _params: Any, _by: str) -> None:
        self.restart()

    async def reboot(self, _params: Any, _by: str) -> None:
        if not self.reboot_allowed:
            raise Rejected("not_allowed", "fleet.allow_reboot is off on this device")
        await self.reboot_machine()
