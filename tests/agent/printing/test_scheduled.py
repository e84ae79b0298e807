"""A scheduled order's ticket comes out `lead` before the order is due, whatever happens until."""

from __future__ import annotations

import asyncio

from agent.contract.orders import Item

HOUR_MS = 3_600_000
NOW_MS = 1_800_000_000_000  # the test's clock at its start
EVENING = NOW_MS + 6 * HOUR_MS


def printed(shop, n=1):
    return lambda: len(shop.virtual["kitchen"].paper) >= n


def test_it_waits_for_its_time_and_lets_others_go_first(make_shop, given):
    async def check():
        async with make_shop([given.printer(lead="60m")]) as shop, shop.running():
            await shop.order(given.order(1, due_at=EVENING))
            await shop.order(given.order(2))
            await shop.until(lambda: shop.notes.prints() == ["printed"])
            assert "#2" in shop.papers("kitchen")[0]
            (view,) = await shop.desk.printers()
            assert (view.waiting, view.scheduled) == (0, 1)
            await shop.until(lambda: shop.clock.wall() * 1000 > EVENING - 2 * HOUR_MS, step=600)
            assert len(shop.papers("kitchen")) == 1
            await shop.until(printed(shop, 2), step=60)
            assert shop.clock.wall() * 1000 >= EVENING - HOUR_MS
            assert "预约" in shop.papers("kitchen")[1]
            assert "DUPLICATE" not in shop.papers("kitchen")[1]

    asyncio.run(check())


def test_without_a_lead_and_for_orders_due_soon_it_is_printed_at_once(make_shop, given):
    async def check():
        printers = [given.printer(lead=None), given.printer("bar", lead="60m")]
        async with make_shop(printers) as shop, shop.running():
            await shop.order(given.order(1, due_at=EVENING))
            await shop.order(given.order(2, due_at=NOW_MS + HOUR_MS // 2))
            await shop.until(printed(shop, 2))
            await shop.until(lambda: shop.papers("bar"))
            assert len(shop.papers("bar")) == 1

    asyncio.run(check())


def test_it_survives_a_restart(make_shop, given):
    async def check():
        async with make_shop([given.printer()]) as shop:
            async with shop.running():
                await shop.order(given.order(1, due_at=EVENING))
            async with shop.running():
                await shop.clock.advance(HOUR_MS / 1000)
                assert not shop.papers("kitchen")
                await shop.until(printed(shop), step=120)
                assert "DUPLICATE" not in shop.papers("kitchen")[0]

    asyncio.run(check())


def test_a_change_before_its_time_replaces_it_silently_and_a_cancel_removes_it(make_shop, given):
    async def check():
        async with make_shop([given.printer()]) as shop, shop.running():
            first = given.order(1, due_at=EVENING)
            second = given.order(1, 2, due_at=EVENING, items=[Item(name="面", qty=3)])
            await shop.order(first)
            await shop.order(second, first)
            gone = given.order(2, due_at=EVENING)
            await shop.order(gone)
            await shop.order(given.order(2, 2, due_at=EVENING, status="cancelled"), gone)
            await shop.until(printed(shop), step=120)
            await shop.clock.advance(HOUR_MS / 1000)
            (paper,) = shop.papers("kitchen")
            assert "面" in paper
            assert "CHANGED" not in paper

    asyncio.run(check())


def test_an_order_that_becomes_due_sooner_is_printed_sooner(make_shop, given):
    async def check():
        async with make_shop([given.printer()]) as shop, shop.running():
            first = given.order(1, due_at=EVENING)
            await shop.order(first)
            await shop.order(given.order(1, 2, due_at=NOW_MS + HOUR_MS), first)
            await shop.until(printed(shop))

    asyncio.run(check())


def test_who_asks_for_it_gets_it_at_once(make_shop, given):
    async def check():
        async with make_shop([given.printer()]) as shop, shop.running():
            await shop.order(given.order(1, due_at=EVENING))
            await shop.desk.reprint("ORD-1", "page")
            await shop.until(printed(shop))
            assert "DUPLICATE" not in shop.papers("kitchen")[0]

    asyncio.run(check())


def test_it_is_stale_from_its_time_on_not_from_when_it_came(make_shop, given):
    async def check():
        config = given.printer(stale_after="30m")
        async with make_shop([config]) as shop, shop.running():
            shop.virtual["kitchen"].fault("paper_out")
            await shop.order(given.order(1, due_at=EVENING))
            await shop.until(lambda: shop.clock.wall() * 1000 > EVENING - HOUR_MS, step=300)
            shop.virtual["kitchen"].fault("paper_out", on=False)
            await shop.until(printed(shop), step=1)

    asyncio.run(check())


def test_without_a_clock_it_waits_two_minutes_for_one_and_is_printed_then(make_shop, given):
    async def check():
        async with make_shop([given.printer()]) as shop:
            shop.clock.tq = "none"
            shop.clock.set_wall(1_700_000_000)
            async with shop.running():
                await shop.order(given.order(1, due_at=EVENING))
                await shop.clock.advance(100)
                assert not shop.papers("kitchen")
                await shop.until(printed(shop), step=5)

    asyncio.run(check())


def test_a_clock_that_is_set_after_boot_finds_it_waiting(make_shop, given):
    async def check():
        async with make_shop([given.printer()]) as shop:
            shop.clock.tq = "none"
            shop.clock.set_wall(1_700_000_000)
            async with shop.running():
                await shop.order(given.order(1, due_at=EVENING))
                await shop.clock.advance(20)
                shop.clock.tq = "ntp"
                shop.clock.set_wall(NOW_MS / 1000)
                await shop.clock.advance(3 * HOUR_MS / 1000)
                assert not shop.papers("kitchen")
                await shop.until(printed(shop), step=120)

    asyncio.run(check())
