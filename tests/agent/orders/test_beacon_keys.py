"""Keys of beacons that orders bring, and the courier who is in the shop."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.contract.events import OrderEvent
from tests.agent.orders.test_desk import Shop, run

KEY = "00112233445566778899aabbccddeeff"
NAMED = {"courier": {"id": "rd-7", "phone": "13812345678", "beacon_key": KEY}}


def test_a_beacons_key_is_kept_apart_from_the_document(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.order(1, **NAMED, shop={"id": "sh-1", "beacon_key": KEY[::-1]})
        rows = await shop.database.read(
            lambda tx: tx.execute("SELECT document FROM orders").fetchall()
        )
        assert b"rd-7" in rows[0][0]
        assert KEY.encode() not in rows[0][0]
        for owner, key in (("courier", KEY), ("shop", KEY[::-1])):
            ((order, found, _),) = await shop.desk.awaited(owner)  # type: ignore[arg-type]
            assert found == bytes.fromhex(key)
            assert KEY not in repr(order)
        assert all(KEY not in repr(body) for body in shop.recorder.bodies)

    run(tmp_path, story)


def test_a_newer_document_brings_its_own_keys_and_the_end_takes_them(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.order(1, **NAMED)
        await shop.order(2, courier={"id": "rd-8"})
        ((order, key, _),) = await shop.desk.awaited("courier")
        assert order.courier is not None
        assert (order.courier.id, key) == ("rd-8", None)
        await shop.order(3, **NAMED)
        await shop.order(4, "completed", **NAMED)
        assert await shop.desk.awaited("courier") == []
        count = "SELECT count(*) FROM beacon_keys"
        assert await shop.database.read(lambda tx: tx.execute(count).fetchone()) == (0,)

    run(tmp_path, story)


@pytest.mark.parametrize("key", ["", "00", KEY.upper(), KEY + "00", "g" * 32, 7])
def test_a_key_that_is_none_refuses_the_order_without_repeating_it(
    tmp_path: Path, key: object
) -> None:
    async def story(shop: Shop) -> None:
        await shop.order(1, courier={"id": "rd-7", "beacon_key": key})
        (event,) = shop.recorder.bodies
        assert isinstance(event, OrderEvent)
        assert event.action == "rejected"
        assert len(str(key)) < 8 or str(key) not in repr(event)

    run(tmp_path, story)


def test_staff_hear_of_a_courier_once_and_not_of_one_whose_order_is_gone(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.order(1, **NAMED)
        shop.bell.calls.clear()
        for event in ("enter", "arrived", "exit"):
            await shop.desk.courier(event, "rider:rd-7", ["o1", "o2"])
        assert shop.bell.calls == [
            ("raise", "courier", "courier:o1"),
            ("end", "courier:o1"),
            ("end", "courier:o2"),
        ]

    run(tmp_path, story)
