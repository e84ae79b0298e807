"""Alerts, their sound, and SOS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from agent.alerting.service import AlertingService
from agent.alerting.sos_service import SosService
from agent.alerting.speaker import Speaker
from agent.commands.params import Params
from agent.contract.errors import Rejected
from agent.core.clock import Clock
from agent.fleet.commands import CommandTable
from agent.fleet.throttle import PAPER
from agent.uplink.service import Uplink

if TYPE_CHECKING:  # a shop is spared it
    from agent.positioning.service import PositioningService


class AckAlert(Params, frozen=True):
    alert_id: str | None = None  # none of the three: all of them
    alert_ids: Annotated[list[str], Meta(max_length=1000)] = []
    order_id: str | None = None  # those of an order


@dataclass(slots=True)
class AlertCommands:
    """Answers to what insists, and trying whether it is heard."""

    clock: Clock
    alerting: AlertingService
    speaker: Speaker  # one of its own, for tests of the sound
    sos: SosService
    positioning: PositioningService | None
    uplink: Uplink

    def add_to(self, table: CommandTable) -> None:
        add = table.add
        add("alert.ack", "Acknowledge an alert, or all.", self.acknowledge, AckAlert)
        add("sound.test", "Play the chime and a phrase.", self.test_sound, slow=True, cost=PAPER)
        add("sos.test", "Say what an SOS would do now.", self.test_sos, changes=False)
        add("sos.raise", "Raise an SOS.", self.raise_sos, remote=False)
        add("sos.cancel", "End an SOS.", self.cancel_sos)

    async def acknowledge(self, params: AckAlert, by: str) -> list[str]:
        ids = {*params.alert_ids, *([params.alert_id] if params.alert_id else [])}
        return await self.alerting.acknowledge(ids or None, by, params.order_id)

    async def test_sound(self, _params: Any, _by: str) -> str:
        await self.speaker.open(at_once=True)
        try:
            if not await self.speaker.say(["chime", "new_order"], loud=False):
                raise Rejected("no_sound", "nothing was heard; see: edge-agent doctor")
        finally:
            await self.speaker.close()
        return "played; if nobody heard it, check volume and cable"

    async def test_sos(self, _params: Any, _by: str) -> str:
        last = self.positioning.last if self.positioning else None
        where = "without a position"
        if last is not None:
            where = f"with a position {self.clock.monotonic() - last.t:.0f} s old"
        when = "now" if self.uplink.up_since is not None else "when the link is back"
        return f"an SOS would be kept at once and sent {when}, {where}"

    async def raise_sos(self, _params: Any, by: str) -> str:
        return await self.sos.raise_sos(by)

    async def cancel_sos(self, _params: Any, by: str) -> None:
        await self.sos.cancel(by)
