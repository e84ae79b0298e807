"""How the device is, in one answer: for the page, `edge-agent status` and the back end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent import __version__
from agent.alerting.policy import insistent_s
from agent.alerting.service import AlertingService
from agent.alerting.sos_service import SosService
from agent.commands.orders import shop_status, short_stock
from agent.config import Config
from agent.core.clock import Clock
from agent.core.health import Health
from agent.fleet.commands import CommandTable
from agent.orders.service import OrderDesk
from agent.orders.stock import StockService
from agent.printing.desk import PrintingDesk
from agent.store.database import Database
from agent.store.outbox import Outbox
from agent.uplink.service import Uplink

if TYPE_CHECKING:  # a shop is spared it
    from agent.positioning.duty_service import DutyService


@dataclass(slots=True)
class StatusCommand:
    """Asks every room; each part is a line of what `status` answers."""

    config: Config
    clock: Clock
    health: Health
    database: Database
    outbox: Outbox
    uplink: Uplink
    orders: OrderDesk
    stock: StockService
    desk: PrintingDesk
    alerting: AlertingService
    sos: SosService
    duty: DutyService | None  # a rider's

    def add_to(self, table: CommandTable) -> None:
        add = table.add
        add("status", "How the device is.", self.status, changes=False)

    async def status(self, _params: Any, _by: str) -> dict[str, Any]:
        config, up = self.config, self.uplink.up_since
        since = self.uplink.down_since if up is None else up
        return {
            "role": config.role,
            "device": config.device.id,
            "site": config.device.site,
            "agent": __version__,
            "epoch": self.outbox.epoch,
            "clock": self.clock.quality(),
            "link": {
                "up": up is not None,
                "since": None if since is None else int(since * 1000),
                "broker": self.uplink.broker,
                "trouble": self.uplink.trouble,
                "backlog": await self.outbox.backlog(),
                "oldest": await self.outbox.oldest(),
                "expired": dict(self.outbox.expiry.gone),
                "streams": await self.outbox.states(),
            },
            "health": [
                {
                    "code": c.code,
                    "severity": c.severity,
                    "text": c.text,
                    "since": int(c.since * 1000),
                }
                for c in self.health.conditions()
            ],
            "printers": await self._printers(),
            "alerts": [
                {
                    "alert_id": alert.alert_id,
                    "cause": alert.cause,
                    "state": "escalated" if alert.escalated else "sounding",
                    "order_id": alert.order_id,
                    "raised": alert.raised,
                }
                for alert in await self.alerting.open_alerts()
            ],
            "waiting": (load := await self.orders.load()).pending,
            "load": load,
            "stock": await short_stock(self.stock),
            "late_s": insistent_s(config.alert.escalate_s),
            "shop_status": await self.database.read(shop_status),
            "sos": await self.sos.raised(),
            "rider": self.duty.view() if self.duty else None,
        }

    async def _printers(self) -> list[dict[str, Any]]:
        found = []
        for view in await self.desk.printers():
            state = "ready"
            if view.parked:
                state = "held"
            elif view.fault:
                state = "fault"
            elif view.waiting:
                state = "printing"
            found.append(
                {
                    "name": view.name,
                    "state": state,
                    "fault": view.fault,
                    "waiting": view.waiting + view.parked,
                    "parked": view.parked,
                    "scheduled": view.scheduled,
                }
            )
        return found
