"""The whole path with real time and a real connection, as the configuration opens it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.config import PrinterConfig
from agent.contract.events import PrintEvent
from agent.core.clock import SystemClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.printing.desk import PrintingDesk
from agent.printing.devices import open_printer
from agent.printing.service import PrinterService
from agent.store.database import Database
from drivers.printer.simulated import serve
from drivers.printer.virtual import VirtualPrinter


class Notes:
    def __init__(self) -> None:
        self.states: list[str] = []

    def put(self, tx, body, *, t=None) -> int:
        if isinstance(body, PrintEvent):
            self.states.append(body.state)
        return 1


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("exclusive", [False, True])
def test_orders_are_printed_and_faults_are_told(tmp_path: Path, given, exclusive):
    async def main():
        clock, virtual, notes = SystemClock(), VirtualPrinter(), Notes()
        health = Health(clock)
        database = Database(tmp_path / "agent.db", clock, health)
        await database.open()
        trouble: list[str | None] = []
        async with serve(virtual) as port:
            uri = f"tcp://127.0.0.1:{port}"
            service = PrinterService(
                PrinterConfig(name="kitchen", uri=uri, exclusive=exclusive),
                open_printer=open_printer,
                clock=clock,
                database=database,
                recorder=notes,
                health=health,
                on_trouble=lambda name, fault: trouble.append(fault),
            )
            desk = PrintingDesk([service], clock=clock, database=database, recorder=notes)
            running = asyncio.ensure_future(service.run(Heartbeat("x", clock, health)))
            await database.write(lambda tx: desk.on_order(tx, given.order(1), None, 0))
            desk.wake()
            await until(lambda: notes.states == ["printed"])
            assert "#1" in virtual.paper[0].plain
            await until(lambda: virtual.connected == exclusive or not exclusive)
            virtual.fault("paper_out")
            await until(lambda: trouble == ["paper_out"])
            virtual.fault("paper_out", on=False)
            await until(lambda: trouble == ["paper_out", None])
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await database.close()

    asyncio.run(main())


def test_a_till_can_print_while_the_agent_has_nothing_to_do(tmp_path: Path, given):
    async def main():
        clock, virtual, notes = SystemClock(), VirtualPrinter(), Notes()
        health = Health(clock)
        database = Database(tmp_path / "agent.db", clock, health)
        await database.open()
        async with serve(virtual) as port:
            service = PrinterService(
                PrinterConfig(name="kitchen", uri=f"tcp://127.0.0.1:{port}"),
                open_printer=open_printer,
                clock=clock,
                database=database,
                recorder=notes,
                health=health,
            )
            running = asyncio.ensure_future(service.run(Heartbeat("x", clock, health)))
            _, till = await asyncio.open_connection("127.0.0.1", port)
            till.write(b"from the till\n\x1dV\x00")
            await until(lambda: virtual.paper)
            till.close()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await database.close()

    asyncio.run(main())
