"""A rush: many orders at once, for several printers, and each printer's paper stays in order."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator

import pytest

from tests.support import Mosquitto, wait
from tests.system.foreign import ForeignBackEnd, order
from tests.system.machines import Agent, Printer, Relay, shop_config

pytestmark = pytest.mark.system

RUSH = 40


@pytest.fixture
def bar() -> Iterator[Printer]:
    printer = Printer()
    yield printer
    printer.close()


def seen(printer: Printer) -> list[int]:
    """The numbers on its paper, from the first ticket to the last."""
    return [int(n) for n in re.findall(r"sys-(\d{5}) v1", "\n".join(printer.text))]


def dishes(number: int) -> list[dict[str, object]]:
    """Each order has something for the kitchen, every third one something for the bar."""
    food = {"name": f"Dish {number}", "qty": 1, "station": "wok"}
    drink = {"name": f"Drink {number}", "qty": 1, "station": "bar"}
    return [food, drink] if number % 3 == 0 else [food]


def test_a_rush_stays_in_order_at_each_printer(
    agent: Callable[..., Agent],
    relay: Callable[..., Relay],
    broker: Mosquitto,
    backend: ForeignBackEnd,
    printer: Printer,
    bar: Printer,
) -> None:
    cable = relay(printer.port)
    uris = (f"tcp://127.0.0.1:{cable.port}", f"tcp://127.0.0.1:{bar.port}")
    config = shop_config(*uris, kitchen={"stations": ["wok"]}, bar={"stations": ["bar"]})
    shop = agent(broker.port, config).start().ready(online=True)
    numbers = list(range(1, RUSH + 1))
    for number in numbers:
        backend.order(shop.device, order(number, items=dishes(number)))
        if number == RUSH // 2:
            cable.pull()  # the rest waits, and the bar goes on
    drinks = [number for number in numbers if number % 3 == 0]
    wait(lambda: len(seen(bar)) == len(drinks), f"the bar has all; {shop.words()}")
    cable.restore()
    wait(lambda: set(seen(printer)) == set(numbers), f"the kitchen has all; {shop.words()}")
    assert seen(bar) == drinks
    # The one that the pulled cable left in doubt comes twice, with its banner; never out of turn.
    assert [number for number, _ in itertools.groupby(seen(printer))] == numbers
    doubled = [number for number, marks in printer.tickets().items() if marks.count(False) > 1]
    assert doubled == []
