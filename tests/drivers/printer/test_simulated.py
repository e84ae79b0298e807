"""`simulated://?...` fails as its options say, so that people can practise."""

from __future__ import annotations

import asyncio

import pytest

from agent.core.clock import ManualClock, SystemClock
from drivers.base import DriverError, Evidence, WriteError
from drivers.printer import simulated
from drivers.printer.transport import Settings
from tests.drivers.printer.test_contract import job


def uri(options: str, **settings) -> Settings:
    return Settings(uri=f"simulated://?{options}", **({"stall_s": 0.3, "probe_s": 0.3} | settings))


async def until(clock: ManualClock, condition, step: float = 1.0) -> None:
    async with asyncio.timeout(10):
        while not await condition():
            await clock.advance(step)


def test_a_roll_ends_and_is_replaced_again_and_again():
    async def main():
        clock = ManualClock()
        async with simulated.open_printer(uri("paper=3&refill_s=20"), clock) as printer:
            for _ in range(2):
                await printer.write(job("1", "2", "3", "4"))
                with pytest.raises(DriverError, match="paper_out"):
                    await printer.barrier()
                await clock.advance(19)
                assert (await printer.status()).fault == "paper_out"

                async def mended() -> bool:
                    return (await printer.status()).fault is None

                await until(clock, mended)
                assert await printer.barrier() is Evidence.BARRIER

    asyncio.run(main())


@pytest.mark.parametrize("fault", ["cover_open", "offline", "error"])
def test_a_fault_comes_and_goes(fault):
    async def main():
        clock = ManualClock()
        options = uri(f"fault={fault}&every_s=60&for_s=5")
        async with simulated.open_printer(options, clock) as printer:
            seen = []

            async def twice() -> bool:
                now = (await printer.status()).fault
                if not seen or seen[-1] != now:
                    seen.append(now)
                return len(seen) >= 5

            await until(clock, twice)
            assert seen == [None, fault, None, fault, None]

    asyncio.run(main())


def test_a_power_cut_breaks_the_ticket_and_the_printer_comes_back():
    async def main():
        clock = ManualClock()
        options = uri("fault=power_off&every_s=60&for_s=5")
        async with simulated.open_printer(options, clock) as printer:
            await clock.advance(0)

            async def gone() -> bool:
                try:
                    await printer.status()
                except DriverError:
                    return True
                return False

            await until(clock, gone)
            with pytest.raises(WriteError):
                await printer.write(job("lost"))
        async with simulated.open_printer(options, clock) as printer:
            assert printer.talks

    asyncio.run(main())


def test_a_slow_line_takes_its_time():
    async def main():
        clock = SystemClock()
        async with simulated.open_printer(uri("baud=9600"), clock) as printer:
            data = job("x" * 40)
            before = clock.monotonic()
            await printer.write(data)
            assert clock.monotonic() - before >= len(data) * 10 / 9600 * 0.9
            assert await printer.barrier() is Evidence.BARRIER

    asyncio.run(main())


@pytest.mark.parametrize(
    ("options", "evidence", "proof"),
    [
        ("", "counter", Evidence.COUNTER),
        ("counter=0", "counter", Evidence.BARRIER),
        ("", "job_id", Evidence.JOB_ID),
        ("job_ids=false", "job_id", Evidence.BARRIER),
        ("mute=1", "counter", Evidence.NONE),
    ],
)
def test_it_knows_what_it_is_told_to_know(options, evidence, proof):
    async def main():
        settings = uri(options, evidence=evidence, answer_s=0.3)
        async with simulated.open_printer(settings, ManualClock()) as printer:
            await printer.mark()
            await printer.write(job("1"))
            assert await printer.barrier() is proof

    asyncio.run(main())


@pytest.mark.parametrize("options", ["papre=3", "paper=0", "paper=x", "fault=fire", "baud=1"])
def test_an_option_that_there_is_not_is_told(options):
    async def main():
        with pytest.raises(DriverError, match="simulated://"):
            async with simulated.open_printer(uri(options), ManualClock()):
                pass

    asyncio.run(main())


def test_a_small_buffer_stops_the_ticket_early():
    async def main():
        settings = uri("buffer=64&paper=1&refill_s=3600")
        async with simulated.open_printer(settings, ManualClock()) as printer:
            with pytest.raises(WriteError) as caught:
                await printer.write(job(*(["a line of the ticket"] * 40)))
            assert 0 < caught.value.accepted < 300

    asyncio.run(main())
