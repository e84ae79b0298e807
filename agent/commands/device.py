"""The device as technicians see it: settings, checks, what waits, the link, PINs, the panel."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from agent import checks, shown
from agent.commands.params import Params
from agent.config import Config
from agent.contract.errors import Rejected
from agent.fleet.commands import CommandTable
from agent.page.door import Door
from agent.page.pins import Role
from agent.store.database import Database
from agent.store.inbox import Inbox
from agent.uplink.service import Uplink
from drivers.base import Panel


class RetryMessages(Params, frozen=True):
    id: int | None = None  # none: all of them


class Spread(Params, frozen=True):
    window_s: Annotated[float, Meta(ge=0, le=3600)]  # 0: none


class PressButton(Params, frozen=True):
    button: str
    held_s: Annotated[float, Meta(ge=0, le=60)] = 0.1


class SetPin(Params, frozen=True):
    role: Role
    pin: str


class ListQueue(Params, frozen=True):
    table: shown.Table
    after: int = 0  # the key of the last row that is known


@dataclass(slots=True)
class DeviceCommands:
    """Looking into the device, and setting it right."""

    config: Config
    origin: Mapping[str, str]  # of the settings
    database: Database
    inbox: Inbox
    uplink: Uplink
    door: Door
    panel: list[Panel]  # the open one, if any

    def add_to(self, table: CommandTable) -> None:
        add = table.add
        add("queue.retry", "Handle set-aside messages again.", self.retry, RetryMessages)
        add("queue.list", "What waits.", self.queue, ListQueue, changes=False, remote=False)
        add(
            "uplink.spread",
            "Spread reconnecting over so many seconds.",
            self.spread,
            Spread,
            nature="repeatable",
        )
        add("config.show", "The settings in force.", self.show_config, changes=False, remote=False)
        add("doctor", "The checks of the doctor.", self.check, changes=False, remote=False)
        hidden = frozenset({"pin"})
        add("page.pin", "Set a PIN.", self.set_pin, SetPin, remote=False, withheld=hidden)
        add("panel.press", "Press a simulated button.", self.press, PressButton, remote=False)

    async def retry(self, params: RetryMessages, _by: str) -> dict[str, int]:
        handled, again = await self.inbox.retry(params.id)
        return {"handled": handled, "again": again}

    async def queue(self, params: ListQueue, _by: str) -> dict[str, Any]:
        return await self.database.read(lambda tx: shown.rows(tx, params.table, params.after))

    async def spread(self, params: Spread, _by: str) -> float:
        """Until the next start; `uplink.reconnect_window_s` is for good."""
        self.uplink.spread(params.window_s)
        return params.window_s

    async def show_config(self, _params: Any, _by: str) -> dict[str, Any]:
        return shown.settings(self.config, self.origin)

    async def check(self, _params: Any, _by: str) -> list[checks.Finding]:
        return await asyncio.to_thread(checks.all_of, self.config)

    async def set_pin(self, params: SetPin, _by: str) -> str:
        await self.door.set_pin(params.role, params.pin)
        return f"the PIN of {params.role} is set; who was in by the old one is out"

    async def press(self, params: PressButton, _by: str) -> None:
        for panel in self.panel:
            press = getattr(panel, "press", None)
            if press is None:
                break
            press(params.button, params.held_s)
            return
        raise Rejected("no_panel", "only a simulated panel can be pressed by a command")
