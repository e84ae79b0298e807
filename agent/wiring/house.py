"""What the rooms of one device share, and the rooms that know of each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from agent.core.allowed import WhileAllowed

if TYPE_CHECKING:  # it names every room and loads none: a shop is spared what locates
    from agent.alerting.service import AlertingService
    from agent.alerting.signals import Signals
    from agent.alerting.sos_service import SosService
    from agent.alerting.speaker import Speaker
    from agent.arrival.own_beacon import OwnBeacon
    from agent.arrival.service import ArrivalService
    from agent.config import Config
    from agent.core.changes import Changes
    from agent.core.clock import Clock
    from agent.core.health import Health
    from agent.core.supervisor import Service
    from agent.core.tail import LevelService, Tail
    from agent.fleet.audit_service import AuditService
    from agent.fleet.authority import Authority
    from agent.fleet.commands import CommandService, CommandTable
    from agent.fleet.desired import DesiredConfig
    from agent.fleet.identity_service import IdentityService
    from agent.fleet.update_service import UpdateService
    from agent.orders.service import OrderDesk
    from agent.orders.stock import StockService
    from agent.page.door import Door
    from agent.positioning.duty_service import DutyService
    from agent.positioning.service import PositioningService
    from agent.printing.desk import PrintingDesk
    from agent.printing.templates import Templates
    from agent.store.database import Database
    from agent.store.inbox import Inbox
    from agent.store.outbox import Outbox
    from agent.uplink.lateness import Lateness
    from agent.uplink.service import Uplink
    from drivers.base import Panel


@dataclass(slots=True)
class House:
    """Every wiring function takes what it needs from here, builds its room, and enters it.

    A room that another one needs has a field: those without a default are there in every role,
    and reading one before its turn (the order stands in roles.py) is an AttributeError.
    """

    config: Config
    origin: Mapping[str, str]  # dotted key -> where the setting is from; not of defaults
    clock: Clock
    health: Health
    changes: Changes
    tail: Tail  # the last of the log
    levels: LevelService  # of the log
    signals: Signals
    database: Database
    outbox: Outbox
    table: CommandTable
    door: Door
    boot_nonce: str  # new with each start; the back end sees it in `state`
    authority: Authority  # who may ask from afar

    rooms: list[Service] = field(default_factory=list)  # run in this order, beside each other

    templates: Templates = field(init=False)
    alerting: AlertingService = field(init=False)
    speaker: Speaker = field(init=False)  # for tests of the sound; alerts have their own
    desk: PrintingDesk = field(init=False)
    orders: OrderDesk = field(init=False)
    stock: StockService = field(init=False)
    sos: SosService = field(init=False)
    panel: list[Panel] = field(default_factory=list)  # the open one

    duty: DutyService | None = None  # a rider's
    positioning: PositioningService | None = None
    arrival: ArrivalService | None = None
    beacon: OwnBeacon | None = None
    update: UpdateService | None = None

    wished: DesiredConfig = field(init=False)
    audit: AuditService = field(init=False)
    commands: CommandService = field(init=False)
    inbox: Inbox = field(init=False)
    uplink: Uplink = field(init=False)
    lateness: Lateness = field(init=False)
    identity: IdentityService | None = None  # where the agent looks after its own certificate

    def add_while_delivering(self, service: Service, rest: Callable[[], Awaitable[None]]) -> None:
        """For what locates a rider exactly, or lets others do so; a shop's runs always."""
        if (duty := self.duty) is None:
            self.rooms.append(service)
            return
        self.rooms.append(
            WhileAllowed(service, lambda: duty.mode == "delivery", duty.changes, rest)
        )


def path(text: str | None) -> Path | None:
    """Of a file that a setting names."""
    return Path(text) if text else None
