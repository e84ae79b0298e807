"""Orders in, paper out: through faults, breaks, restarts and dead printers."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest

from agent.contract.errors import Rejected
from agent.contract.events import PrintEvent
from agent.store import lost
from drivers.base import DriverError


def test_an_order_is_printed_once_with_proof(make_shop, given):
    async def main():
        async with make_shop([given.printer()]) as shop, shop.running():
            await shop.order(given.order(7))
            await shop.until(lambda: shop.notes.prints() == ["printed"])
            assert len(shop.papers("kitchen")) == 1
            assert "#7" in shop.papers("kitchen")[0]
            event = next(b for b in shop.notes.bodies if isinstance(b, PrintEvent))
            assert (event.evidence, event.duplicate, event.attempt) == ("barrier", False, 1)
            assert await shop.states("ORD-7") == ["printed"]

    asyncio.run(main())


def test_the_same_version_delivered_twice_prints_once(make_shop, given):
    async def main():
        async with make_shop([given.printer()]) as shop, shop.running():
            await shop.order(given.order(7))
            await shop.order(given.order(7))
            await shop.order(given.order(7), previous=given.order(7))
            await shop.order(given.order(8))
            await shop.until(lambda: len(shop.notes.prints()) == 2)
            assert len(shop.papers("kitchen")) == 2

    asyncio.run(main())


def test_without_a_way_back_a_ticket_is_sent_not_printed(make_shop, given):
    async def main():
        async with make_shop([given.printer()]) as shop, shop.running():
            shop.virtual["kitchen"].mute = True
            await shop.order(given.order(1))
            await shop.until(lambda: shop.notes.prints() == ["sent_unconfirmed"])
            assert len(shop.papers("kitchen")) == 1

    asyncio.run(main())


def test_a_printer_without_paper_holds_its_tickets_and_says_so_once(make_shop, given):
    async def main():
        async with make_shop([given.printer()]) as shop:
            shop.virtual["kitchen"].fault("paper_out")
            async with shop.running():
                await shop.order(given.order(1))
                await shop.until(lambda: "held" in shop.notes.prints())
                await shop.clock.advance(5)
                assert shop.notes.prints() == ["held"]
                assert shop.trouble == [("kitchen", "paper_out")]
                (condition,) = shop.health.conditions()
                assert condition.code == "printer.kitchen"
                assert "out of paper" in condition.text
                shop.virtual["kitchen"].fault("paper_out", on=False)
                await shop.until(lambda: "printed" in shop.notes.prints())
                assert shop.trouble[-1] == ("kitchen", None)
                assert list(shop.health.conditions()) == []
                assert "DUPLICATE" not in shop.papers("kitchen")[0]

    asyncio.run(main())


def test_paper_that_ends_within_a_ticket_is_waited_for(make_shop, given):
    async def main():
        async with make_shop([given.printer()]) as shop, shop.running():
            shop.virtual["kitchen"].paper_for(3)
            await shop.order(given.order(1))
            await shop.until(lambda: shop.trouble)
            shop.virtual["kitchen"].fault("paper_out", on=False)
            await shop.until(lambda: "printed" in shop.notes.prints())
            assert len(shop.papers("kitchen")) == 1
            assert "DUPLICATE" not in shop.papers("kitchen")[0]

    asyncio.run(main())


def test_a_ticket_in_doubt_is_reprinted_with_a_banner(make_shop, given):
    async def main():
        async with make_shop([given.printer()]) as shop, shop.running():
            shop.virtual["kitchen"].drop(after=150)
            await shop.order(given.order(1))
            await shop.until(lambda: "printed" in shop.notes.prints())
            assert shop.notes.prints() == ["in_doubt", "printed"]
            last = shop.notes.bodies[-1]
            assert (last.duplicate, last.attempt) == (True, 2)
            assert "POSSIBLE DUPLICATE #2" in shop.papers("kitchen")[-1]

    asyncio.run(main())


def test_a_break_before_the_first_byte_is_no_doubt(make_shop, given):
    async def main():
        async with make_shop([given.printer()]) as shop, shop.running():
            await shop.until(lambda: shop.virtual["kitchen"].connected)
            shop.virtual["kitchen"].fault("power_off")
            await shop.order(given.order(1))
            await shop.until(lambda: shop.trouble)
            shop.virtual["kitchen"].fault("power_off", on=False)
            await shop.until(lambda: "printed" in shop.notes.prints())
            assert shop.notes.prints() == ["held", "printed"]
            assert "DUPLICATE" not in shop.papers("kitchen")[0]

    asyncio.run(main())


def test_a_power_cut_within_a_ticket_leads_to_a_flagged_one(make_shop, given):
    async def main():
        async with make_shop([given.printer()]) as shop, shop.running():
            shop.virtual["kitchen"].paper_for(3)
            await shop.order(given.order(1))
            await shop.until(lambda: shop.trouble)
            shop.virtual["kitchen"].fault("power_off")
            shop.virtual["kitchen"].fault("paper_out", on=False)
            await shop.until(lambda: "in_doubt" in shop.notes.prints())
            shop.virtual["kitchen"].fault("power_off", on=False)
            await shop.until(lambda: "printed" in shop.notes.prints())
            assert "POSSIBLE DUPLICATE" in shop.papers("kitchen")[-1]

    asyncio.run(main())


def test_a_ticket_that_is_in_doubt_again_and_again_waits_for_a_person(make_shop, given):
    async def main():
        async with make_shop([given.printer()]) as shop:
            opened = shop.open_printer

            class Deaf:
                """Prints, but never proves it."""

                def __init__(self, session):
                    self._session = session

                def __getattr__(self, name):
                    return getattr(self._session, name)

                async def deliver(self, data, token):
                    await self._session.deliver(data, token)
                    raise DriverError("no answer")

            @asynccontextmanager
            async def deaf(config, clock):
                async with opened(config, clock) as session:
                    yield Deaf(session)

            shop.open_printer = deaf
            async with shop.running():
                await shop.order(given.order(1))
                await shop.until(lambda: "held" in shop.notes.prints())
                assert await shop.states("ORD-1") == ["parked"]
                papers = shop.papers("kitchen")
                assert len(papers) == 3
                assert [("DUPLICATE" in paper) for paper in papers] == [False, True, True]

    asyncio.run(main())


def test_a_dead_printer_does_not_delay_another(make_shop, given):
    async def main():
        async with make_shop([given.printer("kitchen"), given.printer("bar")]) as shop:
            shop.virtual["kitchen"].fault("power_off")
            async with shop.running():
                await shop.order(given.order(1))
                await shop.until(lambda: len(shop.papers("bar")) == 1)
                assert shop.papers("kitchen") == []

    asyncio.run(main())


def test_a_backup_takes_over_from_a_dead_printer_and_says_for_whom(make_shop, given):
    async def main():
        kitchen = given.printer("kitchen", backup="bar")
        async with make_shop([kitchen, given.printer("bar", stations=["drinks"])]) as shop:
            shop.virtual["kitchen"].fault("power_off")
            async with shop.running():
                await shop.order(given.order(1))
                await shop.until(lambda: "printed" in shop.notes.prints())
                assert shop.notes.prints() == ["held", "rerouted", "printed"]
                (paper,) = shop.papers("bar")
                assert "代打 BACKUP FROM kitchen" in paper
                assert "DUPLICATE" not in paper
                shop.virtual["kitchen"].fault("power_off", on=False)
                await shop.until(lambda: shop.trouble[-1] == ("kitchen", None))
                await shop.order(given.order(2))
                await shop.until(lambda: len(shop.papers("kitchen")) == 1)
                assert "#2" in shop.papers("kitchen")[0]

    asyncio.run(main())


@pytest.mark.parametrize("fault", ["power_off", "paper_out"])
def test_a_backup_prints_within_8_seconds_of_a_printers_death(make_shop, given, fault):
    async def main():
        kitchen = given.printer("kitchen", backup="bar")
        bar = given.printer("bar", stations=["drinks"])
        async with make_shop([kitchen, bar]) as shop, shop.running():
            await shop.until(lambda: shop.virtual["kitchen"].connected)
            await shop.clock.advance(7.3)
            shop.virtual["kitchen"].fault(fault)
            died = shop.clock.monotonic()
            await shop.order(given.order(1))
            await shop.until(lambda: shop.papers("bar"))
            assert shop.clock.monotonic() - died <= 8.0
            (paper,) = shop.papers("bar")
            assert "BACKUP FROM kitchen" in paper
            assert "DUPLICATE" not in paper, "provably none of it was sent"

    asyncio.run(main())


def test_a_ticket_that_hangs_half_printed_goes_to_the_backup_as_a_possible_duplicate(
    make_shop, given
):
    async def main():
        kitchen = given.printer("kitchen", backup="bar")
        bar = given.printer("bar", stations=["drinks"])
        async with make_shop([kitchen, bar]) as shop, shop.running():
            shop.virtual["kitchen"].paper_for(3)
            await shop.order(given.order(1))
            await shop.until(lambda: shop.papers("bar"), step=0.3)
            (paper,) = shop.papers("bar")
            assert "POSSIBLE DUPLICATE" in paper
            assert "BACKUP FROM kitchen" in paper

    asyncio.run(main())


def test_when_both_are_dead_the_one_that_comes_back_prints(make_shop, given):
    async def main():
        kitchen = given.printer("kitchen", backup="bar")
        async with make_shop([kitchen, given.printer("bar", stations=["drinks"])]) as shop:
            shop.virtual["kitchen"].fault("power_off")
            async with shop.running():
                await shop.until(lambda: shop.trouble)
                shop.virtual["bar"].fault("paper_out")
                await shop.until(lambda: len(shop.trouble) == 2)
                await shop.order(given.order(1))
                await shop.clock.advance(20)
                shop.virtual["kitchen"].fault("power_off", on=False)
                await shop.until(lambda: len(shop.papers("kitchen")) == 1)
                assert shop.papers("bar") == []

    asyncio.run(main())


def test_after_a_long_outage_a_person_decides_what_is_still_printed(make_shop, given):
    async def main():
        async with make_shop([given.printer(stale_after="30m")]) as shop:
            shop.virtual["kitchen"].fault("power_off")
            async with shop.running():
                for n in (1, 2, 3):
                    await shop.order(given.order(n))
                    await shop.clock.advance(1)
                await shop.until(lambda: shop.notes.prints().count("held") == 3)
                await shop.clock.advance(3600)
                await shop.order(given.order(4))
                shop.virtual["kitchen"].fault("power_off", on=False)
                await shop.until(lambda: "printed" in shop.notes.prints())
                assert len(shop.papers("kitchen")) == 1
                assert "#4" in shop.papers("kitchen")[0]
                (view,) = await shop.desk.printers()
                assert view.parked == 3
                assert await shop.desk.resume("kitchen", "latest", by="test") == 1
                await shop.until(lambda: len(shop.papers("kitchen")) == 2)
                assert "#3" in shop.papers("kitchen")[1]
                assert await shop.states("ORD-1") == ["cancelled"]

    asyncio.run(main())


def test_setting_the_clock_makes_no_ticket_old(make_shop, given):
    async def main():
        async with make_shop([given.printer()]) as shop, shop.running():
            await shop.until(lambda: shop.virtual["kitchen"].connected)
            shop.virtual["kitchen"].fault("paper_out")
            await shop.until(lambda: shop.trouble)
            await shop.order(given.order(1))
            shop.clock.set_wall(shop.clock.wall() + 90 * 86400)
            shop.virtual["kitchen"].fault("paper_out", on=False)
            await shop.until(lambda: "printed" in shop.notes.prints())

    asyncio.run(main())


def test_a_ticket_from_before_the_clock_was_set_is_not_old_at_the_next_start(make_shop, given):
    async def main():
        async with make_shop([given.printer(stale_after="30m")]) as shop:
            now = shop.clock.wall()
            shop.clock.set_wall(60.0)  # 1970
            shop.clock.tq = "none"
            await shop.order(given.order(1))
            shop.clock.set_wall(now)
            shop.clock.tq = "ntp"
            async with shop.running():
                await shop.until(lambda: shop.notes.prints() == ["printed"])
                await shop.clock.advance(5)
            (view,) = await shop.desk.jobs("ORD-1")
            assert view.created >= (now - 60) * 1000, "and it is kept as long as others"

    asyncio.run(main())


def test_what_may_have_been_printed_in_a_lost_life_says_so(make_shop, given):
    async def main():
        async with make_shop([given.printer()]) as shop:
            await shop.order(given.order(1))  # waits, as far as the disk knows
            await shop.database.write(lambda tx: lost.begin(tx, shop.clock))
            later = int(shop.clock.wall() * 1000) + 60_000
            await shop.order(given.order(2))
            await shop.order(msgspec.structs.replace(given.order(3), placed_at=later))
            async with shop.running():
                await shop.until(lambda: shop.notes.prints().count("printed") == 3)
                banners = ["POSSIBLE DUPLICATE" in paper for paper in shop.papers("kitchen")]
                assert banners == [True, True, False]
                events = [body for body in shop.notes.bodies if isinstance(body, PrintEvent)]
                assert [event.duplicate for event in events] == banners

    asyncio.run(main())


def test_an_expired_order_is_not_printed(make_shop, given):
    async def main():
        async with make_shop([given.printer()]) as shop, shop.running():
            past = int(shop.clock.wall() * 1000) - 1
            await shop.order(given.order(1, expires_at=past))
            await shop.until(lambda: shop.notes.prints() == ["expired"])
            assert shop.papers("kitchen") == []

    asyncio.run(main())


def test_urgent_orders_overtake(make_shop, given):
    async def main():
        async with make_shop([given.printer()]) as shop:
            await shop.order(given.order(1))
            await shop.order(given.order(2, priority=5))
            async with shop.running():
                await shop.until(lambda: len(shop.papers("kitchen")) == 2)
                assert "#2" in shop.papers("kitchen")[0]

    asyncio.run(main())


def test_a_reprint_is_a_possible_duplicate(make_shop, given):
    async def main():
        async with make_shop([given.printer()]) as shop, shop.running():
            await shop.order(given.order(1))
            await shop.until(lambda: shop.notes.prints() == ["printed"])
            await shop.desk.reprint("ORD-1", by="page")
            await shop.until(lambda: shop.notes.prints() == ["printed", "printed"])
            assert "POSSIBLE DUPLICATE #2" in shop.papers("kitchen")[1]

    asyncio.run(main())


def test_a_test_page_comes_out(make_shop, given):
    async def main():
        async with make_shop([given.printer()]) as shop, shop.running():
            await shop.desk.test_page("kitchen")
            await shop.until(lambda: "printed" in shop.notes.prints())
            assert "测试页" in shop.papers("kitchen")[0]

    asyncio.run(main())


def test_a_preview_shows_what_the_printer_gets(make_shop, given):
    async def main():
        async with make_shop([given.printer()]) as shop, shop.running():
            await shop.order(given.order(1))
            await shop.until(lambda: shop.notes.prints() == ["printed"])
            (job,) = await shop.desk.jobs("ORD-1")
            elements = (await shop.desk.preview(job.job_id)).elements
            printed = shop.virtual["kitchen"].paper[0].elements
            assert elements[:-4] == list(printed[:-4])

    asyncio.run(main())


def test_the_bytes_of_the_newest_ticket_of_a_printer_can_be_looked_at(make_shop, given):
    async def main():
        async with make_shop([given.printer()]) as shop, shop.running():
            with pytest.raises(Rejected, match="no ticket yet"):
                await shop.desk.dump("kitchen")
            await shop.order(given.order(1))
            await shop.until(lambda: shop.notes.prints() == ["printed"])
            dump = await shop.desk.dump("kitchen")
            assert dump.order_id == "ORD-1"
            assert bytes.fromhex(dump.bytes).startswith(b"\x1b@")
            with pytest.raises(Rejected, match="no printer bar"):
                await shop.desk.dump("bar")

    asyncio.run(main())


def test_jobs_of_a_printer_that_is_gone_from_the_configuration_are_adopted(make_shop, given):
    async def main():
        async with make_shop([given.printer("old"), given.printer("new")]) as shop:
            shop.printers = [given.printer("old")]
            shop.build()
            await shop.order(given.order(1))
            shop.printers = [given.printer("new")]
            async with shop.running():
                await shop.until(lambda: "printed" in shop.notes.prints())
                assert "BACKUP FROM old" in shop.papers("new")[0]

    asyncio.run(main())


def test_a_printer_that_used_to_answer_and_hangs_gets_no_ticket(make_shop, given):
    async def main():
        async with make_shop([given.printer()]) as shop, shop.running():
            await shop.order(given.order(1))
            await shop.until(lambda: shop.notes.prints() == ["printed"])
            shop.virtual["kitchen"].mute = True
            await shop.order(given.order(2))
            await shop.until(lambda: shop.trouble)
            assert shop.trouble == [("kitchen", "unreachable")]
            assert len(shop.papers("kitchen")) == 1
            await shop.until(lambda: "sent_unconfirmed" in shop.notes.prints(), step=2.0)
            assert any(c.code == "printer.kitchen.silent" for c in shop.health.conditions())

    asyncio.run(main())


def test_a_stop_lets_the_ticket_under_way_come_out(make_shop, given):
    async def main():
        async with make_shop([given.printer()]) as shop:
            opened, within = shop.open_printer, asyncio.Event()

            class Slow:
                def __init__(self, session):
                    self._session = session

                def __getattr__(self, name):
                    return getattr(self._session, name)

                async def deliver(self, data, token):
                    within.set()
                    for n in range(0, len(data), 100):
                        await self._session.write(data[n : n + 100])
                    return await self._session.barrier()

            @asynccontextmanager
            async def slow(config, clock):
                async with opened(config, clock) as session:
                    yield Slow(session)

            shop.open_printer = slow
            async with shop.running():
                await shop.order(given.order(1))
                await shop.until(within.is_set)
            assert await shop.states("ORD-1") == ["printed"]
            assert len(shop.papers("kitchen")) == 1

    asyncio.run(main())
