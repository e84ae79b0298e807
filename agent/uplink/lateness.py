"""Says when events wait for too long, whatever the reason: no link, or nobody who confirms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.store.outbox import Outbox

LATE_S = 600.0  # the back end should have an event by then
LOOK_S = 60.0


@dataclass(slots=True)
class Lateness:
    outbox: Outbox
    clock: Clock
    health: Health
    up: Callable[[], bool]
    name: str = "lateness"

    async def run(self, heartbeat: Heartbeat) -> None:
        while True:
            await heartbeat.idle(self.clock.sleep(LOOK_S))
            await self.look()

    async def look(self) -> None:
        """The outbox remembers the answer, so an idle device does not ask its disk."""
        times = [t for t in (await self.outbox.oldest()).values() if t is not None]
        late = bool(times) and self.clock.wall() - min(times) / 1000 > LATE_S
        if not late or self.clock.quality() == "none":
            self.health.clear("uplink.late")
            return
        why = "there is no connection; see the condition uplink"
        if self.up():
            why = (
                "connected, but nobody confirms them, or the link is too slow: is the back end's"
                " consumer running?"
            )
        self.health.set("uplink.late", f"events wait here for more than 10 minutes: {why}")
