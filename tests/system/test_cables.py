"""Cables, links and printers that fail: what can go on goes on, the rest is said."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

import pytest

from tests.support import Mosquitto, free_port, wait
from tests.system.foreign import ForeignBackEnd, order
from tests.system.machines import Agent, Printer, Relay, shop_config, sink

pytestmark = pytest.mark.system


def printed(backend: ForeignBackEnd, order_id: str) -> bool:
    return bool(backend.of("print", order_id=order_id, state="printed"))


def test_a_link_that_swallows_everything_is_found_dead_and_made_anew(
    agent: Callable[..., Agent],
    relay: Callable[..., Relay],
    broker: Mosquitto,
    backend: ForeignBackEnd,
    printer: Printer,
) -> None:
    cable = relay(broker.port)
    shop = agent(cable.port, shop_config(f"tcp://127.0.0.1:{printer.port}")).start().ready()
    backend.order(shop.device, order(1))
    wait(lambda: printed(backend, "sys-00001"), "it prints")
    cable.blackhole()  # without RST or FIN, as a NAT that forgot
    backend.order(shop.device, order(2))
    shop.ask("shop.set", status="busy")
    wait(lambda: not shop.ask("status")["link"]["up"], "it notices by itself", 40)
    cable.restore()
    wait(lambda: printed(backend, "sys-00002"), f"the order arrives; {shop.words()}")
    wait(lambda: backend.of("shop", status="busy"), "what staff did arrives")
    assert len(printer.tickets()["sys-00002"]) == 1
    assert backend.verdict() == []


def test_printers_that_never_read_or_are_not_there_delay_no_other(
    agent: Callable[..., Agent], broker: Mosquitto, backend: ForeignBackEnd, printer: Printer
) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as wall:  # never accepts
        wall.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        config = shop_config(
            f"tcp://127.0.0.1:{wall.getsockname()[1]}",
            f"tcp://127.0.0.1:{printer.port}",
            f"tcp://127.0.0.1:{free_port()}",
            kitchen={"stations": ["wok"]},
            bar={"stations": ["bar"]},
            third={"stations": ["cold"]},
        )
        shop = agent(broker.port, config).start().ready()
        items = [
            {"name": f"{station} dish {n} " + "x" * 150, "note": "y" * 1900, "station": station}
            for station in ("wok", "bar", "cold")
            for n in range(40)
        ]
        for number in range(1, 6):
            backend.order(shop.device, order(number, items=items))
        last = "sys-00005"
        wait(lambda: backend.of("print", order_id=last, printer="bar", state="printed"), "bar")
        wait(lambda: "printer.third" in shop.health(), f"the dead one is said; {shop.words()}")
        wait(lambda: backend.of("print", order_id=last, printer="third", state="held"), "held")
        wait(lambda: "printer.kitchen" in shop.health(), f"the one that hangs; {shop.words()}")
    assert [len(copies) for copies in printer.tickets().values()] == [1] * 5
    told = {e.body["state"] for e in backend.of("print") if e.body["printer"] != "bar"}
    assert "printed" not in told
    assert backend.verdict() == []


def test_a_printer_that_goes_away_in_the_middle_of_a_ticket(
    shop: Agent, backend: ForeignBackEnd, printer: Printer
) -> None:
    shop.start().ready()
    backend.order(shop.device, order(1))
    wait(lambda: printed(backend, "sys-00001"), "it prints")
    printer.virtual.drop(after=150)
    backend.order(shop.device, order(2))
    backend.order(shop.device, order(3))
    wait(lambda: printed(backend, "sys-00002") and printed(backend, "sys-00003"), shop.words())
    assert backend.of("print", order_id="sys-00002", state="in_doubt")
    assert backend.of("print", order_id="sys-00002", state="printed")[0].body["duplicate"]
    found = printer.tickets()
    assert found["sys-00002"][-1]  # the banner
    assert found["sys-00003"] == [False]
    assert backend.verdict() == []


def test_paper_ends_within_a_rush_and_is_refilled(
    shop: Agent, backend: ForeignBackEnd, printer: Printer
) -> None:
    shop.start().ready()
    printer.virtual.paper_for(40)  # lines: it ends within a ticket
    for number in range(1, 9):
        backend.order(shop.device, order(number))
    wait(lambda: "printer.kitchen" in shop.health(), "it is said")
    wait(lambda: backend.of("health", code="printer.kitchen", state="raised"), "also there")
    wait(lambda: backend.of("print", state="held"), "tickets wait")
    backend.order(shop.device, order(9))
    printer.virtual.fault("paper_out", on=False)
    wait(lambda: all(printed(backend, f"sys-{n:05d}") for n in range(1, 10)), shop.words())
    found = printer.tickets()
    assert len(found) == 9
    assert all(copies.count(False) <= 1 for copies in found.values())
    wait(lambda: "printer.kitchen" not in shop.health(), "and it is over")
    assert backend.verdict() == []


def test_a_printer_that_says_nothing_is_never_called_printed(
    agent: Callable[..., Agent], broker: Mosquitto, backend: ForeignBackEnd
) -> None:
    with sink() as (port, got):
        shop = agent(broker.port, shop_config(f"tcp://127.0.0.1:{port}")).start().ready()
        for number in range(1, 4):
            backend.order(shop.device, order(number))
        wait(lambda: len(backend.of("print", state="sent_unconfirmed")) == 3, shop.words())
        wait(lambda: got.count(b"sys-0000") == 3, "each once")
    assert not backend.of("print", state="printed")
