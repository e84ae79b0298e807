"""Releases, where this agent is installed in slots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from agent.commands.params import Params
from agent.contract.errors import Rejected
from agent.fleet.commands import CommandTable

if TYPE_CHECKING:  # loaded where releases are taken
    from agent.fleet.update_service import UpdateService


class StartUpdate(Params, frozen=True):
    version: Annotated[str, Meta(min_length=1, max_length=32)]


@dataclass(slots=True)
class UpdateCommands:
    update: UpdateService | None  # none: [update] is not set

    def add_to(self, table: CommandTable) -> None:
        table.add("update.start", "Fetch a release, try it, keep it.", self.start, StartUpdate)
        table.add("update.status", "The slots and the last update.", self.status, changes=False)

    async def start(self, params: StartUpdate, _by: str) -> dict[str, str]:
        return {"request": await self._service().start(params.version)}

    async def status(self, _params: Any, _by: str) -> dict[str, Any]:
        return self._service().status()

    def _service(self) -> UpdateService:
        if self.update is None:
            raise Rejected("no_update", "[update] is not set; say where releases come from")
        return self.update
