"""The support file for a technician's page; `edge-agent bundle` makes it without an agent, too."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from agent.config import Config
from agent.contract.errors import Rejected
from agent.contract.wire import encode
from agent.core.clock import Clock
from agent.fleet.commands import CommandTable

LINES = 500  # of the log
Ask = Callable[[str, dict[str, Any], str], Awaitable[Any]]


@dataclass(slots=True)
class BundleCommands:
    """`ask` is the table of commands, for what the others know."""

    config: Config
    clock: Clock
    ask: Ask
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)

    def add_to(self, table: CommandTable) -> None:
        table.add("bundle.make", "The support file.", self.make, remote=False)

    async def make(self, _params: Any, by: str) -> dict[str, str]:
        """`name`, and `data` in base64. Rejected: busy."""
        from agent.bundle import Told, collect

        if self._one.locked():
            raise Rejected("busy", "the support file is being made; wait for it")
        async with self._one:
            status = msgspec.json.decode(encode(await self.ask("status", {}, by)))
            log = await self.ask("log.tail", {"limit": LINES}, by)
            told = Told(status, log["lines"])
            data = await asyncio.to_thread(collect, self.config, self.clock, told=told)
        stamp = datetime.fromtimestamp(self.clock.wall(), UTC).strftime("%Y%m%d-%H%M%S")
        name = f"edge-agent-{self.config.device.id}-{stamp}.tar.gz"
        return {"name": name, "data": base64.b64encode(data).decode()}
