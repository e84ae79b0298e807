"""The agent dies within a ticket; its next life has the connection and asks what became of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest

from agent.core.clock import SystemClock
from drivers.base import DriverError, Evidence
from drivers.printer import escpos, network
from drivers.printer.elements import Cut, Run, Text
from drivers.printer.raster import Rasterizer
from drivers.printer.simulated import serve
from drivers.printer.transport import Settings
from drivers.printer.virtual import VirtualPrinter

TICKET = escpos.encode(
    [Text((Run("宫保鸡丁 x2"),)), Cut()], charset="gb18030", draw=Rasterizer(576).draw
)


class Kept:
    """What a service manager would have; nothing is dropped any more once the agent is dead."""

    def __init__(self) -> None:
        self.fds: dict[str, int] = {}
        self.notes: dict[str, str] = {}
        self.dead = False

    def take(self, name: str) -> int | None:
        return self.fds.pop(name, None)

    def keep(self, name: str, fd: int) -> None:
        self.fds[name] = os.dup(fd)

    def drop(self, name: str) -> None:
        if not self.dead and name in self.fds:
            os.close(self.fds.pop(name))

    def jot(self, name: str, text: str) -> None:
        if not self.dead:
            self.notes[name] = text

    def jotted(self, name: str) -> str:
        return self.notes.get(name, "")


Dying = Callable[[network.Printer, VirtualPrinter], Awaitable[None]]


async def next_life(dying: Dying, *, ask: int = 1, mended=lambda _: None, **settings) -> Evidence:
    """One life that ends as `dying` says, then what the next one finds out of job AAAA."""
    virtual, kept = VirtualPrinter(), Kept()
    async with serve(virtual) as port:
        given = Settings(
            **({"uri": f"tcp://127.0.0.1:{port}", "stall_s": 1.0, "answer_s": 0.4} | settings),
            keeper=kept,
        )
        async with network.DRIVER.open(given, SystemClock()) as printer:
            await dying(printer, virtual)
            kept.dead = True
        kept.dead = False
        mended(virtual)
        for _ in range(ask):
            async with network.DRIVER.open(given, SystemClock()) as printer:
                evidence = await printer.resume("AAAA")
                kept.dead = ask > 1  # and so dies this one, before it could say so
        assert not kept.fds
    return evidence


async def before_the_answer(printer, virtual) -> None:
    """The ticket is in the printer; it goes on when there is paper again."""
    virtual.fault("paper_out")
    with pytest.raises(DriverError, match="paper_out"):
        await printer.deliver(TICKET, "AAAA")


async def within_the_ticket(printer, virtual) -> None:
    await printer.write(TICKET[: len(TICKET) // 2])


async def behind_the_answer(printer, virtual) -> None:
    await printer.deliver(TICKET, "AAAA")


async def another_job(printer, virtual) -> None:
    await printer.deliver(TICKET, "BBBB")


def paper(virtual: VirtualPrinter) -> None:
    virtual.fault("paper_out", on=False)


@pytest.mark.parametrize(
    ("dying", "promised", "found"),
    [
        (before_the_answer, "job_id", Evidence.JOB_ID),
        (before_the_answer, "barrier", Evidence.BARRIER),
        (behind_the_answer, "job_id", Evidence.JOB_ID),
        (behind_the_answer, "barrier", Evidence.BARRIER),
        (within_the_ticket, "job_id", Evidence.NONE),
        (within_the_ticket, "barrier", Evidence.NONE),
        (another_job, "job_id", Evidence.NONE),
        (another_job, "barrier", Evidence.NONE),
    ],
)
def test_the_next_life_finds_the_answer_or_that_there_is_none(dying, promised, found):
    assert asyncio.run(next_life(dying, mended=paper, evidence=promised)) is found


def test_an_answer_that_was_read_and_not_judged_yet_is_judged_by_the_next_life():
    """It died between the answer to GS r and the question whether there is a fault."""

    async def main(fault: str | None) -> Evidence:
        virtual, kept = VirtualPrinter(), Kept()
        async with serve(virtual) as port:
            given = Settings(uri=f"tcp://127.0.0.1:{port}", stall_s=1.0, answer_s=0.4, keeper=kept)
            async with network.DRIVER.open(given, SystemClock()) as printer:
                await printer.write(TICKET)
                kept.jot(given.name, "AAAA answered")
            if fault:
                virtual.fault(fault)
            async with network.DRIVER.open(given, SystemClock()) as printer:
                return await printer.resume("AAAA")

    assert asyncio.run(main(None)) is Evidence.BARRIER
    with pytest.raises(DriverError, match="cover_open"):
        asyncio.run(main("cover_open"))


def test_where_the_printer_reports_by_itself_only_a_job_id_counts():
    for promised, found in (("barrier", Evidence.NONE), ("job_id", Evidence.JOB_ID)):
        life = next_life(before_the_answer, mended=paper, evidence=promised, watch=True)
        assert asyncio.run(life) is found


def test_a_printer_that_lost_its_power_proves_nothing():
    def power_cut(virtual: VirtualPrinter) -> None:
        virtual.fault("power_off")
        virtual.fault("power_off", on=False)
        paper(virtual)

    async def main() -> Evidence:
        try:
            return await next_life(before_the_answer, mended=power_cut, evidence="job_id")
        except DriverError:
            return Evidence.NONE

    assert asyncio.run(main()) is Evidence.NONE


def test_an_answer_to_a_life_in_between_is_not_taken_for_the_tickets():
    """The second life asked and died; the third one finds the answer to that question."""

    async def main() -> None:
        virtual, kept = VirtualPrinter(), Kept()
        async with serve(virtual) as port:
            given = Settings(uri=f"tcp://127.0.0.1:{port}", stall_s=1.0, answer_s=0.4, keeper=kept)
            async with network.DRIVER.open(given, SystemClock()) as printer:
                await within_the_ticket(printer, virtual)
                kept.dead = True
            kept.dead = False
            virtual.fault("paper_out")
            kept.fds["again"] = os.dup(kept.fds[given.name])
            async with network.DRIVER.open(given, SystemClock()) as printer:
                with pytest.raises(DriverError, match="paper_out"):
                    await printer.resume("AAAA")
                kept.dead = True
            kept.dead = False
            kept.fds[given.name] = kept.fds.pop("again")
            paper(virtual)
            async with network.DRIVER.open(given, SystemClock()) as printer:
                assert await printer.resume("AAAA") is Evidence.NONE

    asyncio.run(main())


def test_a_connection_to_where_the_printer_was_before_is_not_used():
    async def main() -> None:
        old, new, kept = VirtualPrinter(), VirtualPrinter(), Kept()
        async with serve(old) as there, serve(new) as here:
            before = Settings(uri=f"tcp://127.0.0.1:{there}", keeper=kept)
            async with network.DRIVER.open(before, SystemClock()) as printer:
                await behind_the_answer(printer, old)
                kept.dead = True
            kept.dead = False
            after = Settings(uri=f"tcp://127.0.0.1:{here}", keeper=kept)
            async with network.DRIVER.open(after, SystemClock()) as printer:
                await printer.deliver(TICKET, "CCCC")
            assert (len(old.paper), len(new.paper)) == (1, 1)
            assert not kept.fds

    asyncio.run(main())
