"""What every printer does, whatever it hangs on."""

from __future__ import annotations

import asyncio

import pytest

from drivers.base import DriverError, Evidence, WriteError
from drivers.printer import escpos
from drivers.printer.elements import Cut, Run, Text


def job(*lines: str) -> bytes:
    elements = [*(Text((Run(line),)) for line in lines), Cut()]
    return escpos.encode(elements, charset="gb18030", draw=_no_pictures)


def _no_pictures(line: Text):
    raise AssertionError(line)


async def send(printer, data: bytes) -> None:
    await printer.write(data)
    await printer.barrier()


def printed(virtual) -> list[str]:
    return [paper.plain for paper in virtual.paper]


async def until(condition, what: str, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
    assert condition(), what


def test_a_ticket_comes_out_with_proof(rig):
    async def main():
        async with rig.open() as printer:
            assert printer.talks
            assert (await printer.status()).fault is None
            await printer.write(job("宫保鸡丁 x2", "￥38.00"))
            assert await printer.barrier() is Evidence.BARRIER
        assert printed(rig.virtual) == ["宫保鸡丁 x2\n￥38.00"]

    asyncio.run(main())


@pytest.mark.parametrize("fault", ["paper_out", "cover_open", "error", "offline"])
def test_a_fault_is_named(rig, fault):
    async def main():
        rig.virtual.fault(fault)
        async with rig.open() as printer:
            assert (await printer.status()).fault == fault
            rig.virtual.fault(fault, on=False)
            assert (await printer.status()).fault is None

    asyncio.run(main())


def test_low_paper_is_no_fault(rig):
    async def main():
        rig.virtual.fault("paper_low")
        async with rig.open() as printer:
            status = await printer.status()
            assert (status.paper, status.fault) == ("low", None)

    asyncio.run(main())


def test_a_ticket_that_ran_out_of_paper_is_proved_once_there_is_more(rig):
    async def main():
        rig.virtual.paper_for(2)
        async with rig.open() as printer:
            await printer.write(job("one", "two", "three"))
            with pytest.raises(DriverError, match="paper_out"):
                await printer.barrier()
            assert printed(rig.virtual) == []
            rig.virtual.fault("paper_out", on=False)
            assert await printer.barrier() is Evidence.BARRIER
        assert printed(rig.virtual) == ["one\ntwo\nthree"]

    asyncio.run(main())


def test_a_printer_that_hangs_is_given_up(rig):
    async def main():
        async with rig.open() as printer:
            rig.virtual.fault("stall")
            with pytest.raises(DriverError):
                await send(printer, job("x" * 40))

    asyncio.run(main())


def test_a_printer_without_a_way_back_gives_no_proof(rig):
    async def main():
        rig.virtual.mute = True
        async with rig.open() as printer:
            assert not printer.talks
            assert (await printer.status()).fault is None
            await printer.write(job("blind"))
            assert await printer.barrier() is Evidence.NONE
            await until(lambda: printed(rig.virtual) == ["blind"], "printed")

    asyncio.run(main())


@pytest.mark.parametrize("evidence", ["job_id", "counter"])
def test_better_proof_is_given_where_the_printer_has_it(rig, evidence):
    async def main():
        async with rig.open(evidence=evidence) as printer:
            for n in range(3):
                await printer.mark()
                await printer.write(job(f"ticket {n}"))
                assert await printer.barrier() is Evidence(evidence)
        assert len(printed(rig.virtual)) == 3

    asyncio.run(main())


@pytest.mark.parametrize("evidence", ["job_id", "counter"])
def test_proof_that_the_printer_does_not_have_is_not_claimed(rig, evidence):
    async def main():
        rig.virtual.job_ids = rig.virtual.counts = False
        async with rig.open(evidence=evidence, answer_s=0.3) as printer:
            assert await printer.mark() is None
            await printer.write(job("ticket"))
            assert await printer.barrier() is Evidence.BARRIER

    asyncio.run(main())


def test_the_counter_tells_after_a_break_whether_a_ticket_was_cut(rig):
    async def main():
        async with rig.open(evidence="counter") as printer:
            before = await printer.mark()
            await printer.write(job("cut, but nobody waited"))
            await until(lambda: rig.virtual.cuts == 1, "cut")  # a pty forgets at its close
        async with rig.open(evidence="counter") as printer:
            await printer.resync()
            assert await printer.came_out(before) is True
            half = await printer.mark()
            await printer.write(job("half a ticket", "of two lines")[:20])
        async with rig.open(evidence="counter") as printer:
            await printer.resync()
            assert await printer.came_out(half) is False
            assert await printer.came_out(before[:-1] + "x") is None
            rig.virtual.cuts += 7  # another printer, or somebody else printed
            assert await printer.came_out(half) is None

    asyncio.run(main())


def test_an_examination_finds_out_what_a_printer_can_prove(rig):
    async def main():
        async with rig.open() as printer:
            seen = await printer.examine([job("one"), job("two")])
            assert (seen.maker, seen.model, seen.language) == (
                "edge-agent",
                "virtual",
                "CHINA GB18030",
            )
            assert (seen.talks, seen.reports, seen.job_id, seen.counter) == (True,) * 4
            assert (await printer.status()).fault is None
        assert printed(rig.virtual) == ["one", "two"]
        assert not rig.virtual.watched

    asyncio.run(main())


def test_an_examination_claims_nothing_that_the_printer_did_not_show(rig):
    async def main():
        rig.virtual.job_ids = rig.virtual.reports = False
        rig.virtual.about = {}
        rig.virtual.cut_counts = 2  # a counter that does not count cuts
        async with rig.open(answer_s=0.2) as printer:
            seen = await printer.examine([job("one"), job("two")])
            assert (seen.maker, seen.model, seen.language) == ("", "", "")
            assert (seen.barrier, seen.reports, seen.job_id, seen.counter) == (
                True,
                False,
                False,
                False,
            )
            rig.virtual.counts = False
            assert not (await printer.examine([job("three")])).counter
        rig.virtual.mute = True
        async with rig.open() as printer:
            seen = await printer.examine([job("four")])
            assert (seen.talks, seen.barrier, seen.counter) == (False,) * 3
            await until(lambda: len(printed(rig.virtual)) == 4, "printed")

    asyncio.run(main())


def test_half_a_picture_does_not_eat_the_next_ticket(rig):
    async def main():
        async with rig.open() as printer:
            half = b"\x1dv0\x00\x48\x00\x71\x00" + b"\xff" * 500  # 113 rows announced, 7 sent
            await printer.write(escpos.INIT + half)
            await printer.resync()
            await printer.write(job("whole"))
            assert await printer.barrier() is Evidence.BARRIER
        assert printed(rig.virtual) == ["whole"]

    asyncio.run(main())


def test_a_connection_that_ended_before_the_first_byte_proves_that_nothing_was_sent(rig):
    if rig.kind == "serial":
        pytest.skip("a serial line has no connection")

    async def main():
        async with rig.open() as printer:
            rig.virtual.drop()
            if rig.kind == "tcp":
                await asyncio.wait_for(printer.news(), 5.0)  # the end has to travel
            with pytest.raises(WriteError) as caught:
                await printer.write(job("lost"))
            assert caught.value.accepted == 0
        assert printed(rig.virtual) == []

    asyncio.run(main())


def test_a_connection_that_breaks_within_a_ticket_leaves_it_in_doubt(rig):
    if rig.kind == "serial":
        pytest.skip("a serial line has no connection")

    async def main():
        async with rig.open() as printer:
            rig.virtual.drop(after=200)
            with pytest.raises(DriverError) as caught:
                await send(printer, job(*["a long line of text"] * 2000))
            assert getattr(caught.value, "accepted", 1) > 0

    asyncio.run(main())


def test_a_watched_printer_tells_of_its_faults_by_itself(rig):
    if rig.kind == "simulated":
        pytest.skip("has no file descriptor to wait for")

    async def main():
        async with rig.open(watch=True) as printer:
            assert (await printer.status()).fault is None
            await until(lambda: rig.virtual.watched, "ASB is on")
            await printer.status()
            rig.virtual.fault("cover_open")
            await asyncio.wait_for(printer.news(), 5.0)
            assert (await printer.status()).fault == "cover_open"

    asyncio.run(main())


def test_a_printer_is_left_as_it_was_found(rig):
    async def main():
        async with rig.open(watch=True) as printer:
            await printer.write(job("one"))
            await printer.barrier()
        await until(lambda: rig.kind == "serial" or not rig.virtual.watched, "ASB is off")

    asyncio.run(main())
