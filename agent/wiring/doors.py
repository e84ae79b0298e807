"""By which people and programs come in: the page, the control socket, the table of commands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from agent.commands.alerts import AlertCommands
from agent.commands.bundle import BundleCommands
from agent.commands.device import DeviceCommands
from agent.commands.fleet import FleetCommands
from agent.commands.identity import IdentityCommands
from agent.commands.orders import OrderCommands
from agent.commands.printers import PrinterCommands
from agent.commands.settings import SettingsCommands
from agent.commands.status import StatusCommand
from agent.commands.support import SupportCommands
from agent.commands.update import UpdateCommands
from agent.commands.whereabouts import WhereaboutsCommands
from agent.contract import topics
from agent.contract.local import socket_path
from agent.control import ControlService
from agent.fleet.sending import CONTENT_TYPE
from agent.page.editor import Editor
from agent.page.server import Lan, PageService
from agent.wiring.house import House, path


def page(house: House) -> None:
    section = house.config.page
    if section is None:
        return
    lan = None
    if section.lan != "off":
        files = (section.cert, section.key) if section.lan == "tls" else (None, None)
        lan = Lan(section.lan_listen, tuple(section.names), *map(path, files))
    house.rooms.append(
        PageService(
            listen=section.listen,
            clock=house.clock,
            health=house.health,
            ask=house.table.ask,
            changes=house.changes,
            door=house.door,
            lan=lan,
        )
    )


def commands(house: House, editor: Editor | None, again: Callable[[], None]) -> None:
    """Last, when every room that a command reaches is there."""
    status = StatusCommand(
        house.config,
        house.clock,
        house.health,
        house.database,
        house.outbox,
        house.uplink,
        house.orders,
        house.stock,
        house.desk,
        house.alerting,
        house.sos,
        house.duty,
    )
    for area in (
        status,
        OrderCommands(
            house.orders, house.stock, house.desk, house.database, house.outbox, house.changes
        ),
        PrinterCommands(house.desk),
        AlertCommands(
            house.clock, house.alerting, house.speaker, house.sos, house.positioning, house.uplink
        ),
        DeviceCommands(
            house.config,
            house.origin,
            house.database,
            house.inbox,
            house.uplink,
            house.door,
            house.panel,
        ),
        SettingsCommands(editor, again),
        WhereaboutsCommands(
            house.clock, house.positioning, house.duty, house.beacon, house.arrival
        ),
        IdentityCommands(house.identity),
        SupportCommands(house.tail, house.levels),
        BundleCommands(house.config, house.clock, house.table.ask),
        UpdateCommands(house.update),
        FleetCommands(
            house.clock,
            house.signals,
            house.speaker,
            again,
            house.config.fleet.allow_reboot,
            _reboot,
            lambda: _bundle(house, status),
            lambda cmd_id, part, data: house.uplink.deliver(
                topics.bundle(house.config.device.id, cmd_id, str(part)), data, CONTENT_TYPE
            ),
        ),
    ):
        area.add_to(house.table)
    house.rooms.append(house.levels)
    socket = socket_path(Path(house.config.store.path))
    control = ControlService(socket, house.table.ask)
    house.rooms += [house.audit, house.wished, house.commands, control]
    _metrics(house, status)


def _metrics(house: House, status: StatusCommand) -> None:
    section = house.config.metrics
    if section is not None:
        from agent.metrics_service import MetricsService

        house.rooms.append(
            MetricsService(section.listen, lambda: status.status(None, ""), house.clock.wall())
        )


async def _bundle(house: House, status: StatusCommand) -> bytes:
    from agent import bundle
    from agent.commands.support import redacted

    told = bundle.Told(
        status=msgspec.to_builtins(await status.status(None, "")),
        log=await asyncio.to_thread(redacted, house.tail.since(0, 500, "DEBUG")),
    )
    return await asyncio.to_thread(bundle.collect, house.config, house.clock, told=told)


async def _reboot() -> None:
    from drivers.power.logind import reboot

    await reboot()
