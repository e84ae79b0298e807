"""The file of settings that technicians change on the page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from agent.commands.params import Params
from agent.contract.errors import Rejected
from agent.fleet.commands import CommandTable
from agent.page.editor import MAX_CHARS, Editor

APPLY_S = 0.5  # for the answer to leave before the agent starts anew


class SettingsText(Params, frozen=True):
    text: Annotated[str, Meta(max_length=MAX_CHARS)]


@dataclass(slots=True)
class SettingsCommands:
    """`again` starts the agent anew with the settings as they are then."""

    editor: Editor | None  # none: it was started without a file
    again: Callable[[], None]

    def add_to(self, table: CommandTable) -> None:
        add = table.add
        quiet: Any = {"remote": False, "withheld": frozenset({"text"})}
        add("config.file", "The page's file of settings.", self.show, changes=False, remote=False)
        add(
            "config.try", "What is wrong with it.", self.check, SettingsText, changes=False, **quiet
        )
        add("config.write", "Keep it and start anew.", self.write, SettingsText, **quiet)

    async def show(self, _params: Any, _by: str) -> dict[str, Any]:
        return (await asyncio.to_thread(self._editor().look))._asdict()

    async def check(self, params: SettingsText, _by: str) -> dict[str, Any]:
        return {"problems": await asyncio.to_thread(self._editor().problems, params.text)}

    async def write(self, params: SettingsText, _by: str) -> str:
        await asyncio.to_thread(self._editor().write, params.text)
        asyncio.get_running_loop().call_later(APPLY_S, self.again)
        return "kept; the agent starts anew with it"

    def _editor(self) -> Editor:
        if self.editor is None:
            raise Rejected("not_here", "this agent was started without a configuration file")
        return self.editor
