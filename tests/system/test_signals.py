"""What systemd and people do to the process."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.support import Mosquitto, wait
from tests.system.foreign import ForeignBackEnd, order
from tests.system.machines import Agent, Printer, Relay, shop_config

pytestmark = pytest.mark.system


def online(backend: ForeignBackEnd) -> int:
    return len([state for state in backend.states if state["state"] == "online"])


def test_sigterm_within_a_ticket_leaves_nothing_to_explain(
    agent: Callable[..., Agent],
    relay: Callable[..., Relay],
    broker: Mosquitto,
    backend: ForeignBackEnd,
    printer: Printer,
) -> None:
    slow = relay(printer.port, bytes_per_s=2500)
    shop = agent(broker.port, shop_config(f"tcp://127.0.0.1:{slow.port}"))
    shop.start().ready()
    shop.ask("shop.set", status="busy")
    for number in range(1, 6):
        backend.order(shop.device, order(number))
    wait(lambda: printer.virtual.strip.elements or printer.virtual.paper, "a ticket comes out")
    assert shop.stop() == 0
    wait(lambda: backend.states[-1]["state"] == "offline", "it said good-bye")
    shop.start().ready()
    wait(lambda: len(backend.of("print", state="printed")) == 5, shop.words())
    assert printer.tickets() == {f"sys-{n:05d}": [False] for n in range(1, 6)}
    assert not backend.of("gap")
    assert not backend.of("print", state="in_doubt")
    assert "lost" not in [state["state"] for state in backend.states]
    assert backend.verdict() == []


def test_sighup_takes_a_good_file_and_leaves_a_bad_one(
    shop: Agent, backend: ForeignBackEnd, printer: Printer
) -> None:
    shop.start().ready()
    wait(lambda: online(backend) == 1, "it is online")
    good = shop.config.read_text()
    shop.config.write_text(good + "\n[alert]\nrepeat_s = 'often'\nescalat_s = 3\n")
    shop.signal(signal.SIGHUP)
    wait(lambda: "escalate_s" in shop.words(), "what is wrong stands in the log")
    backend.order(shop.device, order(1))
    wait(lambda: backend.of("print", state="printed"), "it goes on as before")
    assert online(backend) == 1
    shop.config.write_text(good.replace("site = 'shop-1'", "site = 'shop-9'"))
    shop.signal(signal.SIGHUP)
    wait(lambda: backend.states[-1].get("site") == "shop-9", f"the new one; {shop.words()}")
    wait(lambda: backend.states[-1]["state"] == "online", "and it is back")
    backend.order(shop.device, order(2))
    wait(lambda: len(backend.of("print", state="printed")) == 2, shop.words())
    assert shop.alive
    assert not backend.of("gap")
    assert backend.verdict() == []


def test_two_devices_with_one_id_are_said_and_do_not_storm(
    agent: Callable[..., Agent], broker: Mosquitto, backend: ForeignBackEnd, printer: Printer
) -> None:
    config = shop_config(f"tcp://127.0.0.1:{printer.port}")
    first = agent(broker.port, config, "first", retry_max_s=2).start().ready()
    wait(lambda: online(backend) == 1, "the first is online")
    second = agent(broker.port, config, "second", retry_max_s=2).start().ready()

    def said(shop: Agent) -> bool:
        return "identity.twin" in shop.health()

    wait(lambda: said(first) and said(second), f"both say it; {first.words()}")
    assert online(backend) < 20  # and they did not fight hundreds of times about it
    second.kill()
    backend.order(first.device, order(1))
    wait(lambda: "sys-00001" in printer.tickets(), "it is served again")
    assert backend.verdict() == []


def test_a_second_agent_on_the_same_store_does_not_start(
    shop: Agent, agent: Callable[..., Agent], broker: Mosquitto, printer: Printer
) -> None:
    shop.start().ready()
    config = shop_config(f"tcp://127.0.0.1:{printer.port}")
    second = agent(broker.port, config, "second", store=shop.store).start()
    assert second.ended() == 1
    assert "another agent" in second.words()
    assert shop.answers()  # and has its control socket still
