"""The commands of a device: each one line in a table, for MQTT, command line and page alike."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from agent import __version__, checks, shown
from agent.alerting.service import AlertingService
from agent.alerting.sos_service import SosService
from agent.alerting.speaker import Speaker
from agent.arrival.own_beacon import OwnBeacon
from agent.arrival.rotating import EPOCH_S
from agent.config import Config, Name
from agent.contract.errors import Rejected
from agent.contract.events import Shop
from agent.core.changes import Changes
from agent.core.clock import Clock
from agent.core.health import Health
from agent.fleet.commands import CommandTable
from agent.orders.service import OrderDesk
from agent.orders.stock import StockService
from agent.page.door import Door
from agent.page.pins import Role
from agent.positioning.duty_service import DutyService
from agent.positioning.privacy import Duty
from agent.positioning.reporting import CHOOSABLE, IDLE, PROFILES
from agent.positioning.service import PositioningService
from agent.positioning.watching import View
from agent.printing.desk import PrintingDesk
from agent.store.database import Database
from agent.store.inbox import Inbox
from agent.store.outbox import Outbox
from agent.uplink.service import Uplink
from drivers.base import Examination, Panel

PAGE = 15
PAGE_MAX = 150
NEVER_MS = 1 << 53
SHOP_KEY = "shop_status"
Status = Literal["open", "busy", "closed"]


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all parameters; an unknown one is a mistake of the sender."""


class ListOrders(Params, frozen=True):
    limit: Annotated[int, Meta(ge=1, le=PAGE_MAX)] = PAGE
    before: int | None = None  # unix ms: only orders received earlier


class OnOrder(Params, frozen=True):
    order_id: str


class Nudge(Params, frozen=True):
    order_id: str
    note: Annotated[str, Meta(max_length=200)] | None = None


class SetStock(Params, frozen=True):
    sku: Annotated[str, Meta(min_length=1, max_length=64)]
    left: Annotated[int, Meta(ge=0, le=10**6)] | None = None  # portions
    available: bool | None = None  # none: while there is something left
    name: Annotated[str, Meta(max_length=200)] | None = None


class RejectOrder(Params, frozen=True):
    order_id: str
    reason: Annotated[str, Meta(min_length=1, max_length=200)]


class AckAlert(Params, frozen=True):
    alert_id: str | None = None  # none of the three: all of them
    alert_ids: Annotated[list[str], Meta(max_length=1000)] = []
    order_id: str | None = None  # those of an order


class Reprint(Params, frozen=True):
    order_id: str | None = None
    job_id: str | None = None


class Resume(Params, frozen=True):
    printer: str
    choice: Literal["all", "latest", "none"] = "all"


class OnPrinter(Params, frozen=True):
    printer: str


class OnJob(Params, frozen=True):
    job_id: str


class SetTemplate(Params, frozen=True):
    name: Name
    text: Annotated[str, Meta(max_length=8192)]


class OnTemplate(Params, frozen=True):
    name: Name


class RetryMessages(Params, frozen=True):
    id: int | None = None  # none: all of them


class Spread(Params, frozen=True):
    window_s: Annotated[float, Meta(ge=0, le=3600)]  # 0: none


class SetShop(Params, frozen=True):
    status: Status


class SetDuty(Params, frozen=True):
    duty: Duty


class GiveConsent(Params, frozen=True):
    person: Annotated[str, Meta(min_length=1, max_length=64)]
    notice: Annotated[str, Meta(min_length=1, max_length=32)]  # version of the text that was shown


class PressButton(Params, frozen=True):
    button: str
    held_s: Annotated[float, Meta(ge=0, le=60)] = 0.1


class SetPin(Params, frozen=True):
    role: Role
    pin: str


class ListQueue(Params, frozen=True):
    table: shown.Table
    after: int = 0  # the key of the last row that is known


class SetProfile(Params, frozen=True):
    profile: str
    minutes: Annotated[float, Meta(gt=0, le=1440)] = 10.0


@dataclass(slots=True)
class Rooms:
    """What the commands reach."""

    config: Config
    clock: Clock
    health: Health
    changes: Changes
    database: Database
    outbox: Outbox
    inbox: Inbox
    uplink: Uplink
    orders: OrderDesk
    stock: StockService
    desk: PrintingDesk
    alerting: AlertingService
    speaker: Speaker  # one of its own, for tests of the sound
    sos: SosService
    positioning: PositioningService | None
    duty: DutyService | None  # a rider's
    panel: list[Panel]  # the open one, if any
    beacon: OwnBeacon | None
    door: Door
    origin: Mapping[str, str]  # of the settings

    def add_to(self, table: CommandTable) -> None:
        add = table.add
        add("status", "How the device is.", self.status, changes=False)
        add("orders.list", "The newest orders.", self.list_orders, ListOrders, changes=False)
        add("order.accept", "Accept an order.", self.accept, OnOrder)
        add("order.reject", "Reject an order, with a reason.", self.reject, RejectOrder)
        add("order.ready", "An order is ready to be picked up.", self.ready, OnOrder)
        add("order.picked_up", "An order was handed over.", self.picked_up, OnOrder)
        add("order.urge", "A customer urges: staff must hear of it.", self.urge, Nudge)
        add("order.refund", "A customer wants a refund: staff must hear of it.", self.refund, Nudge)
        add("alert.ack", "Acknowledge an alert, or all.", self.acknowledge, AckAlert)
        add("stock.set", "How much of something is left.", self.set_stock, SetStock)
        add("stock.list", "What is running out or sold out.", self.list_stock, changes=False)
        add("printer.reprint", "Print tickets again, marked.", self.reprint, Reprint)
        add("printer.resume", "Decide about tickets that waited.", self.resume, Resume)
        add("printer.test", "Print a test page.", self.test_page, OnPrinter)
        add("printer.examine", "Find out what a printer can prove.", self.examine, OnPrinter)
        add("ticket.preview", "What a ticket looks like.", self.preview, OnJob, changes=False)
        add("ticket.templates", "The templates.", self.list_templates, changes=False)
        add(
            "ticket.set", "Tickets look by this template from now on.", self.set_ticket, SetTemplate
        )
        add("ticket.reset", "Forget a template that was sent.", self.reset_ticket, OnTemplate)
        add("shop.set", "Open, busy or closed.", self.set_shop, SetShop)
        add("queue.retry", "Handle set-aside messages again.", self.retry, RetryMessages)
        add("uplink.spread", "Spread reconnecting over so many seconds.", self.spread, Spread)
        add("sound.test", "Play the chime and a phrase.", self.test_sound)
        # An exact place is for who stands at the device, whatever the back end may know.
        add("gps.view", "What the receiver says.", self.view, changes=False, remote=False)
        add("config.show", "The settings in force.", self.show_config, changes=False, remote=False)
        add("doctor", "The checks of the doctor.", self.check, changes=False, remote=False)
        add("queue.list", "What waits.", self.queue, ListQueue, changes=False, remote=False)
        hidden = frozenset({"pin"})
        add("page.pin", "Set a PIN.", self.set_pin, SetPin, remote=False, withheld=hidden)
        add("sos.test", "Say what an SOS would do now.", self.test_sos, changes=False)
        add("sos.raise", "Raise an SOS.", self.raise_sos, remote=False)
        add("sos.cancel", "End an SOS.", self.cancel_sos)
        add("position.report", "Report the position now.", self.report_position)
        add("position.profile", "Report by a profile for a while.", self.set_profile, SetProfile)
        add("duty.set", "Off duty, idle or delivering.", self.set_duty, SetDuty)
        add("consent.show", "What the rider agreed to.", self.show_consent, changes=False)
        add("consent.give", "The rider agrees to be located.", self.give_consent, GiveConsent)
        add("consent.withdraw", "The rider takes it back.", self.withdraw_consent)
        add("beacon.key", "The key of this device's own beacon.", self.beacon_key, secret=True)
        add("panel.press", "Press a simulated button.", self.press, PressButton, remote=False)

    # --- how it is --------------------------------------------------------------------------------

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
            "stock": await self._short_stock(),
            "late_s": config.alert.escalate_s,
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

    async def list_orders(self, params: ListOrders, _by: str) -> dict[str, Any]:
        before = NEVER_MS if params.before is None else params.before
        found = await self.orders.newest(params.limit + 1, before)
        return {
            "orders": [
                {
                    "order": stored.order,
                    "stage": stored.stage,
                    "received": stored.received,
                    "settled": stored.settled,
                    "by": stored.acted_by,
                    "unconfirmed": stored.acted,
                    "conflict": stored.conflict,
                    "remind_at": stored.remind_at,
                    "lapse_at": stored.lapse_at,
                    "jobs": await self.desk.jobs(stored.order.order_id),
                }
                for stored in found[: params.limit]
            ],
            "more": len(found) > params.limit,
        }

    # --- orders -----------------------------------------------------------------------------------

    async def accept(self, params: OnOrder, by: str) -> str:
        return await self.orders.act(params.order_id, "accepted", by)

    async def reject(self, params: RejectOrder, by: str) -> str:
        return await self.orders.act(params.order_id, "rejected", by, params.reason)

    async def ready(self, params: OnOrder, by: str) -> str:
        return await self.orders.act(params.order_id, "ready", by)

    async def picked_up(self, params: OnOrder, by: str) -> str:
        return await self.orders.act(params.order_id, "picked_up", by)

    async def urge(self, params: Nudge, _by: str) -> str:
        return await self.orders.nudge(params.order_id, "urged", params.note)

    async def refund(self, params: Nudge, _by: str) -> str:
        return await self.orders.nudge(params.order_id, "refund", params.note)

    # --- stock ------------------------------------------------------------------------------------

    async def set_stock(self, params: SetStock, by: str) -> dict[str, Any]:
        goods = await self.stock.put(
            params.sku, name=params.name, left=params.left, available=params.available, by=by
        )
        return goods._asdict()

    async def list_stock(self, _params: Any, _by: str) -> list[dict[str, Any]]:
        return await self._short_stock()

    async def _short_stock(self) -> list[dict[str, Any]]:
        return [goods._asdict() for goods in await self.stock.short(PAGE_MAX)]

    async def set_shop(self, params: SetShop, by: str) -> str:
        row = (SHOP_KEY, params.status)
        sql = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
        await self.database.write(lambda tx: tx.execute(sql, row))
        await self.outbox.record(Shop(status=params.status, by=by))
        self.changes.notify()
        return params.status

    # --- printers ---------------------------------------------------------------------------------

    async def reprint(self, params: Reprint, by: str) -> list[str]:
        target = params.job_id or params.order_id
        if target is None:
            raise Rejected("invalid", "say which order_id or job_id")
        return await self.desk.reprint(target, by)

    async def resume(self, params: Resume, by: str) -> int:
        return await self.desk.resume(params.printer, params.choice, by)

    async def test_page(self, params: OnPrinter, _by: str) -> str:
        return await self.desk.test_page(params.printer)

    async def examine(self, params: OnPrinter, _by: str) -> Examination:
        return await self.desk.examine(params.printer)

    async def preview(self, params: OnJob, _by: str) -> dict[str, Any]:
        return msgspec.structs.asdict(await self.desk.preview(params.job_id))

    async def list_templates(self, _params: Any, _by: str) -> list[dict[str, str]]:
        return self.desk.templates()

    async def set_ticket(self, params: SetTemplate, _by: str) -> None:
        await self.desk.set_template(params.name, params.text)

    async def reset_ticket(self, params: OnTemplate, _by: str) -> None:
        await self.desk.reset_template(params.name)

    # --- messages that were set aside -------------------------------------------------------------

    async def retry(self, params: RetryMessages, _by: str) -> dict[str, int]:
        handled, again = await self.inbox.retry(params.id)
        return {"handled": handled, "again": again}

    # --- the link ---------------------------------------------------------------------------------

    async def spread(self, params: Spread, _by: str) -> float:
        """Until the next start; `uplink.reconnect_window_s` is for good."""
        self.uplink.spread(params.window_s)
        return params.window_s

    # --- alerts and SOS ---------------------------------------------------------------------------

    async def acknowledge(self, params: AckAlert, by: str) -> list[str]:
        ids = {*params.alert_ids, *([params.alert_id] if params.alert_id else [])}
        return await self.alerting.acknowledge(ids or None, by, params.order_id)

    async def test_sound(self, _params: Any, _by: str) -> str:
        await self.speaker.open()
        try:
            if not await self.speaker.say(["chime", "new_order"], loud=False):
                raise Rejected("no_sound", "nothing was heard; see: edge-agent doctor")
        finally:
            await self.speaker.close()
        return "played; if nobody heard it, check volume and cable"

    async def view(self, _params: Any, _by: str) -> View:
        if self.positioning is None:
            raise Rejected("not_here", "this device has no receiver")
        return self.positioning.view()

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

    # --- position ---------------------------------------------------------------------------------

    async def report_position(self, _params: Any, _by: str) -> dict[str, Any]:
        report = await self._located().report("heartbeat")
        if report is None:
            raise Rejected("no_position", "there is no position yet, or it may not be told exactly")
        return {"age_s": round(self.clock.monotonic() - report.t, 1), "acc": report.acc}

    async def set_profile(self, params: SetProfile, _by: str) -> dict[str, Any]:
        """Until the next start at most; `position.profile` in the configuration is for good."""
        if params.profile == IDLE:
            raise Rejected("invalid", "the duty makes a rider idle: send duty.set")
        if params.profile not in CHOOSABLE:
            raise Rejected("invalid", f"there is no such profile; there are {', '.join(CHOOSABLE)}")
        self._located().override(PROFILES[params.profile], params.minutes * 60)
        return {
            "profile": params.profile,
            "minutes": params.minutes,
            "exactly": self._rider().mode == "delivery",
            "survives_restart": False,
        }

    def _located(self) -> PositioningService:
        if self.positioning is None:
            raise Rejected("no_position", "this device has no [position]")
        return self.positioning

    # --- the own beacon ---------------------------------------------------------------------------

    async def beacon_key(self, _params: Any, _by: str) -> dict[str, Any]:
        """For the back end, which hands it out with orders."""
        if self.beacon is None:
            raise Rejected("not_here", "this device has no [beacon]")
        return {"key": self.beacon.key().hex(), "epoch_s": EPOCH_S}

    # --- duty and consent -------------------------------------------------------------------------

    async def set_duty(self, params: SetDuty, by: str) -> dict[str, Any]:
        return await self._rider().set_duty(params.duty, by)

    async def show_consent(self, _params: Any, _by: str) -> dict[str, Any]:
        return self._rider().view()

    async def give_consent(self, params: GiveConsent, by: str) -> dict[str, Any]:
        return await self._rider().give(params.person, params.notice, by)

    async def withdraw_consent(self, _params: Any, by: str) -> dict[str, Any]:
        return await self._rider().withdraw(by)

    def _rider(self) -> DutyService:
        if self.duty is None:
            raise Rejected("no_rider", "this device locates nobody: it has no [position]")
        return self.duty

    # --- for technicians --------------------------------------------------------------------------

    async def show_config(self, _params: Any, _by: str) -> dict[str, Any]:
        return shown.settings(self.config, self.origin)

    async def check(self, _params: Any, _by: str) -> list[checks.Finding]:
        return await asyncio.to_thread(checks.all_of, self.config)

    async def queue(self, params: ListQueue, _by: str) -> dict[str, Any]:
        return await self.database.read(lambda tx: shown.rows(tx, params.table, params.after))

    async def set_pin(self, params: SetPin, _by: str) -> str:
        await self.door.set_pin(params.role, params.pin)
        return f"the PIN of {params.role} is set; who was in by the old one is out"

    async def press(self, params: PressButton, _by: str) -> None:
        for panel in self.panel:
            press = getattr(panel, "press", None)
            if press is None:
                break
            press(params.button, params.held_s)
            return
        raise Rejected("no_panel", "only a simulated panel can be pressed by a command")


def shop_status(connection: Any) -> Status:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (SHOP_KEY,)).fetchone()
    return row[0] if row else "open"
