"""A shop with virtual printers, a real store and a clock that the test moves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.config import PrinterConfig
from agent.contract.events import Body, PrintEvent
from agent.contract.orders import Item, Order
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.printing.desk import PrintingDesk
from agent.printing.service import PrinterService
from agent.printing.templates import Templates
from agent.store.database import Database
from drivers.printer.simulated import open_virtual
from drivers.printer.transport import Settings
from drivers.printer.virtual import VirtualPrinter


@dataclass
class Notes:
    """The recorder: a list."""

    bodies: list[Body] = field(default_factory=list)

    async def record(self, body: Body, *, t: float | None = None) -> int:
        return self.put(None, body)

    def put(self, tx: object, body: Body, *, t: float | None = None) -> int:
        self.bodies.append(body)
        return len(self.bodies)

    def prints(self, job_id: str | None = None) -> list[str]:
        found = [body for body in self.bodies if isinstance(body, PrintEvent)]
        return [body.state for body in found if job_id in (None, body.job_id)]


@dataclass
class Shop:
    clock: ManualClock
    health: Health
    notes: Notes
    database: Database
    printers: list[PrinterConfig]
    virtual: dict[str, VirtualPrinter]
    trouble: list[tuple[str, str | None]] = field(default_factory=list)
    desk: PrintingDesk = None  # type: ignore[assignment]
    services: list[PrinterService] = field(default_factory=list)

    def build(self) -> None:
        """The services as after a start of the process."""
        templates = Templates()
        self.services = [
            PrinterService(
                config,
                open_printer=self.open_printer,
                clock=self.clock,
                database=self.database,
                recorder=self.notes,
                health=self.health,
                on_trouble=lambda *args: self.trouble.append(args),
                templates=templates,
            )
            for config in self.printers
        ]
        self.desk = PrintingDesk(
            self.services,
            clock=self.clock,
            database=self.database,
            recorder=self.notes,
            templates=templates,
        )

    @asynccontextmanager
    async def open_printer(self, config: PrinterConfig, clock: object) -> AsyncIterator[object]:
        settings = Settings(
            uri=config.uri, name=config.name, stall_s=0.2, probe_s=0.05, evidence=config.evidence
        )
        async with open_virtual(self.virtual[config.name], settings) as session:
            yield session

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.build()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(s.run(Heartbeat(s.name, self.clock, self.health)))
                for s in (*self.services, self.desk)
            ]
            yield
            for task in tasks:
                task.cancel()

    async def order(self, order: Order, previous: Order | None = None) -> None:
        now = int(self.clock.wall() * 1000)
        await self.database.write(lambda tx: self.desk.on_order(tx, order, previous, now))
        self.desk.wake()

    def papers(self, printer: str) -> list[str]:
        return [paper.plain for paper in self.virtual[printer].paper]

    async def until(self, condition: Callable[[], object], step: float = 0.1) -> None:
        """Let time pass until it holds; fails after some real seconds."""
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, (self.notes.prints(), self.trouble)
            await self.clock.advance(step)
            await asyncio.sleep(0.002)

    async def states(self, order_id: str | None = None) -> list[str]:
        return [job.state for job in await self.desk.jobs(order_id)]


@pytest.fixture
def make_shop(tmp_path: Path):
    """`async with make_shop([PrinterConfig, ...]) as shop`"""

    @asynccontextmanager
    async def make(printers: Sequence[PrinterConfig]) -> AsyncIterator[Shop]:
        clock = ManualClock()
        health = Health(clock)
        database = Database(tmp_path / "agent.db", clock, health)
        await database.open()
        try:
            virtual = {p.name: VirtualPrinter(charset=p.charset) for p in printers}
            shop = Shop(clock, health, Notes(), database, list(printers), virtual)
            shop.build()
            yield shop
        finally:
            await database.close()

    return make


def printer(name: str = "kitchen", **settings) -> PrinterConfig:
    return PrinterConfig(name=name, uri="simulated://", **settings)


def an_order(n: int = 1, version: int = 1, **fields) -> Order:
    given = {"items": [Item(name="宫保鸡丁", qty=2, station="wok")], "day_seq": n} | fields
    return Order(
        order_id=f"ORD-{n}",
        version=version,
        status=given.pop("status", "pending"),
        placed_at=1_799_999_000_000,
        **given,
    )


@pytest.fixture
def given():
    """Builders of printers and orders."""

    class Given:
        pass

    Given.printer = staticmethod(printer)
    Given.order = staticmethod(an_order)
    Given.item = staticmethod(Item)
    return Given
