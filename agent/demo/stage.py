"""What can be done to the demo's devices: the page and the headless story press the same buttons.

What the shop shows is asked of the shop's own agent over its control socket, which works without
any network; what the map shows is only what the back end heard.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent.contract import topics
from agent.contract.errors import NotRunning, Rejected
from agent.contract.orders import Order
from agent.control import ask
from agent.core.clock import Clock
from agent.demo import menu
from agent.demo.backend import Outgoing
from agent.demo.cable import Cable
from agent.demo.devices import Device
from agent.demo.post import Post
from agent.demo.verdict import Facts
from agent.demo.witness import Witness
from agent.uplink.link import Link, LinkSettings, Message
from drivers.printer.virtual import VirtualPrinter

POLL_S = 0.5
ASK_S = 5.0
SOS_HELD_S = 3.0
SAMPLE_S = 0.2
ARRIVED_S = 0.4  # by then a message about a fix has arrived
CLIENT = "demo-back-end"
HEARD = tuple(f"{topics.ROOT}/+/{rest}" for rest in ("state", "evt/#", "batch/+"))


@dataclass(slots=True)
class Local:
    """What an agent says of itself over its control socket."""

    up: bool = False
    backlog: int = 0
    alerts: list[dict[str, Any]] = field(default_factory=list)
    killed: bool = False  # and has not answered since


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
        self.witness = Witness(devices["rider"].id)
        self.devices = devices
        self.printer = printer
        self.started = asyncio.Event()  # a visitor is here
        self.local = {role: Local() for role in devices}
        self._clock = clock
        self._cables = cables
        self._truth = truth
        self._random = random.Random(7)  # noqa: S311 - the menu of a demo
        self._number = self._malformed = self._cuts = 0
        self._settled = False  # both outboxes were empty before the agents were stopped
        self._agents: list[asyncio.Task[None]] = []
        settings = LinkSettings(
            url=f"mqtt://127.0.0.1:{broker_port}", client_id=CLIENT, subscriptions=HEARD
        )
        self._link = Link(
            settings,
            clock,
            on_message=self._on_message,
            on_up=lambda connected: self._post.up(connected.receive_maximum),
            on_down=lambda _reason: None,
        )
        self._post = Post(self._on_sent, self._link)

    async def run(self) -> None:
        self.printer.listen(self.printer_changed)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._link.run(), name="back end")
            for role, device in self.devices.items():
                self._agents.append(group.create_task(device.run(), name=device.id))
                group.create_task(self._poll(role, device), name=f"poll {role}")
            group.create_task(self._compare(), name="truth")

    async def stop_agents(self) -> None:
        """In order, as systemd would; they deliver what they can. The back end goes on."""
        self._settled = self.drained()
        for agent in self._agents:
            agent.cancel()
        await asyncio.wait(self._agents)

    # --- orders -----------------------------------------------------------------------------------

    def order(self, count: int = 1) -> None:
        """New orders for the shop, at once."""
        timed_at = self._clock.monotonic() if count == 1 and self._is_well() else None
        for _ in range(count):
            self._number += 1
            self._send(menu.order(self._number, self._random, self._now()), timed_at)

    def rush(self, count: int) -> None:
        before = len(self.witness.sent)
        self.order(count)
        self.witness.rush = set(self.witness.sent[before:])
        self.witness.note("n_rush")

    def change(self, order_id: str) -> None:
        """The customer wants one dish more."""
        self._send(menu.changed(self._newest(order_id), self._random))

    def again(self, order_id: str) -> None:
        """The back end sends what it has sent before, as brokers and back ends do."""
        shop = self.devices["shop"].id
        self._post.send(self.witness.backend.order(shop, self._newest(order_id)))

    def bad_order(self) -> None:
        """Something that calls itself an order and is none."""
        self._number += 1
        self._malformed += 1
        topic = topics.order(self.devices["shop"].id, menu.order_id(self._number))
        self._post.send(Outgoing(topic, menu.malformed(self._number)))

    async def accept(self, order_id: str) -> None:
        await self._ask("shop", "order.accept", order_id=order_id)
        self.witness.show(self.witness.cards.accepted(order_id))

    async def accept_all(self) -> None:
        for order_id in self.open_orders():
            await self.accept(order_id)

    def open_orders(self) -> list[str]:
        """At the shop and not accepted, the oldest first."""
        return self.witness.cards.open()

    def _send(self, order: Order, timed_at: float | None = None) -> None:
        self._post.send(self.witness.sends(order, self.devices["shop"].id, timed_at=timed_at))

    def _newest(self, order_id: str) -> Order:
        return self.witness.backend.newest(self.devices["shop"].id, order_id)

    def _is_well(self) -> bool:
        """Nothing stands between an order and its ticket."""
        waiting = not self.witness.all_printed()
        return not (self.is_cut or waiting or self.printer.condition.fault) and (
            self.local["shop"].up
        )

    # --- what goes wrong --------------------------------------------------------------------------

    def cut(self) -> None:
        self._cuts += 1
        for cable in self._cables.values():
            cable.cut()
        self.witness.cable(cut=True)

    def restore(self) -> None:
        for cable in self._cables.values():
            cable.restore()
        self.witness.cable(cut=False)

    def kill(self, role: str) -> bool:
        killed = self.devices[role].kill()
        if killed:
            self.local[role].up, self.local[role].killed = False, True
            self.witness.note(f"n_kill_{role}", mood="bad")
        return killed

    def paper_out(self) -> None:
        self.printer.fault("paper_out")
        self.witness.note("n_paper_out", mood="bad")

    def refill(self) -> None:
        self.printer.fault("paper_out", on=False)
        self.witness.note("n_refill", mood="good")

    async def heard(self) -> None:
        """Somebody in the shop has heard the alert."""
        await self._ask("shop", "alert.ack")

    async def sos(self) -> None:
        """The rider holds the button for three seconds, which are not waited for here. Held once
        more, it ends the SOS."""
        witness = self.witness
        if not witness.sos_raised:
            witness.sos_pressed, witness.sos_ms = self._clock.monotonic(), None
            witness.note("n_sos_pressed", mood="bad")
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

    def status(self) -> dict[str, Any]:
        """For the page, all counters."""
        witness = self.witness
        books = [book for _, book in witness.backend.ledger.books()]
        return {
            "agents": [self._agent(role) for role in self.devices],
            "counters": {
                "recorded": sum(book.recorded for book in books),
                "received": sum(book.distinct for book in books),
                "waiting": sum(local.backlog for local in self.local.values()),
                "lost": sum(book.lost() for book in books),
                "printed_twice": witness.tickets.unflagged,
            },
            "printer": {
                "fault": self.printer.condition.fault,
                "printed": witness.tickets.pieces,
            },
            "orders": {"sent": len(witness.sent), "on_the_way": witness.cards.on_the_way()},
            "alerts": self.local["shop"].alerts,
            "position": witness.position(),
        }

    def _agent(self, role: str) -> dict[str, Any]:
        device = self.devices[role]
        presence = self.witness.backend.presences.get(device.id)
        return {
            "role": role,
            "id": device.id,
            "pid": device.pid,
            "kills": device.kills,
            "state": presence.state if presence else None,
            "cut": self._cables[role].is_cut,
            "backlog": self.local[role].backlog,
        }

    def facts(self) -> Facts:
        """For the verdict."""
        witness = self.witness
        return Facts(
            ledger=witness.backend.ledger,
            tickets=witness.tickets,
            sent=witness.sent,
            orders=len(witness.orders),
            rung=len(witness.rung & set(witness.orders)),
            to_paper=witness.to_paper,
            malformed=self._malformed,
            refused=witness.refused,
            alerts=len(witness.alerts),
            acknowledged=len(witness.acknowledged),
            off=witness.off,
            off_at_fixes=witness.off_at_fixes,
            sos_ms=witness.sos_ms,
            sos_pressed=witness.sos_pressed is not None,
            kills=sum(device.kills for device in self.devices.values()),
            cuts=self._cuts,
            drained=self._settled,
        )

    # --- ears and eyes ----------------------------------------------------------------------------

    def printer_changed(self) -> None:
        """Called by the printer at every change; takes the paper that has come out."""
        for paper in self.printer.paper[self.witness.tickets.pieces :]:
            self.witness.sees(paper, self.printer.width_dots, self._clock.monotonic())

    def _on_sent(self, outgoing: Outgoing) -> None:
        self.witness.line(outgoing.topic, outgoing.payload, self._now(), up=False)

    def _on_message(self, message: Message) -> None:
        now = self._clock.monotonic()
        for outgoing in self.witness.hears(
            message.topic, message.payload, message.content_type, now, self._now()
        ):
            self._post.send(outgoing)
        self._link.acknowledge(message)

    async def _compare(self) -> None:
        checked = 0
        while True:
            now = self._clock.wall()
            self.witness.compares(self._truth(now), round(now * 1000))
            fix = int(now - ARRIVED_S)  # the simulated receiver's fixes are at whole seconds
            if fix > checked:
                self.witness.checks(self._truth(fix), fix * 1000)
                checked = fix
            await self._clock.sleep(SAMPLE_S)

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
        local, ledger = self.local[role], self.witness.backend.ledger
        if local.killed:
            self.witness.note(f"n_back_{role}", mood="good")
        local.up, local.killed = True, False
        local.alerts = [{"cause": alert["cause"]} for alert in status["alerts"]]
        backlog = status["link"]["backlog"]
        local.backlog = sum(backlog.values())
        for stream, state in status["link"]["streams"].items():
            book = ledger.book(self.devices[role].id, status["epoch"], stream)
            book.says(**state, waiting=backlog[stream])
        if self.drained():
            self.witness.drained()
