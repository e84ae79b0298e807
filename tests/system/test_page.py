"""The page of a whole agent under a finger: order, accept, ticket, outage, accept, restored."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.support import Mosquitto, free_port, wait
from tests.system.foreign import ForeignBackEnd, order
from tests.system.machines import Agent, Printer, Relay, shop_config

pytestmark = pytest.mark.system

CHROMIUM = Path("/usr/bin/chromium")
PAINT = "performance.getEntriesByName('first-contentful-paint').length"
WEIGHT = """() => performance.getEntriesByType('resource').concat(
  performance.getEntriesByType('navigation')).reduce((sum, e) => sum + e.transferSize, 0)"""
MAX_WEIGHT = 150_000  # bytes over the wire, with headers and the first answers


def test_staff_accept_by_touch_before_during_and_after_an_outage(
    agent: Callable[..., Agent],
    relay: Callable[..., Relay],
    broker: Mosquitto,
    backend: ForeignBackEnd,
    printer: Printer,
) -> None:
    if not CHROMIUM.exists():
        pytest.skip("no chromium")
    cable, port = relay(broker.port), free_port()
    config = shop_config(f"tcp://127.0.0.1:{printer.port}")
    shop = agent(cable.port, f"{config}\n[page]\nlisten = '127.0.0.1:{port}'").start()
    shop.ready(online=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(
            viewport={"width": 800, "height": 480}, has_touch=True, locale="en-US"
        )
        page = context.new_page()
        page.set_default_timeout(20_000)
        expect.set_options(timeout=20_000)
        page.goto(f"http://127.0.0.1:{port}/")
        expect(page.locator("#strip")).to_contain_text("All is well")
        page.wait_for_function(PAINT)
        assert page.evaluate(WEIGHT) < MAX_WEIGHT

        for n in (1, 2):
            backend.order(shop.device, order(n))
        expect(page.locator("[data-act=accept]")).to_have_count(2)
        page.locator("[data-key=sys-00001] [data-act=accept]").tap()
        wait(lambda: backend.of("order", order_id="sys-00001", action="accepted"), "it is told")
        page.locator("[data-key=sys-00001]").get_by_role("button", name="Show ticket").tap()
        expect(page.locator(".paper")).to_be_visible()
        page.get_by_role("button", name="Close", exact=True).tap()

        cable.pull()
        expect(page.locator("#strip")).to_contain_text("Orders saved, will send")
        page.locator("[data-key=sys-00002] [data-act=accept]").tap()
        expect(page.locator("[data-key=sys-00002] [data-act=ready]")).to_be_visible()
        expect(page.locator("#strip")).to_contain_text("The oldest is from")
        assert not backend.of("order", order_id="sys-00002", action="accepted")

        cable.restore()
        expect(page.locator("#strip")).to_contain_text("All is well")
        told = wait(lambda: backend.of("order", order_id="sys-00002", action="accepted"), "told")
        assert len(told) == 1
        assert backend.of("audit", action="order.accept", by="page")
        browser.close()


def test_a_pin_set_at_the_device_is_in_no_event_and_opens_the_page_of_technicians(
    agent: Callable[..., Agent], broker: Mosquitto, backend: ForeignBackEnd, printer: Printer
) -> None:
    config = shop_config(f"tcp://127.0.0.1:{printer.port}")
    shop = agent(broker.port, f"{config}\n[page]\nlisten = '127.0.0.1:{free_port()}'").start()
    shop.ready(online=True)
    command = [sys.executable, "-m", "agent", "page", "pin", "technician", "--config"]
    done = subprocess.run(
        [*command, str(shop.config)], input=b"314159\n", capture_output=True, check=True
    )
    assert b"is set" in done.stdout
    told = wait(lambda: backend.of("audit", action="page.pin"), "the audit event arrives")
    assert told[0].body["detail"] == {"role": "technician"}
    settings = shop.ask("config.show")
    assert settings["settings"]["store.path"] == str(shop.store)
    assert "config.toml" in settings["origin"]["store.path"]
    assert {one["check"] for one in shop.ask("doctor")} == {"config", "disk", "clock", "broker"}
    assert shop.ask("queue.list", table="poison") == {"rows": [], "more": False}
