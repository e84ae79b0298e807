"""For who looks after certificates from afar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.contract.errors import Rejected
from agent.fleet.commands import CommandTable

if TYPE_CHECKING:  # loaded where a certificate is looked after
    from agent.fleet.identity_service import IdentityService


@dataclass(slots=True)
class IdentityCommands:
    identity: IdentityService | None

    def add_to(self, table: CommandTable) -> None:
        table.add("identity.renew", "Ask for the next certificate now.", self.renew)

    async def renew(self, _params: Any, _by: str) -> str:
        """As when the authority changes."""
        if self.identity is None:
            raise Rejected("not_managed", "the configuration names this device's certificate")
        return self.identity.renew_now()
