"""The life of one device: the house is opened, wired, served and closed.

Start: store, rooms of the role, services. Stop: the rooms end first, the uplink drains for a few
seconds, the store closes last. This module and `agent/wiring/` see everything and construct; the
rest receives. What a room is given stands in the wiring module of its area.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import sqlite3
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec

from agent import __version__
from agent import config as configuration
from agent.alerting.signals import Signals
from agent.config import Config, Store
from agent.contract import topics
from agent.contract.events import Stream
from agent.contract.presence import Presence
from agent.contract.wire import encode
from agent.core.changes import Changes
from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.notify import Notifier
from agent.core.reporter import HealthReporter
from agent.core.supervisor import Supervisor
from agent.core.tail import LevelService, Tail
from agent.fleet.audit import Chain
from agent.fleet.audit_service import AuditService
from agent.fleet.authority import OPEN_HOUSE, Authority
from agent.fleet.commands import CommandService, CommandTable
from agent.fleet.crash import LastWords
from agent.fleet.desired import DesiredConfig
from agent.fleet.digest_service import DigestService
from agent.fleet.guard import Guard
from agent.fleet.requests import Key
from agent.fleet.signing import key_bytes
from agent.fleet.trial import Standing
from agent.layers import REMOTE
from agent.page.door import Door
from agent.page.editor import Editor
from agent.positioning.thinning import thin
from agent.printing.templates import Templates, stored
from agent.roles import ROOMS, Room
from agent.shown import flat
from agent.store import lost
from agent.store.database import Database, StoreError
from agent.store.lock import only_one
from agent.store.outbox import Outbox
from agent.wiring import counter, doors, kit, way_out, whereabouts
from agent.wiring.house import House

log = logging.getLogger(__name__)

WIRING: dict[Room, Callable[[House], None]] = {
    "alerting": counter.alerting,
    "printing": counter.printing,
    "orders": counter.orders,
    "sos": kit.sos,
    "panel": kit.panel,
    "page": doors.page,
    "update": way_out.update,
    "positioning": whereabouts.positioning,
    "arrival": whereabouts.arrival,
    "beacon": whereabouts.beacon,
}


class App:
    """One device. `run()` until `stop` is set; `restart` says that it should be started again."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        notifier: Notifier,
        *,
        wished: Standing | None = None,
        left_out: str = "",
        problems: Callable[[dict[str, Any]], list[str]] = lambda _: [],
        origin: Mapping[str, str] | None = None,
        editor: Editor | None = None,
        tail: Tail | None = None,
        last: LastWords | None = None,
    ) -> None:
        """`wished` is in force already, unless `left_out` says why it is not; `problems` checks
        what is wished next.

        `origin`: where each setting is from, by its dotted key; those at their default are not
        there.
        """
        self.stop = asyncio.Event()
        self.restart = False
        self._notifier = notifier
        self._last = last
        self._editor = editor
        self._house = house = _house(config, clock, origin or {}, tail)
        house.wished = DesiredConfig(
            house.database,
            clock,
            house.health,
            house.outbox,
            problems,
            self.again,
            self._report_config,
            lambda: (
                None if house.uplink.up_since is not None else house.uplink.trouble or "no link"
            ),
            wished or Standing(),
            authority=house.authority,
            overridden=_overridden(wished or Standing(), house.origin),
            left_out=left_out,
        )
        self._bd_seq = 0
        self._since = clock.wall()

    async def run(self) -> None:
        with only_one(self._house.database.path):
            await self._run()

    async def _run(self) -> None:
        house, clock = self._house, self._house.clock
        ended = None
        if self._last is not None:
            ended = self._last.begin(clock.boot_id, int(clock.wall() * 1000), __version__)
        house.rooms.append(DigestService(clock, house.outbox, ended))
        await house.database.open()
        try:
            await house.outbox.open()
            await house.database.write(house.authority.open)
            await house.audit.open()
            sent = await house.database.read(stored)
            house.templates = Templates(Path(house.config.tickets.folder), sent)
            self._wire()
            if house.duty is not None:
                await house.duty.open()
            await self._serve()
        finally:
            with contextlib.suppress(StoreError):
                await house.outbox.close()
            await house.database.close()

    def _wire(self) -> None:
        house = self._house
        for room in ROOMS[house.config.role]:
            WIRING[room](house)
        way_out.uplink(house, self._presence, self._birth)
        doors.commands(house, self._editor, self.again)

    async def _serve(self) -> None:
        """The rooms in one supervisor, the way out in another, so that it ends after them."""
        house = self._house
        way = Supervisor(house.clock, house.health)
        rooms = Supervisor(
            house.clock,
            house.health,
            feed=lambda: None if way.stuck() else self._notifier.feed(),
        )
        reporter = HealthReporter(house.health, house.outbox)
        house.health.listen(lambda *_: house.changes.notify())
        beneath = asyncio.ensure_future(way.run([house.outbox, house.uplink, house.lateness]))
        above = asyncio.ensure_future(rooms.run([*house.rooms, house.inbox, reporter]))
        stopping = asyncio.ensure_future(self.stop.wait())
        self._notifier.ready(f"{house.config.role} {house.config.device.id}")
        log.info("%s %s runs", house.config.role, house.config.device.id)
        try:
            await asyncio.wait([above, beneath, stopping], return_when=asyncio.FIRST_COMPLETED)
            if self.restart:
                self._notifier.reloading(house.clock.monotonic())
            else:
                self._notifier.stopping()
            await _end(above)
            if not beneath.done():
                await house.uplink.drain()
        finally:
            for task in (stopping, above, beneath):
                await _end(task)

    def again(self) -> None:
        """Stop, and be started again with the configuration as it is then."""
        self.restart = True
        self.stop.set()

    # --- what the uplink says of the device -------------------------------------------------------

    async def _presence(self, state: Literal["online", "offline", "lost"]) -> Presence:
        house = self._house
        if state == "lost":  # asked once for each connection, before it is made
            self._bd_seq = await house.database.write(_next_bd_seq)
        return Presence(
            state=state,
            bd_seq=self._bd_seq,
            boot_id=house.clock.boot_id,
            agent=__version__,
            role=house.config.role,
            site=house.config.device.site,
            since=int(self._since * 1000),
            epoch=house.outbox.epoch,
            streams=await house.outbox.states(),
            open_commands=await house.commands.open_commands(),
            duty=house.duty.state if house.duty else None,
            boot_nonce=house.boot_nonce,
            trying=house.update is not None and house.update.trying,
        )

    async def _birth(self) -> None:
        house = self._house
        house.wished.look()
        self._report_config()
        await house.orders.reconcile()
        if house.positioning is not None and await house.positioning.tell_anew():
            house.uplink.reread()

    def _report_config(self) -> None:
        house = self._house
        topic = topics.reported(house.config.device.id)
        house.uplink.publish_retained(topic, encode(house.wished.reported()))


def _house(
    config: Config, clock: Clock, origin: Mapping[str, str], tail: Tail | None = None
) -> House:
    """With what every room is given; the rooms come when the store is open."""
    health = Health(clock)
    database = Database(Path(config.store.path), clock, health)
    database.lost = partial(lost.begin, clock=clock)
    outbox = Outbox(
        database,
        clock,
        health,
        max_mb=config.store.max_mb,
        thin=thin,
        keep_s=_keep_s(config.store),
    )
    table = CommandTable(outbox)
    boot_nonce = secrets.token_hex(8)
    house = House(
        config=config,
        origin=origin,
        clock=clock,
        health=health,
        changes=Changes(),
        tail=tail or Tail(),
        levels=LevelService(clock),
        signals=Signals(),
        database=database,
        outbox=outbox,
        table=table,
        door=Door(database, clock, outbox),
        boot_nonce=boot_nonce,
        authority=_authority(config, clock, boot_nonce),
    )
    house.commands = CommandService(
        table,
        database,
        clock,
        outbox,
        lambda *answer: house.uplink.reply(*answer),
        health=health,
        authority=house.authority,
    )
    house.audit = AuditService(
        Chain(config.device.id, Guard(_beside(config, ".audit"))),
        database,
        clock,
        outbox,
        dict(flat(msgspec.to_builtins(config), "")),
    )
    return house


def _beside(config: Config, suffix: str) -> Path:
    """A file beside the database."""
    store = Path(config.store.path)
    return store.with_name(store.name + suffix)


def _authority(config: Config, clock: Clock, boot_nonce: str) -> Authority:
    """Who may ask; the file beside the store is there only where somebody signs."""
    fleet = config.fleet
    if not fleet.keys and not fleet.require_signed:
        return OPEN_HOUSE
    keys = {key.kid: Key(key_bytes(key.key), frozenset(key.scopes)) for key in fleet.keys}
    return Authority(
        config.device.id,
        clock,
        keys=keys,
        required=fleet.require_signed,
        boot_nonce=boot_nonce,
        guard=Guard(_beside(config, ".requests")),
    )


def _overridden(standing: Standing, origin: Mapping[str, str]) -> list[str]:
    """What is wished and set otherwise on the device, by variables or on the command line."""
    if standing.in_force is None or not standing.in_force.settings:
        return []
    wished = standing.in_force.settings
    return sorted(key for key, _ in flat(wished, "") if origin.get(key) != REMOTE)


def _keep_s(store: Store) -> dict[Stream, float]:
    """Orders, prints and SOS wait for ever."""
    keep = configuration.seconds
    return {"telemetry": keep(store.keep_telemetry), "state": keep(store.keep_state)}


async def _end(task: asyncio.Future[Any]) -> None:
    """Cancel and wait; what it died of is raised."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _next_bd_seq(tx: sqlite3.Connection) -> int:
    row = tx.execute("SELECT value FROM meta WHERE key = 'bd_seq'").fetchone()
    number = int(row[0]) + 1 if row else 1
    tx.execute("INSERT OR REPLACE INTO meta VALUES ('bd_seq', ?)", (str(number),))
    return number
