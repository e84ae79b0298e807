"""A printer in trouble is an alert of its own, once per trouble, ended when it works again."""

from __future__ import annotations

import asyncio

from agent.alerting.service import AlertingService
from agent.core.clock import Clock
from agent.core.supervisor import Heartbeat

QUEUE = 1000  # changes; printers do not change their mind so often


class PrinterTroubles:
    """`tell` is the printers' `on_trouble`: it may not wait, so it queues."""

    name = "troubles"

    def __init__(self, alerting: AlertingService, clock: Clock) -> None:
        self._alerting = alerting
        self._clock = clock
        self._open: dict[str, str] = {}  # printer -> alert id
        self._queue: asyncio.Queue[tuple[str, str | None]] = asyncio.Queue(QUEUE)

    def tell(self, printer: str, fault: str | None) -> None:
        if not self._queue.full():
            self._queue.put_nowait((printer, fault))

    async def run(self, heartbeat: Heartbeat) -> None:
        for alert in await self._alerting.open_alerts():
            if alert.cause == "printer" and "printer" in alert.detail:
                self._open[alert.detail["printer"]] = alert.alert_id
        while True:
            printer, fault = await heartbeat.idle(self._queue.get())
            if fault is None:
                alert_id = self._open.pop(printer, None)
                if alert_id is not None:
                    await self._alerting.end_alert(alert_id)
            elif printer not in self._open:
                self._open[printer] = f"printer:{printer}:{int(self._clock.wall() * 1000)}"
                detail = {"printer": printer, "fault": fault}
                await self._alerting.raise_alert("printer", self._open[printer], None, detail)
