"""What can be done to the demo's devices, and what is known of them.

The page and the headless story press the same buttons. What the shop shows is asked of the shop's
own agent over its control socket, which works without any network; what the map shows is only what
the back end heard. The truth comes from the simulated receiver.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent.contract import topics
from agent.contract.errors import NotRunning, Rejected
from agent.contract.events import AlertEvent, Arrival, Fence, OrderEvent, Position, PrintEvent, Sos
from agent.control import ask
from agent.core.clock import Clock
from agent.demo import menu
from agent.demo.backend import BackEnd, Heard, Outgoing
from agent.demo.belief import LATE_S, Errors, distance
from agent.demo.cable import Cable
from agent.demo.cards import Cards
from agent.demo.devices import Device
from agent.demo.feed import Feed
from agent.demo.paper import ORDER, Tickets, picture
from agent.demo.post import Post
from agent.demo.verdict import Facts
from agent.demo.wirelog import line_of
from agent.uplink.link import Connected, Link, LinkSettings, Message
from drivers.printer.elements import Paper
from drivers.printer.virtual import VirtualPrinter

POLL_S = 0.5
ASK_S = 5.0
SOS_HELD_S = 3.0
SAMPLE_S = 0.2
CLIENT = "demo-back-end"
HEARD = tuple(f"{topics.ROOT}/+/{rest}" for rest in ("state", "evt/#", "batch/+"))


@dataclass(slots=True)
class Local:
    """What an agent says of itself over its control socket."""

    up: bool = False
    backlog: int = 0
    alerts: list[dict[str, Any]] = field(default_factory=list)


class Stage:
    """`run()` until cancelled; everything else is a button or a question."""

    def __init__(
        self,
        clock: Clock,
        broker_port: int,
        devices: dict[str, Device],
        cables: dict[str, Cable],
        printer: VirtualPrinter,
        truth: Callable[[float], tuple[float, float]],
    ) -> None:
        self.backend = BackEnd()
        self.feed = Feed()
        self.tickets = Tickets()
        self.cards = Cards()
        self.errors = Errors()
        self.devices = devices
        self.printer = printer
        self.sent: list[str] = []
        self.malformed = self.refused = self.cuts = 0
        self.alerts: set[str] = set()
        self.acknowledged: set[str] = set()
        self.sos_ms: float | None = None
        self.sos_pressed: float | None = None
        self.started = asyncio.Event()
        self.settled = False  # both outboxes were empty before the agents were stopped
        self.local = {role: Local() for role in devices}
        self._clock = clock
        self._cables = cables
        self._truth = truth
        self._random = random.Random(7)  # noqa: S311 - the menu of a demo
        self._inside: set[str] = set()
        self._places: set[str] = set()
        self._rush: set[str] = set()
        self._sos = False
        self._first_fix: int | None = None  # unix ms
        self._agents: list[asyncio.Task[None]] = []
        self._rider: dict[str, Any] = {}
        self._late_events: int | None = None  # since the cable came back
        self._dead: set[str] = set()
        self._post = Post(self._on_sent)
        self._post.link = self._link = Link(
            LinkSettings(
                url=f"mqtt://127.0.0.1:{broker_port}",
                client_id=CLIENT,
                subscriptions=HEARD,
            ),
            clock,
            on_message=self._on_message,
            on_up=self._on_up,
            on_down=lambda _reason: None,
        )

    async def run(self) -> None:
        self.printer.listen(self.printer_changed)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._link.run(), name="back end")
            for role, device in self.devices.items():
                self._agents.append(group.create_task(device.run(), name=device.id))
                group.create_task(self._poll(role, device), name=f"poll {role}")
            group.create_task(self._sample(), name="truth")

    async def stop_agents(self) -> None:
        """In order, as systemd would; they deliver what they can. The back end goes on."""
        self.settled = self.drained()
        for agent in self._agents:
            agent.cancel()
        await asyncio.wait(self._agents)

    # --- buttons ----------------------------------------------------------------------------------

    def cut(self) -> None:
        self.cuts += 1
        for cable in self._cables.values():
            cable.cut()
        self._late_events = None
        self._note("n_cut", mood="bad")

    def restore(self) -> None:
        for cable in self._cables.values():
            cable.restore()
        self._late_events = 0
        self._note("n_restore")

    def kill(self, role: str) -> bool:
        killed = self.devices[role].kill()
        if killed:
            self._note(f"n_kill_{role}", mood="bad")
            self._dead.add(role)
            self.local[role].up = False
        return killed

    def paper_out(self) -> None:
        self.printer.fault("paper_out")
        self._note("n_paper_out", mood="bad")

    def refill(self) -> None:
        self.printer.fault("paper_out", on=False)
        self._note("n_refill", mood="good")

    def order(self, count: int = 1) -> None:
        """New orders for the shop, at once."""
        for _ in range(count):
            number = len(self.sent) + self.malformed + 1
            order = menu.order(number, self._random, self._now())
            self.sent.append(order.order_id)
            self._show_card(self.cards.add(order))
            self._post.send(self.backend.order(self.devices["shop"].id, order))

    def rush(self, count: int) -> None:
        before = len(self.sent)
        self.order(count)
        self._rush = set(self.sent[before:])
        self._note("n_rush")

    def bad_order(self) -> None:
        """Something that calls itself an order and is none."""
        number = len(self.sent) + self.malformed + 1
        self.malformed += 1
        shop, order_id = self.devices["shop"].id, menu.order_id(number)
        self._post.send(Outgoing(topics.order(shop, order_id), menu.malformed(number)))

    async def accept(self, order_id: str) -> None:
        await self._ask("shop", "order.accept", order_id=order_id)
        self._show_card(self.cards.accepted(order_id))

    async def accept_all(self) -> None:
        for order_id in self.open_orders():
            await self.accept(order_id)

    async def heard(self) -> None:
        """Somebody in the shop has heard the alert."""
        await self._ask("shop", "alert.ack")

    async def sos(self) -> None:
        """The rider holds the button for three seconds, which are not waited for here. Held once
        more, it ends the SOS."""
        if not self._sos:
            self.sos_pressed, self.sos_ms = self._clock.monotonic(), None
            self._note("n_sos_pressed", mood="bad")
        await self._ask("rider", "panel.press", button="sos", held_s=SOS_HELD_S)

    # --- questions --------------------------------------------------------------------------------

    @property
    def is_cut(self) -> bool:
        return any(cable.is_cut for cable in self._cables.values())

    def drained(self) -> bool:
        """Both agents are up and hold nothing that the back end lacks."""
        return not self.is_cut and all(
            local.up and local.backlog == 0 for local in self.local.values()
        )

    def complete(self) -> bool:
        """The back end has, or knows the reason of, everything that the agents spoke of."""
        return all(book.holes() == 0 for _, book in self.backend.ledger.books())

    def all_printed(self) -> bool:
        return all(self.tickets.has(order_id) for order_id in self.sent)

    @property
    def is_rushing(self) -> bool:
        return bool(self._rush)

    def facts(self) -> Facts:
        """For the verdict."""
        return Facts(
            ledger=self.backend.ledger,
            tickets=self.tickets,
            sent=self.sent,
            malformed=self.malformed,
            refused=self.refused,
            alerts=len(self.alerts),
            acknowledged=len(self.acknowledged),
            errors=self.errors,
            sos_ms=self.sos_ms,
            sos_pressed=self.sos_pressed is not None,
            kills=sum(device.kills for device in self.devices.values()),
            cuts=self.cuts,
            drained=self.settled,
        )

    def open_orders(self) -> list[str]:
        """At the shop and not accepted, the oldest first."""
        return self.cards.open()

    def rider(self) -> dict[str, Any]:
        """For the map, newest sample."""
        return self._rider

    def status(self) -> dict[str, Any]:
        """For the page, all counters."""
        books = [book for _, book in self.backend.ledger.books()]
        return {
            "agents": [self._agent(role) for role in self.devices],
            "counters": {
                "recorded": sum(book.recorded for book in books),
                "received": sum(book.distinct for book in books),
                "waiting": sum(local.backlog for local in self.local.values()),
                "lost": sum(book.lost() for book in books),
                "printed_twice": self.tickets.unflagged,
            },
            "printer": {"fault": self.printer.condition.fault, "printed": self.tickets.pieces},
            "orders": {"sent": len(self.sent), "on_the_way": self.cards.on_the_way()},
            "alerts": self.local["shop"].alerts,
            "position": {
                "now": self._rider.get("off_m"),
                "p50": self.errors.percentile(0.5),
                "p95": self.errors.percentile(0.95),
                "count": self.errors.count,
                "told": self.feed.total("trail"),
                "fixes": self._fixes(),
            },
        }

    def _fixes(self) -> int:
        """Seconds since the first position; the receiver gives one fix a second."""
        newest = self.backend.beliefs.get(self.devices["rider"].id)
        if self._first_fix is None or newest is None or newest.newest is None:
            return 0
        return round((newest.newest.fix_t - self._first_fix) / 1000)

    def _agent(self, role: str) -> dict[str, Any]:
        device = self.devices[role]
        presence = self.backend.presences.get(device.id)
        return {
            "role": role,
            "id": device.id,
            "pid": device.pid,
            "kills": device.kills,
            "state": presence.state if presence else None,
            "cut": self._cables[role].is_cut,
            "backlog": self.local[role].backlog,
        }

    # --- what comes in ----------------------------------------------------------------------------

    def printer_changed(self) -> None:
        """Called by the printer at every change; takes the paper that has come out."""
        for paper in self.printer.paper[self.tickets.pieces :]:
            self._take_paper(paper)

    def _take_paper(self, paper: Paper) -> None:
        self.tickets.add(paper)
        self.feed.add("tickets", picture(paper, self.printer.width_dots))
        for order_id in ORDER.findall(paper.plain):
            self._show_card(self.cards.printed(order_id))
        if self._rush and all(self.tickets.has(order_id) for order_id in self._rush):
            self._note("n_rush_done", len(self._rush), mood="good")
            self._rush = set()

    def _on_up(self, connected: Connected) -> None:
        self._post.up(connected.receive_maximum)

    def _on_sent(self, outgoing: Outgoing) -> None:
        self.feed.add("wire", line_of(outgoing.topic, outgoing.payload, self._now(), up=False))

    def _on_message(self, message: Message) -> None:
        now = self._now()
        reaction = self.backend.receive(message.topic, message.payload, message.content_type, now)
        late = any(heard.late_s > LATE_S for heard in reaction.heard)
        self.feed.add("wire", line_of(message.topic, message.payload, now, up=True, late=late))
        for heard in reaction.heard:
            self._on_event(heard)
        for outgoing in reaction.publish:
            self._post.send(outgoing)
        self._link.acknowledge(message)

    def _on_event(self, heard: Heard) -> None:
        late = heard.late_s > LATE_S
        if self._late_events is not None:
            self._late_events += late
        match heard.body:
            case Position() as p:
                self._first_fix = self._first_fix or p.fix_t
                point = {"lat": p.lat, "lon": p.lon, "t": p.fix_t, "late": late}
                self.feed.add("trail", point)
            case Fence() as f:
                (self._inside.add if f.event == "enter" else self._inside.discard)(f.fence)
                self._note("n_enter" if f.event == "enter" else "n_leave")
            case Arrival() as a:
                self._on_arrival(a)
            case OrderEvent(action="rejected"):
                self.refused += 1
            case OrderEvent(order_id=str(order_id), action=action):
                self._show_card(self.cards.said(order_id, action))
            case PrintEvent() as p:
                self._show_card(self.cards.ticket(p.order_id, p.state))
            case AlertEvent() as a:
                self.alerts.add(a.alert_id)
                if a.state == "acknowledged":
                    self.acknowledged.add(a.alert_id)
            case Sos() as sos:
                self._on_sos(sos)
            case _:
                pass

    def _on_arrival(self, arrival: Arrival) -> None:
        if arrival.event in ("enter", "arrived"):
            self._places.add(arrival.place)
            if arrival.floor is not None:
                self._note("n_floor", arrival.floor)
            else:
                self._note("n_arrived", arrival.place)
        elif arrival.event == "exit":
            self._places.discard(arrival.place)

    def _on_sos(self, sos: Sos) -> None:
        self._sos = sos.state == "raised"
        if not self._sos:
            self._note("n_sos_over", mood="good")
        elif self.sos_pressed is not None and self.sos_ms is None:
            self.sos_ms = (self._clock.monotonic() - self.sos_pressed) * 1000
            self._note("n_sos", round(self.sos_ms), mood="bad")

    def _show_card(self, card: dict[str, Any] | None) -> None:
        if card is not None:
            self.feed.add("orders", card)

    def _note(self, word: str, *values: object, mood: str = "") -> None:
        self.feed.add("notes", {"word": word, "values": values, "mood": mood})

    def _now(self) -> int:
        return round(self._clock.wall() * 1000)

    # --- asking the agents ------------------------------------------------------------------------

    async def _ask(self, role: str, do: str, **params: object) -> Any:
        """Raises Rejected or NotRunning."""
        try:
            async with asyncio.timeout(ASK_S):
                return await ask(self.devices[role].socket, do, dict(params))
        except TimeoutError:
            raise NotRunning(f"the {role}'s agent does not answer") from None

    async def _poll(self, role: str, device: Device) -> None:
        while True:
            try:
                status = await self._ask(role, "status")
            except (NotRunning, Rejected):
                self.local[role].up = False
            else:
                device.is_up()
                self._take(role, status)
            await self._clock.sleep(POLL_S)

    def _take(self, role: str, status: dict[str, Any]) -> None:
        local = self.local[role]
        local.up = True
        local.alerts = [{"cause": alert["cause"]} for alert in status["alerts"]]
        local.backlog = sum(status["link"]["backlog"].values())
        for stream, state in status["link"]["streams"].items():
            self.backend.ledger.book(self.devices[role].id, status["epoch"], stream).says(**state)
        if role in self._dead:
            self._dead.discard(role)
            self._note(f"n_back_{role}", mood="good")
        if self._late_events and self.drained():
            lost = sum(book.lost() for _, book in self.backend.ledger.books())
            self._note("n_drained", self._late_events, lost, mood="good")
            self._late_events = None

    # --- the truth --------------------------------------------------------------------------------

    async def _sample(self) -> None:
        """Compare what the server believes with where the rider is."""
        device = self.devices["rider"].id
        while True:
            now = self._clock.wall()
            truth = self._truth(now)
            belief = self.backend.beliefs.get(device)
            at = belief.at(round(now * 1000)) if belief else None
            newest = belief.newest if belief else None
            off = distance(truth, at) if at is not None and belief and belief.fresh else None
            if off is not None:
                self.errors.add(off)
            self._rider = {
                "truth": truth,
                "belief": at,
                "fresh": off is not None,
                "off_m": off,
                "acc": newest.acc if newest else None,
                "speed": newest.speed if newest else None,
                "course": newest.course if newest else None,
                "inside": sorted(self._inside),
                "places": sorted(self._places),
                "sos": self._sos,
            }
            await self._clock.sleep(SAMPLE_S)
