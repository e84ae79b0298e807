"""The wiring: the only module that sees everything. It constructs; the rest receives.

Start: store, rooms of the role, services. Stop: the rooms end first, the uplink drains for a few
seconds, the store closes last.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from agent import __version__
from agent import config as configuration
from agent.alerting.library import Library
from agent.alerting.panel_service import PanelService
from agent.alerting.policy import Policy
from agent.alerting.quiet import quiet
from agent.alerting.service import AlertingService
from agent.alerting.signals import Signals
from agent.alerting.sos_service import SosService
from agent.alerting.sos_service import holds as sos_holds
from agent.alerting.speaker import OpenPlayer, Speaker
from agent.alerting.troubles import PrinterTroubles
from agent.arrival import places
from agent.arrival.geofence import Circle, Polygon, Shape
from agent.arrival.own_beacon import OwnBeacon, key_path
from agent.arrival.service import ArrivalService, Orders
from agent.commands import Rooms, shop_status
from agent.config import Config, FenceConfig, Sound, Store
from agent.contract import topics
from agent.contract.commands import Desired
from agent.contract.events import Stream
from agent.contract.local import socket_path
from agent.contract.presence import Presence
from agent.contract.wire import encode
from agent.control import ControlService
from agent.core.allowed import WhileAllowed
from agent.core.changes import Changes
from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.notify import Notifier
from agent.core.reporter import HealthReporter
from agent.core.supervisor import Service, Supervisor
from agent.fleet import desired
from agent.fleet.commands import CommandService, CommandTable
from agent.orders.load_service import LoadService
from agent.orders.service import LEAD_S, OrderDesk
from agent.orders.stock import StockService
from agent.page.door import Door
from agent.page.server import Lan, PageService
from agent.positioning.duty_service import DutyService, Rules
from agent.positioning.privacy import IDLE_EVERY_S, LIGHTS, WHEREABOUTS, Blur, Grid
from agent.positioning.reporting import profile
from agent.positioning.service import PositioningService
from agent.positioning.surroundings_service import SurroundingsService
from agent.positioning.thinning import thin
from agent.positioning.tracker import Estimate
from agent.printing.desk import PrintingDesk
from agent.printing.devices import open_printer
from agent.printing.service import PrinterService
from agent.printing.templates import Templates, stored
from agent.roles import ROOMS, Room
from agent.store import lost
from agent.store.database import Database, StoreError
from agent.store.inbox import Inbox, Route
from agent.store.lock import only_one
from agent.store.outbox import Outbox
from agent.uplink.lateness import Lateness
from agent.uplink.link import Link, LinkSettings
from agent.uplink.service import Uplink
from drivers import catalog
from drivers.base import DriverError, Panel
from drivers.battery import charge

log = logging.getLogger(__name__)

STOP_S = 10.0  # for services that do not end by themselves


class App:
    """One device. `run()` until `stop` is set; `restart` says that it should be started again."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        notifier: Notifier,
        *,
        wished: Desired | None = None,
        problems: Callable[[dict[str, Any]], list[str]] = lambda _: [],
        origin: Mapping[str, str] | None = None,
    ) -> None:
        """`wished` is in force already; `problems` checks what is wished next.

        `origin`: where each setting is from, by its dotted key; those at their default are not
        there.
        """
        self.config = config
        self.origin = origin or {}
        self.clock = clock
        self.stop = asyncio.Event()
        self.restart = False
        self.notifier = notifier
        self.health = Health(clock)
        self.changes = Changes()
        self.signals = Signals()
        self.database = Database(Path(self.config.store.path), clock, self.health)
        self.database.lost = partial(lost.begin, clock=clock)
        self.outbox = Outbox(
            self.database,
            clock,
            self.health,
            max_mb=self.config.store.max_mb,
            thin=thin,
            keep_s=_keep_s(self.config.store),
        )
        self.table = CommandTable(self.outbox)
        self.door = Door(self.database, clock, self.outbox)
        self.commands = CommandService(
            self.table, self.database, clock, self.outbox, lambda *a: self.uplink.reply(*a)
        )
        self.wished = desired.DesiredConfig(
            self.outbox, problems, self.again, self._report_config, wished
        )
        self.panel: list[Panel] = []  # the open one
        self.printers: list[PrinterService] = []
        self.duty: DutyService | None = None
        self.positioning: PositioningService | None = None
        self.arrival: ArrivalService | None = None
        self.beacon: OwnBeacon | None = None
        self.rooms: list[Service] = []
        self._bd_seq = 0
        self._since = clock.wall()

    async def run(self) -> None:
        with only_one(self.database.path):
            await self._run()

    async def _run(self) -> None:
        await self.database.open()
        try:
            await self.outbox.open()
            sent = await self.database.read(stored)
            self.templates = Templates(Path(self.config.tickets.folder), sent)
            self._check_templates()
            self._wire()
            if self.duty is not None:
                await self.duty.open()
            await self._serve()
        finally:
            with contextlib.suppress(StoreError):
                await self.outbox.close()
            await self.database.close()

    async def _serve(self) -> None:
        """The rooms in one supervisor, the way out in another, so that it ends after them."""
        way_out = Supervisor(self.clock, self.health)
        rooms = Supervisor(
            self.clock,
            self.health,
            feed=lambda: None if way_out.stuck() else self.notifier.feed(),
        )
        reporter = HealthReporter(self.health, self.outbox)
        self.health.listen(lambda *_: self.changes.notify())
        beneath = asyncio.ensure_future(way_out.run([self.outbox, self.uplink, self.lateness]))
        above = asyncio.ensure_future(rooms.run([*self.rooms, self.inbox, reporter]))
        stopping = asyncio.ensure_future(self.stop.wait())
        self.notifier.ready(f"{self.config.role} {self.config.device.id}")
        log.info("%s %s runs", self.config.role, self.config.device.id)
        try:
            await asyncio.wait([above, beneath, stopping], return_when=asyncio.FIRST_COMPLETED)
            if self.restart:
                self.notifier.reloading(self.clock.monotonic())
            else:
                self.notifier.stopping()
            await _end(above)
            if not beneath.done():
                await self.uplink.drain()
        finally:
            for task in (stopping, above, beneath):
                await _end(task)

    def _check_templates(self) -> None:
        """A template that is none is told; its tickets are printed by the next best."""
        for printer in self.config.printer:
            self.templates.get(printer.template)
        wrong = "; ".join(
            f"{where}: {', '.join(all_)}" for where, all_ in self.templates.problems.items()
        )
        if wrong:
            self.health.set(
                "tickets.template", f"a ticket template is not used. See `config check`. {wrong}"
            )

    # --- wiring -----------------------------------------------------------------------------------

    def _wire(self) -> None:
        builders: dict[Room, Callable[[], None]] = {
            "alerting": self._wire_alerting,
            "printing": self._wire_printing,
            "orders": self._wire_orders,
            "sos": self._wire_sos,
            "panel": self._wire_panel,
            "page": self._wire_page,
            "positioning": self._wire_positioning,
            "arrival": self._wire_arrival,
            "beacon": self._wire_beacon,
        }
        for room in ROOMS[self.config.role]:
            builders[room]()
        self._wire_uplink()
        self._wire_commands()

    def _wire_alerting(self) -> None:
        sound = self.config.sound
        open_player: OpenPlayer | None = None
        language, own, volume = "zh", None, 1.0
        if sound is not None:
            open_player = partial(
                catalog.load("sound", sound.driver).open, _sound_settings(sound), self.clock
            )
            language, volume = sound.language, sound.volume
            own = Path(sound.prompts) if sound.prompts else None

        def speaker() -> Speaker:
            library = Library(language, own)
            return Speaker(self.clock, self.health, library, open_player, volume=volume)

        self.speaker = speaker()  # for tests of the sound; alerts have their own
        alert = self.config.alert
        self.alerting = AlertingService(
            self.database,
            self.clock,
            self.health,
            self.outbox,
            Policy(alert.repeat_s, _steps(alert.escalate_s)),
            speaker(),
            self.signals,
            self.changes.notify,
            quiet=self._quiet,
        )
        self.rooms.append(self.alerting)

    def _quiet(self) -> bool:
        """With a clock that nobody set, it is better heard than slept through."""
        span = self.config.alert.quiet
        if span is None or self.clock.quality() == "none":
            return False
        now = datetime.fromtimestamp(self.clock.wall(), self.config.device.zone)
        return quiet(span, now.hour * 60 + now.minute)

    def _wire_printing(self) -> None:
        troubles = PrinterTroubles(self.alerting, self.clock)

        def tell(printer: str, fault: str | None) -> None:
            troubles.tell(printer, fault)
            self.changes.notify()

        zone = self.config.device.zone
        self.printers = [
            PrinterService(
                printer,
                open_printer=open_printer,
                clock=self.clock,
                database=self.database,
                recorder=self.outbox,
                health=self.health,
                on_trouble=tell,
                zone=zone,
                templates=self.templates,
            )
            for printer in self.config.printer
        ]
        self.desk = PrintingDesk(
            self.printers,
            clock=self.clock,
            database=self.database,
            recorder=self.outbox,
            zone=zone,
            templates=self.templates,
        )
        self.rooms += [*self.printers, self.desk, troubles]

    def _wire_orders(self) -> None:
        self.orders = OrderDesk(
            self.database,
            self.clock,
            self.outbox,
            self.desk,
            self.alerting,
            self.changes.notify,
            lead_s=_lead_s(self.config),
        )
        self.stock = StockService(
            self.database,
            self.clock,
            self.outbox,
            self.alerting,
            self.changes.notify,
            low=self.config.alert.low_stock,
        )
        self.rooms.append(self.orders)
        if self.config.role == "shop":
            telling = LoadService(self.database, self.clock, self.outbox, self.changes, shop_status)
            self.rooms.append(telling)

    def _wire_sos(self) -> None:
        self.sos = SosService(
            self.database,
            self.clock,
            self.outbox,
            self.alerting,
            self.signals,
            lambda: self.positioning.whereabouts() if self.positioning else None,
            lambda seq: self.outbox.acked("critical") >= seq,
            self.changes.notify,
            datum=self.config.position.datum if self.config.position else "wgs84",
        )
        self.rooms.append(self.sos)

    def _wire_panel(self) -> None:
        panel = self.config.panel
        if panel is None:
            return
        driver = catalog.load("panel", panel.driver)
        settings = configuration.driver_settings("panel", panel)

        @contextlib.asynccontextmanager
        async def opened() -> AsyncIterator[Panel]:
            async with driver.open(settings, self.clock) as device:
                self.panel.append(device)
                try:
                    yield device
                finally:
                    self.panel.clear()

        self.rooms.append(
            PanelService(
                opened,
                self.clock,
                self.health,
                self.alerting,
                self.sos,
                self.signals,
                sos_hold_s=panel.sos_hold_s,
                sos_cancel_s=panel.sos_cancel_s,
                orders=partial(self.orders.act_on_oldest, by="panel"),
                toggle_duty=self.duty.toggle if self.duty else None,
            )
        )

    def _wire_page(self) -> None:
        page = self.config.page
        if page is None:
            return
        lan = None
        if page.lan != "off":
            files = (_path(page.cert), _path(page.key)) if page.lan == "tls" else (None, None)
            lan = Lan(page.lan_listen, tuple(page.names), *files)
        self.rooms.append(
            PageService(
                listen=page.listen,
                clock=self.clock,
                health=self.health,
                ask=self.table.ask,
                changes=self.changes,
                door=self.door,
                lan=lan,
            )
        )

    def _wire_positioning(self) -> None:
        position = self.config.position
        if position is None:
            return
        driver = catalog.load("gps", position.driver)
        settings = configuration.driver_settings("gps", position)
        self.duty = duty = self._duty(made_up=driver.made_up)
        self.positioning = PositioningService(
            open_receiver=partial(driver.open, settings, self.clock),
            clock=self.clock,
            recorder=self.outbox,
            health=self.health,
            profile=profile(
                position.profile,
                max_error_m=position.max_error_m,
                moving_s=position.moving_s,
                still_s=position.still_s,
            ),
            sinks=[self._located],
            datum=position.datum,
            mode=lambda: duty.mode,
            blur=lambda: Blur(Grid(self.config.privacy.cell_m), duty.secret, IDLE_EVERY_S),
            waits=lambda: not self.uplink.sending,
            rewrite=self.outbox.rewrite,
            moments=self.outbox.moments,
            battery=charge,
        )
        receiver = WhileAllowed(
            self.positioning, lambda: duty.mode != "off", duty.changes, self.positioning.rest
        )
        self.rooms += [duty, receiver]
        self._wire_surroundings(self.positioning, duty)

    def _wire_surroundings(self, positioning: PositioningService, duty: DutyService) -> None:
        section = self.config.surroundings
        if section is None:
            return
        driver = catalog.load("surroundings", section.driver)
        settings = configuration.driver_settings("surroundings", section)
        service = SurroundingsService(
            partial(driver.open, settings, self.clock),
            self.clock,
            self.outbox,
            lambda: None if positioning.last is None else positioning.last.t,
            configuration.seconds(section.every),
        )
        exactly = WhileAllowed(service, lambda: duty.mode == "delivery", duty.changes, service.rest)
        self.rooms.append(exactly)

    def _duty(self, *, made_up: bool) -> DutyService:
        """`made_up`: the receiver is none, so nobody needs to agree."""
        privacy = self.config.privacy
        consent = privacy.consent or ("elsewhere" if made_up else "required")
        return DutyService(
            Rules(consent == "required", privacy.notice, privacy.duty),
            self.database,
            self.clock,
            self.health,
            self.outbox,
            live_orders=self.orders.any_live,
            sos=sos_holds,
            around=self.changes,
            changed=self._duty_changed,
            forget=self._forget_whereabouts,
        )

    async def _duty_changed(self) -> None:
        assert self.duty is not None
        self.signals.light("duty", LIGHTS[self.duty.mode])
        self.changes.notify()
        await self.uplink.announce()

    async def _forget_whereabouts(self) -> int:
        assert self.positioning is not None
        self.positioning.forget()
        forgotten = await self.outbox.purge(WHEREABOUTS)
        self.uplink.reread()
        return forgotten

    def _wire_arrival(self) -> None:
        beacons, rider = self.config.beacons, self.config.role == "rider"
        if beacons is None and not rider:
            return
        open_scanner = recover = known = None
        if beacons is not None:
            driver = catalog.load("beacons", beacons.driver)
            settings = configuration.driver_settings("beacons", beacons)
            open_scanner = partial(driver.open, settings, self.clock)
            recover = driver.recover and partial(driver.recover, settings)
            known = places.configured(beacons.places)
        self.arrival = ArrivalService(
            clock=self.clock,
            recorder=self.outbox,
            health=self.health,
            open_scanner=open_scanner,
            recover=recover,
            places=known,
            fences=[_fence(fence) for fence in self.config.fence],
            on_fence=[self._crossed],
            orders=Orders(
                self.clock,
                self.changes,
                partial(self.orders.awaited, "shop" if rider else "courier"),
                "shops" if rider else "couriers",
            ),
            on_meeting=None if rider else self.orders.courier,
        )
        self._while_delivering(self.arrival, self.arrival.rest)

    def _wire_beacon(self) -> None:
        beacon = self.config.beacon
        if beacon is None:
            return
        driver = catalog.load("advertiser", beacon.driver)
        settings = configuration.driver_settings("advertiser", beacon)
        self.beacon = OwnBeacon(
            clock=self.clock,
            health=self.health,
            open_sender=partial(driver.open, settings, self.clock),
            key_file=key_path(Path(self.config.store.path)),
        )
        self._while_delivering(self.beacon, self.beacon.rest)

    def _while_delivering(self, service: Service, rest: Callable[[], Awaitable[None]]) -> None:
        """What locates a rider exactly, or lets others do so."""
        if (duty := self.duty) is None:
            self.rooms.append(service)
            return
        self.rooms.append(
            WhileAllowed(service, lambda: duty.mode == "delivery", duty.changes, rest)
        )

    async def _located(self, estimate: Estimate) -> None:
        if self.arrival is not None:
            await self.arrival.see(estimate)

    async def _crossed(self, _fence: str, _event: str) -> None:
        if self.positioning is not None:
            await self.positioning.report("fence")

    def _wire_commands(self) -> None:
        Rooms(
            self.config,
            self.clock,
            self.health,
            self.changes,
            self.database,
            self.outbox,
            self.inbox,
            self.uplink,
            self.orders,
            self.stock,
            self.desk,
            self.alerting,
            self.speaker,
            self.sos,
            self.positioning,
            self.duty,
            self.panel,
            self.beacon,
            self.door,
            self.origin,
        ).add_to(self.table)
        path = socket_path(Path(self.config.store.path))
        self.rooms += [self.commands, ControlService(path, self.table.ask)]

    def _wire_uplink(self) -> None:
        uplink, device = self.config.uplink, self.config.device.id
        settings = LinkSettings(
            url=uplink.url,
            fallbacks=tuple(uplink.fallbacks),
            id_property=uplink.id_property,
            return_after_s=configuration.seconds(uplink.return_after),
            window_s=uplink.reconnect_window_s,
            client_id=device,
            subscriptions=tuple(topics.subscriptions(device)),
            will=lambda: self.uplink.will(),
            keepalive_s=uplink.keepalive_s,
            session_expiry_s=int(configuration.seconds(uplink.session_expiry)),
            retry_max_s=uplink.retry_max_s,
            username=uplink.username,
            password=_secret(uplink.password_file),
            ca=_path(uplink.ca),
            cert=_path(uplink.cert),
            key=_path(uplink.key),
        )
        self.inbox = Inbox(
            self.database,
            self.clock,
            self.health,
            self.outbox,
            {
                "order": Route(self.orders.handle, self.orders.refuse),
                "cmd": Route(self.commands.handle, self.commands.refuse),
                "config": Route(self.wished.handle, self.wished.refuse),
            },
        )
        self.uplink = Uplink(
            device,
            uplink.confirm,
            lambda message, up, down: Link(
                settings,
                self.clock,
                on_message=message,
                on_up=self._telling(up),
                on_down=self._telling(down),
            ),
            self.outbox,
            self.inbox,
            self.clock,
            self.health,
            self._presence,
            born=[self._birth],
        )
        self.lateness = Lateness(
            self.outbox, self.clock, self.health, lambda: self.uplink.up_since is not None
        )

    def _telling(self, react: Callable[..., None]) -> Callable[..., None]:
        """The page shows at once what became of the link."""

        def told(*arguments: Any) -> None:
            react(*arguments)
            self.changes.notify()

        return told

    # --- what the uplink says of the device -------------------------------------------------------

    async def _presence(self, state: Literal["online", "offline", "lost"]) -> Presence:
        if state == "lost":  # asked once for each connection, before it is made
            self._bd_seq = await self.database.write(_next_bd_seq)
        return Presence(
            state=state,
            bd_seq=self._bd_seq,
            boot_id=self.clock.boot_id,
            agent=__version__,
            role=self.config.role,
            site=self.config.device.site,
            since=int(self._since * 1000),
            epoch=self.outbox.epoch,
            streams=await self.outbox.states(),
            open_commands=await self.commands.open_commands(),
            duty=self.duty.state if self.duty else None,
        )

    async def _birth(self) -> None:
        self._report_config()
        await self.orders.reconcile()
        if self.positioning is not None and await self.positioning.tell_anew():
            self.uplink.reread()

    def _report_config(self) -> None:
        topic = topics.reported(self.config.device.id)
        self.uplink.publish_retained(topic, encode(self.wished.reported()))

    def again(self) -> None:
        """Stop, and be started again with the configuration as it is then."""
        self.restart = True
        self.stop.set()


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


def _sound_settings(sound: Sound) -> Any:
    """`[sound] device` stands at the section's level, because everybody sets it."""
    if sound.driver == "alsa":
        return catalog.load("sound", "alsa").settings(device=sound.device)
    return configuration.driver_settings("sound", sound)


def _keep_s(store: Store) -> dict[Stream, float]:
    """Orders, prints and SOS wait for ever."""
    keep = configuration.seconds
    return {"telemetry": keep(store.keep_telemetry), "state": keep(store.keep_state)}


def _steps(escalate_s: tuple[float, ...] | float) -> list[float]:
    return sorted(escalate_s) if isinstance(escalate_s, tuple) else [escalate_s]


def _lead_s(config: Config) -> float:
    """Staff are reminded of a scheduled order when its first ticket is printed."""
    leads = [configuration.seconds(p.lead) for p in config.printer if p.lead is not None]
    return max(leads, default=LEAD_S)


def _fence(fence: FenceConfig) -> Shape:
    if fence.polygon:
        return Polygon(fence.id, tuple(fence.polygon), fence.dwell_s)
    assert fence.lat is not None
    assert fence.lon is not None
    return Circle(fence.id, fence.lat, fence.lon, fence.radius_m, fence.dwell_s)


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _secret(file: str | None) -> str | None:
    """The first line of a file; DriverError when it cannot be read."""
    if file is None:
        return None
    try:
        return Path(file).read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError, UnicodeDecodeError) as error:
        raise DriverError(f"the password in {file} cannot be read: {error}") from error
