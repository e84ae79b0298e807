"""Agent and broker are killed at any moment: nothing is lost, nothing is doubled in silence."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import Mosquitto, wait
from tests.system.foreign import ForeignBackEnd, order
from tests.system.machines import Agent, Printer, Relay, shop_config

pytestmark = pytest.mark.system

DRAINED_S = 60.0
SEEDS = [int(seed) for seed in os.environ.get("SEEDS", "1").split()]


def all_printed(backend: ForeignBackEnd, count: int) -> bool:
    done = {e.body["order_id"] for e in backend.of("print", state="printed")}
    return len(done) >= count


def drained(agent: Agent) -> bool:
    return not any(agent.ask("status")["link"]["backlog"].values())


def judge(printer: Printer, backend: ForeignBackEnd, count: int) -> None:
    tickets = printer.tickets()
    missing = [n for n in range(1, count + 1) if f"sys-{n:05d}" not in tickets]
    silent = {k: v for k, v in tickets.items() if v.count(False) > 1}
    assert not missing
    assert not silent
    assert backend.verdict() == []


@pytest.mark.parametrize("seed", SEEDS)
def test_an_agent_killed_again_and_again(
    seed: int,
    agent: Callable[..., Agent],
    relay: Callable[..., Relay],
    broker: Mosquitto,
    backend: ForeignBackEnd,
    printer: Printer,
) -> None:
    dice = random.Random(seed)
    slow = relay(printer.port, bytes_per_s=12_000)  # so that a kill finds it printing
    shop = agent(broker.port, shop_config(f"tcp://127.0.0.1:{slow.port}"))
    count, cycles = 60, 12
    numbers = iter(range(1, count + 1))
    for _ in range(cycles):
        shop.start()
        if dice.random() < 0.6:
            shop.ready()
        for number in [next(numbers) for _ in range(count // cycles)]:
            backend.order(shop.device, order(number))
            time.sleep(dice.uniform(0, 0.1))
        time.sleep(dice.uniform(0, 0.7))
        shop.kill()
    shop.start().ready()

    def done() -> bool:
        (kitchen,) = shop.ask("status")["printers"]
        if kitchen["parked"]:  # in doubt again and again: a person decides, and wants it
            shop.ask("printer.resume", printer="kitchen", choice="all")
        return all_printed(backend, count)

    wait(done, "every order is told as printed", DRAINED_S)
    wait(lambda: drained(shop), "the outbox is empty", DRAINED_S)
    judge(printer, backend, count)
    doubtful = sum(len(copies) > 1 for copies in printer.tickets().values())
    print(f"{doubtful} of {count} tickets came out twice, marked")


def test_a_broker_killed_while_orders_come_and_a_backlog_drains(
    shop: Agent, tmp_path: Path, broker: Mosquitto, backend: ForeignBackEnd, printer: Printer
) -> None:
    dice = random.Random(2)
    shop.start().ready()
    count = 40
    for number in range(1, count + 1):
        backend.order(shop.device, order(number))
        if number % 10 == 0:
            time.sleep(dice.uniform(0, 0.5))
            broker.kill()
            time.sleep(dice.uniform(0, 0.3))
            broker.start()
    wait(lambda: all_printed(backend, count), f"all printed; {shop.words()}", DRAINED_S)
    wait(lambda: drained(shop), "the outbox is empty", DRAINED_S)
    judge(printer, backend, count)
    assert all(len(copies) == 1 for copies in printer.tickets().values())  # nobody killed the agent
