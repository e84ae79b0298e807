"""What is running out: kept, told, heard once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from agent.contract.errors import Rejected
from agent.contract.events import Stock
from agent.orders import stock
from agent.orders.stock import Goods, StockService
from tests.agent.alerting.conftest import open_bench

__all__ = ["open_bench"]  # the fixture

OpenBench = Callable[..., AbstractAsyncContextManager[Any]]


async def put(shelf: StockService, sku: str = "rice", **more: Any) -> Goods:
    told = {"name": None, "left": None, "available": None} | more
    return await shelf.put(sku, **told, by="page")


def shelf_of(bench: Any) -> StockService:
    return StockService(
        bench.database, bench.clock, bench.recorder, bench.alerting, lambda: None, low=5
    )


def test_fewer_than_five_are_heard_once_until_there_are_enough_again(open_bench: OpenBench) -> None:
    async def run() -> None:
        async with open_bench(run=False) as bench:
            shelf = shelf_of(bench)
            for left in (9, 4, 3, 3):
                await put(shelf, name="Rice", left=left)
            assert [a.cause for a in await bench.alerting.open_alerts()] == ["low_stock"]
            assert [g.left for g in await shelf.short(9)] == [3]
            told = [b for b in bench.recorder.bodies if isinstance(b, Stock)]
            assert [b.left for b in told] == [9, 4, 3], "the same again is no news"
            await put(shelf, left=5)
            assert await bench.alerting.open_alerts() == []
            assert await shelf.short(9) == []
            await bench.clock.advance(1)
            assert (await put(shelf, left=4)).name == "Rice"
            assert len(await bench.alerting.open_alerts()) == 1

    asyncio.run(run())


def test_sold_out_comes_first_and_back_on_sale_forgets_an_empty_count(
    open_bench: OpenBench,
) -> None:
    async def run() -> None:
        async with open_bench(run=False) as bench:
            shelf = shelf_of(bench)
            assert (await put(shelf, "tea", left=2)).available
            assert not (await put(shelf, "rice", left=0)).available
            assert not (await put(shelf, "soup", available=False)).available
            assert [g.sku for g in await shelf.short(9)] == ["soup", "rice", "tea"]
            back = await put(shelf, "rice", available=True)
            assert (back.left, back.available) == (None, True)
            await put(shelf, "tea", available=False)
            assert await bench.alerting.open_alerts() == [], "sold out is not low"

    asyncio.run(run())


def test_a_sender_that_invents_goods_is_stopped(
    open_bench: OpenBench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stock, "GOODS_MAX", 2)

    async def run() -> None:
        async with open_bench(run=False) as bench:
            shelf = shelf_of(bench)
            await put(shelf, "a", left=9)
            await put(shelf, "b", left=9)
            await put(shelf, "a", left=8)
            with pytest.raises(Rejected, match="2 goods"):
                await put(shelf, "c", left=9)

    asyncio.run(run())
