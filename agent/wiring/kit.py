"""What is pressed: the SOS and the panel with buttons, lights and a buzzer."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from functools import partial

from agent import config as configuration
from agent.alerting.panel_service import PanelService
from agent.alerting.sos_service import SosService
from agent.wiring.house import House
from drivers import catalog
from drivers.base import Panel


def sos(house: House) -> None:
    position = house.config.position
    house.sos = SosService(
        house.database,
        house.clock,
        house.outbox,
        house.alerting,
        house.signals,
        lambda: house.positioning.whereabouts() if house.positioning else None,
        lambda seq: house.outbox.acked("critical") >= seq,
        house.changes.notify,
        datum=position.datum if position else "wgs84",
    )
    house.rooms.append(house.sos)


def panel(house: House) -> None:
    section = house.config.panel
    if section is None:
        return
    driver = catalog.load("panel", section.driver)
    settings = configuration.driver_settings("panel", section)

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[Panel]:
        async with driver.open(settings, house.clock) as device:
            house.panel.append(device)
            try:
                yield device
            finally:
                house.panel.clear()

    house.rooms.append(
        PanelService(
            opened,
            house.clock,
            house.health,
            house.alerting,
            house.sos,
            house.signals,
            sos_hold_s=section.sos_hold_s,
            sos_cancel_s=section.sos_cancel_s,
            orders=partial(house.orders.act_on_oldest, by="panel"),
            toggle_duty=house.duty.toggle if house.duty else None,
        )
    )
