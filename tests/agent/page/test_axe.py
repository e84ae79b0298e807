"""axe-core over every page, in both languages. It is not shipped here: `npm install axe-core`
anywhere, and name its axe.min.js in EDGE_AXE."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.agent.page.conftest import STRANGE
from tests.agent.page.test_browser import alert
from tests.support import free_port, wait

AXE = Path(os.environ.get("EDGE_AXE", "/nonexistent"))
pytestmark = pytest.mark.skipif(not AXE.is_file(), reason="EDGE_AXE names no axe.min.js")
HOUSE = Path(__file__).parents[3]
LOCALES = pytest.mark.parametrize("locale", ["en-US", "zh-CN"])


def faults(page: Page) -> list[str]:
    """What axe calls serious or critical, with the elements."""
    # The page's own policy allows no script from outside, so it comes by the debugger.
    page.evaluate(AXE.read_text(encoding="utf-8") + "; null")
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['impact']} {one['id']}: {[node['html'][:120] for node in one['nodes'][:4]]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def test_what_nobody_could_use_is_found(served, opened):
    page = opened(served)
    page.evaluate("document.body.append(document.createElement('button'))")
    assert any("button-name" in fault for fault in faults(page))


@LOCALES
@pytest.mark.parametrize("size", ["phone", "panel", "desktop"])
def test_the_staff_page_can_be_used_by_everybody(served, opened, new_order, locale, size):
    late, over = new_order(2, allergens=["peanut"], expires_at=1), new_order(1)
    late["stage"], over["stage"] = "accepted", "cancelled"
    late["conflict"] = "rejected here"
    served.agent.orders = [over, late, new_order(3, items=[{"sku": "d", "name": STRANGE}])]
    served.agent.status.update(
        alerts=[alert("a"), alert("b", cause="printer", state="escalated")],
        health=[
            {"code": f"x{n}", "severity": "warning", "text": "disk full", "since": 1}
            for n in range(5)
        ],
        stock=[{"sku": "d-2", "name": "Tofu", "left": 3, "available": True}],
        printers=[
            {"name": "kitchen", "state": "held", "fault": None, "waiting": 6},
            {"name": "bar", "state": "fault", "fault": "paper_out", "waiting": 0},
        ],
    )
    page = opened(served, size, locale)
    expect(page.locator(".order")).to_have_count(3)
    assert faults(page) == []
    page.locator("[data-act=preview-j-3]").click()
    expect(page.locator(".paper")).to_be_visible()
    assert faults(page) == []
    page.keyboard.press("Escape")
    page.locator("[data-act=reject]").click()
    assert faults(page) == []


@LOCALES
def test_the_page_for_the_pin_can_be_used_by_everybody(networked, opened, locale):
    networked.set_pin("staff", "271828")
    url = f"http://127.0.0.2:{networked.service.lan_port}/"
    page = opened(networked, "phone", locale, url=url)
    page.locator("#pin").fill("999999")
    page.keyboard.press("Enter")
    expect(page.locator(".wrong")).not_to_be_empty()
    assert faults(page) == []
    opened.errors.clear()


@LOCALES
def test_the_technicians_page_can_be_used_by_everybody(served, opened, locale):
    served.set_pin("technician", "314159")
    page = opened(served, "tablet", locale, served.url + "tech.html")
    page.locator("#pin").fill("314159")
    page.keyboard.press("Enter")
    expect(page.locator("#log")).to_contain_text("runs")
    expect(page.locator("#checks .faulty")).to_be_visible()
    assert faults(page) == []
    opened.errors.clear()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "agent", "demo", "--no-browser", "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log, cwd=HOUSE)
    try:
        wait(lambda: b"open it" in (tmp_path / "log").read_bytes(), "the demo has begun", 60)
        yield f"http://127.0.0.1:{port}/"
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(30)


@LOCALES
def test_the_demo_can_be_used_by_everybody(demo, opened, locale):
    page = opened(None, "desktop", locale, demo)
    expect(page.locator("button").first).to_be_visible()
    assert faults(page) == []
