"""Days without a link, by volume: everything arrives, in order, and no key means two things."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import Mosquitto, wait
from tests.system.foreign import ForeignBackEnd, order
from tests.system.machines import HOUSE, Agent, Printer

pytestmark = pytest.mark.system

POSITIONS, FENCES, AUDITS, ORDERS = 20_000, 400, 600, 200

# Records through the outbox, as the rooms of an agent do; runs in a process of its own.
FILL = """
import asyncio, sys
from pathlib import Path
from agent.contract.events import Audit, Fence, Position
from agent.core.clock import SystemClock
from agent.core.health import Health
from agent.store.database import Database
from agent.store.outbox import Outbox

async def main(path, positions, fences, audits):
    clock = SystemClock()
    database = Database(Path(path), clock, Health(clock))
    await database.open()
    outbox = Outbox(database, clock, Health(clock), max_mb=200)
    await outbox.open()
    for n in range(positions):
        await outbox.record(Position(
            lat=31.0, lon=121.0 + n / 1e6, acc=5.0, speed=6.0, course=90.0, fix_t=n,
            reason="moved", profile="seed", datum="wgs84"))
        if n < fences:
            await outbox.record(Fence(fence="f", event="enter", distance_m=float(n)))
        if n % 1000 == 0:
            await outbox.flush()
    await asyncio.gather(*(
        outbox.record(Audit(action="test", by=str(n))) for n in range(audits)))
    await outbox.close()
    await database.close()

asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
"""


def fill(store: Path, positions: int, fences: int, audits: int) -> None:
    numbers = [str(n) for n in (positions, fences, audits)]
    subprocess.run([sys.executable, "-c", FILL, store, *numbers], cwd=HOUSE, check=True)


def test_days_of_events_and_orders_arrive_in_order_although_the_broker_dies_in_between(
    shop: Agent, broker: Mosquitto, backend: ForeignBackEnd, printer: Printer
) -> None:
    shop.start().ready().stop()  # it has a session at the broker, where orders wait for it
    for number in range(1, ORDERS + 1):
        backend.order(shop.device, order(number))
    fill(shop.store, POSITIONS, FENCES, AUDITS)
    shop.start()
    wait(lambda: len(backend.of("position")) > POSITIONS // 4, "it drains", 60)
    broker.kill()
    broker.start()
    wait(lambda: len(backend.of("position")) == POSITIONS, "all positions", 60)
    wait(lambda: len(backend.of("print", state="printed")) >= ORDERS, "all orders", 60)
    assert [e.body["fix_t"] for e in backend.of("position")] == list(range(POSITIONS))
    assert [e.body["distance_m"] for e in backend.of("fence")] == list(range(FENCES))
    assert len(backend.of("audit", action="test")) == AUDITS
    assert printer.tickets() == {f"sys-{n:05d}": [False] for n in range(1, ORDERS + 1)}
    assert not backend.of("gap")
    assert backend.verdict() == []
    wait(lambda: not any(shop.ask("status")["link"]["backlog"].values()), "the outbox is empty")


def test_an_agent_killed_while_it_drains(shop: Agent, backend: ForeignBackEnd) -> None:
    fill(shop.store, 10_000, 0, 50)
    for part in (0.2, 0.5, 0.8):
        shop.start()
        wait(lambda part=part: len(backend.of("position")) > 10_000 * part, "it drains", 60)
        shop.kill()
    shop.start()
    wait(lambda: len(backend.of("position")) == 10_000, "all positions", 60)
    assert [e.body["fix_t"] for e in backend.of("position")] == list(range(10_000))
    assert backend.verdict() == []
