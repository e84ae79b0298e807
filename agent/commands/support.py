"""For who looks after the device from afar: the log, and how much of it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from agent.commands.params import Params
from agent.core.tail import Level, LevelService, Line, Tail
from agent.fleet.commands import CommandTable


class TailLog(Params, frozen=True):
    after: Annotated[int, Meta(ge=0)] = 0  # the number of the last line that is known
    limit: Annotated[int, Meta(ge=1, le=500)] = 100
    level: Level = "DEBUG"  # and worse


class SetLogLevel(Params, frozen=True):
    level: Level
    minutes: Annotated[float, Meta(gt=0, le=1440)] = 15.0


@dataclass(slots=True)
class SupportCommands:
    tail: Tail
    levels: LevelService

    def add_to(self, table: CommandTable) -> None:
        add = table.add
        add("log.tail", "The last of the log.", self.log, TailLog, changes=False)
        add("log.level", "Log more, or less, for a while.", self.set_level, SetLogLevel)

    async def log(self, params: TailLog, _by: str) -> dict[str, Any]:
        """`lines`, oldest first, with the number of the `last` one that was ever logged."""
        last = self.tail.last
        found = self.tail.since(params.after, params.limit, params.level)
        lines = await asyncio.to_thread(redacted, found)
        return {"lines": lines, "last": max(last, found[-1].n if found else 0)}

    async def set_level(self, params: SetLogLevel, _by: str) -> dict[str, Any]:
        """Until then, or until the next start."""
        self.levels.put(params.level, params.minutes * 60)
        return {"level": params.level, "minutes": params.minutes}


def redacted(lines: list[Line]) -> list[dict[str, Any]]:
    """As they may be shown."""
    from agent import redact

    return [
        {
            "n": line.n,
            "t": line.t,
            "level": logging.getLevelName(line.level),
            "text": redact.text(line.text),
        }
        for line in lines
    ]
