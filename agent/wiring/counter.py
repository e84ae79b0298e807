"""The counter: alerts and their sound, printers and tickets, orders and stock."""

from __future__ import annotations

import os
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from agent import config as configuration
from agent.alerting.library import Library
from agent.alerting.policy import Policy
from agent.alerting.quiet import quiet
from agent.alerting.service import AlertingService
from agent.alerting.speaker import OpenPlayer, Speaker
from agent.alerting.troubles import PrinterTroubles
from agent.commands.orders import shop_status
from agent.config import Config, Sound
from agent.core.keeping import store_of
from agent.orders.load_service import LoadService
from agent.orders.service import LEAD_S, OrderDesk
from agent.orders.stock import StockService
from agent.printing.desk import PrintingDesk
from agent.printing.devices import open_printer
from agent.printing.service import PrinterService
from agent.wiring.house import House
from drivers import catalog


def alerting(house: House) -> None:
    house.speaker = _speaker(house)
    alert = house.config.alert
    house.alerting = AlertingService(
        house.database,
        house.clock,
        house.health,
        house.outbox,
        Policy(alert.repeat_s, _steps(alert.escalate_s)),
        _speaker(house),
        house.signals,
        house.changes.notify,
        quiet=partial(_quiet, house),
    )
    house.rooms.append(house.alerting)


def _speaker(house: House) -> Speaker:
    sound = house.config.sound
    open_player: OpenPlayer | None = None
    language, own, volume = "zh", None, 1.0
    if sound is not None:
        driver = catalog.load("sound", sound.driver)
        open_player = partial(driver.open, _sound_settings(sound), house.clock)
        language, volume = sound.language, sound.volume
        own = Path(sound.prompts) if sound.prompts else None
    return Speaker(house.clock, house.health, Library(language, own), open_player, volume=volume)


def _sound_settings(sound: Sound) -> Any:
    """`[sound] device` stands at the section's level, because everybody sets it."""
    if sound.driver == "alsa":
        return catalog.load("sound", "alsa").settings(device=sound.device)
    return configuration.driver_settings("sound", sound)


def _steps(escalate_s: tuple[float, ...] | float) -> list[float]:
    return sorted(escalate_s) if isinstance(escalate_s, tuple) else [escalate_s]


def _quiet(house: House) -> bool:
    """With a clock that nobody set, it is better heard than slept through."""
    span = house.config.alert.quiet
    if span is None or house.clock.quality() == "none":
        return False
    now = datetime.fromtimestamp(house.clock.wall(), house.config.device.zone)
    return quiet(span, now.hour * 60 + now.minute)


def printing(house: House) -> None:
    _check_templates(house)
    troubles = PrinterTroubles(house.alerting, house.clock)

    def tell(printer: str, fault: str | None) -> None:
        troubles.tell(printer, fault)
        house.changes.notify()

    zone = house.config.device.zone
    keeper = store_of(os.environ, [printer.name for printer in house.config.printer])
    printers = [
        PrinterService(
            printer,
            open_printer=partial(open_printer, keeper=keeper),
            clock=house.clock,
            database=house.database,
            recorder=house.outbox,
            health=house.health,
            on_trouble=tell,
            zone=zone,
            templates=house.templates,
        )
        for printer in house.config.printer
    ]
    house.desk = PrintingDesk(
        printers,
        clock=house.clock,
        database=house.database,
        recorder=house.outbox,
        zone=zone,
        templates=house.templates,
    )
    house.rooms += [*printers, house.desk, troubles]


def _check_templates(house: House) -> None:
    """A template that is none is told; its tickets are printed by the next best."""
    for printer in house.config.printer:
        house.templates.get(printer.template)
    wrong = "; ".join(
        f"{where}: {', '.join(all_)}" for where, all_ in house.templates.problems.items()
    )
    if wrong:
        house.health.set(
            "tickets.template", f"a ticket template is not used. See `config check`. {wrong}"
        )


def orders(house: House) -> None:
    house.orders = OrderDesk(
        house.database,
        house.clock,
        house.outbox,
        house.desk,
        house.alerting,
        house.changes.notify,
        lead_s=_lead_s(house.config),
    )
    house.stock = StockService(
        house.database,
        house.clock,
        house.outbox,
        house.alerting,
        house.changes.notify,
        low=house.config.alert.low_stock,
    )
    house.rooms.append(house.orders)
    if house.config.role == "shop":
        telling = LoadService(house.database, house.clock, house.outbox, house.changes, shop_status)
        house.rooms.append(telling)


def _lead_s(config: Config) -> float:
    """Staff are reminded of a scheduled order when its first ticket is printed."""
    leads = [configuration.seconds(p.lead) for p in config.printer if p.lead is not None]
    return max(leads, default=LEAD_S)
