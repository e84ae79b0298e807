"""The page of a whole agent under a finger: order, accept, ticket, outage, accept, restored; and
what a technician changes there."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.alerting.library import Library
from agent.contract.orders import Order
from drivers.sound.alsa import PROBE
from drivers.sound.clips import scale, streams
from tests.agent.page.conftest import ARGS, CHROMIUM, STRANGE
from tests.support import Mosquitto, free_port, wait
from tests.system.foreign import ForeignBackEnd, order
from tests.system.machines import Agent, Printer, Relay, shop_config

pytestmark = pytest.mark.system

PAINT = "performance.getEntriesByName('first-contentful-paint').length"
WEIGHT = """() => performance.getEntriesByType('resource').concat(
  performance.getEntriesByType('navigation')).reduce((sum, e) => sum + e.transferSize, 0)"""
MAX_WEIGHT = 150_000  # bytes over the wire, with headers and the first answers
VOLUME = 0.8


class Ear:
    """A loudspeaker of ALSA that is a pipe, and all that came out of it."""

    def __init__(self, folder: Path) -> None:
        os.mkfifo(folder / "samples")
        self._pipe = os.open(folder / "samples", os.O_RDWR | os.O_NONBLOCK)
        self._heard = b""
        (folder / "asound.conf").write_text(
            f'pcm.ear {{ type file slave.pcm {{ type null }} file "{folder}/samples"'
            ' format "raw" }\n'
        )

    def heard(self) -> bytes:
        while True:
            try:
                self._heard += os.read(self._pipe, 1 << 16)
            except BlockingIOError:
                return self._heard

    def close(self) -> None:
        os.close(self._pipe)


@pytest.fixture
def ear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ear]:
    if shutil.which("aplay") is None:
        pytest.skip("no aplay")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "asound.conf"))
    ear = Ear(tmp_path)
    yield ear
    ear.close()


def words(*names: str) -> bytes:
    (whole,) = streams(Library("zh").shipped(names))
    return scale(whole.samples, VOLUME).strip(b"\0")


@pytest.fixture
def touch() -> Iterator[Any]:
    """A page on the panel of a kitchen: 800x480, under a finger."""
    if not CHROMIUM.exists():
        pytest.skip("no chromium")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        context = browser.new_context(
            viewport={"width": 800, "height": 480}, has_touch=True, locale="en-US"
        )
        page = context.new_page()
        page.set_default_timeout(30_000)
        yield page
        browser.close()


def test_staff_hear_see_and_accept_by_touch_before_during_and_after_an_outage(
    agent: Callable[..., Agent],
    relay: Callable[..., Relay],
    broker: Mosquitto,
    backend: ForeignBackEnd,
    printer: Printer,
    ear: Ear,
    touch: Any,
) -> None:
    from playwright.sync_api import expect

    cable, port, page = relay(broker.port), free_port(), touch
    config = shop_config(f"tcp://127.0.0.1:{printer.port}")
    sound = f"[sound]\ndriver = 'alsa'\ndevice = 'ear'\nvolume = {VOLUME}\n[alert]\nrepeat_s = 2"
    own = f"{config}\n{sound}\n[page]\nlisten = '127.0.0.1:{port}'"
    shop = agent(cable.port, own).start()
    shop.ready(online=True)
    wait(lambda: len(ear.heard()) >= len(PROBE.samples), "the loudspeaker was tried")
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page.locator("#strip")).to_contain_text("All is well")
    page.wait_for_function(PAINT)
    assert page.evaluate(WEIGHT) < MAX_WEIGHT

    silence = len(ear.heard())
    backend.order(shop.device, order(1))
    wait(lambda: len(ear.heard()) > silence, "the first sample is heard")
    seen = shop.ask("orders.list")["orders"]
    assert [entry["order"]["order_id"] for entry in seen] == ["sys-00001"], "heard, so it is there"
    spoken = words("chime", "new_order", "1")
    wait(lambda: ear.heard()[silence:].count(spoken) >= 2, "it is repeated until somebody answers")
    backend.order(shop.device, order(2))
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
    expect(page.locator(".alert")).to_have_count(0)
    assert not backend.of("order", order_id="sys-00002", action="accepted")

    cable.restore()
    expect(page.locator("#strip")).to_contain_text("All is well")
    told = wait(lambda: backend.of("order", order_id="sys-00002", action="accepted"), "told")
    assert len(told) == 1
    assert backend.of("audit", action="order.accept", by="page")
    wait(lambda: len(printer.tickets()) == 2, "both tickets are on paper")
    assert printer.tickets() == {"sys-00001": [False], "sys-00002": [False]}
    assert backend.verdict() == [], "nothing is lost, in order and once"


def hostile(type_: Any, *, deep: int = 2) -> Any:
    """A value of a type with a stranger's markup wherever text may stand."""
    info = msgspec.inspect.type_info(type_)
    return _hostile(info, deep)


def _hostile(info: Any, deep: int) -> Any:
    inspect = msgspec.inspect
    if isinstance(info, inspect.StructType):
        return {field.encode_name: _hostile(field.type, deep - 1) for field in info.fields}
    if isinstance(info, inspect.UnionType):
        kinds = [kind for kind in info.types if not isinstance(kind, inspect.NoneType)]
        texts = [kind for kind in kinds if isinstance(kind, inspect.StrType)]
        return _hostile((texts or kinds)[0], deep)
    if isinstance(info, inspect.StrType):
        return "a" * (info.min_length or 32) if info.pattern else STRANGE[: info.max_length]
    if isinstance(info, inspect.ListType):
        return [_hostile(info.item_type, deep)] if deep > -2 else []
    if isinstance(info, inspect.LiteralType):
        return info.values[0]
    if isinstance(info, inspect.BoolType):
        return True
    return info.ge or 1


def test_no_field_of_an_order_becomes_markup_on_any_page(
    agent: Callable[..., Agent],
    broker: Mosquitto,
    backend: ForeignBackEnd,
    printer: Printer,
    touch: Any,
) -> None:
    from playwright.sync_api import expect

    document = hostile(Order) | {"order_id": "sys-00001", "version": 1, "status": "pending"}
    document |= {"due_at": None, "shop": None, "kind": "dine_in"}
    document["courier"].pop("beacon_key")
    assert json.dumps(document).count("onerror") > 20
    page, port = touch, free_port()
    config = shop_config(f"tcp://127.0.0.1:{printer.port}")
    shop = agent(broker.port, f"{config}\n[page]\nlisten = '127.0.0.1:{port}'").start()
    shop.ready(online=True)
    _set_pin(shop)
    backend.order(shop.device, document)
    page.goto(f"http://127.0.0.1:{port}/")
    card = page.locator(".order")
    expect(card).to_contain_text(STRANGE)
    page.get_by_role("button", name="Show ticket").first.tap()
    expect(page.locator(".paper")).to_contain_text("<img")
    assert page.title() != "owned"
    assert page.locator("img").count() == 0
    page.goto(f"http://127.0.0.1:{port}/tech.html")
    page.locator("#pin").fill("314159")
    page.keyboard.press("Enter")
    expect(page.locator("#checks .fine").first).to_be_visible()
    page.get_by_role("button", name="in bytes").first.tap()
    expect(page.locator("dialog pre")).to_contain_text("1b 40")
    assert page.title() == "Technician"
    assert page.locator("img").count() == 0


def test_a_technician_changes_a_setting_and_the_agent_starts_anew_with_it(
    agent: Callable[..., Agent], broker: Mosquitto, backend: ForeignBackEnd, printer: Printer
) -> None:
    config = shop_config(f"tcp://127.0.0.1:{printer.port}")
    shop = agent(broker.port, f"{config}\n[page]\nlisten = '127.0.0.1:{free_port()}'").start()
    shop.ready(online=True)
    assert shop.ask("config.try", text="[alert]\nrepeat_s = 0\n")["problems"]
    assert shop.ask("config.file")["text"] == ""
    shop.ask("config.write", text="[alert]\nrepeat_s = 3\n")
    assert shop.process is not None
    before = shop.process.pid
    wait(lambda: _repeat(shop) == 3, "it runs with the new setting")
    assert shop.process.pid == before, "quickly, as the same process"
    told = wait(lambda: backend.of("audit", action="config.write"), "the audit event arrives")
    assert "repeat_s" not in json.dumps([event.body for event in told])


def test_the_support_file_comes_over_the_page_and_holds_no_order(
    agent: Callable[..., Agent], broker: Mosquitto, backend: ForeignBackEnd, printer: Printer
) -> None:
    port = free_port()
    config = shop_config(f"tcp://127.0.0.1:{printer.port}")
    shop = agent(broker.port, f"{config}\n[page]\nlisten = '127.0.0.1:{port}'").start()
    shop.ready(online=True)
    backend.order(shop.device, order(1, customer={"name": "Wang Xiaoming"}))
    wait(lambda: shop.ask("orders.list")["orders"], "the order is there")
    _set_pin(shop)
    origin = f"http://127.0.0.1:{port}"

    def post(name: str, body: dict[str, Any], cookie: str = "") -> Any:
        headers = {"Origin": origin, "Content-Type": "application/json", "Cookie": cookie}
        me = urllib.request.Request(f"{origin}/api/me", headers={"Cookie": cookie})
        with urllib.request.urlopen(me, timeout=30) as answer:
            headers["X-CSRF"] = json.load(answer)["csrf"]
        data = json.dumps(body).encode()
        request = urllib.request.Request(f"{origin}/api/{name}", data, headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.headers["Set-Cookie"], json.load(answer)

    cookie, _ = post("login", {"role": "technician", "pin": "314159"})
    _, made = post("bundle.make", {}, cookie.partition(";")[0])
    assert made["name"].startswith(f"edge-agent-{shop.device}-")
    data = base64.b64decode(made["data"])
    listing = subprocess.run(["tar", "-xzO"], input=data, capture_output=True, check=True).stdout
    assert shop.device.encode() in listing
    assert b"Xiaoming" not in listing


def _repeat(shop: Agent) -> Any:
    """None while it is starting anew."""
    with contextlib.suppress(OSError, ValueError, AssertionError):
        return shop.ask("config.show")["settings"]["alert.repeat_s"]


def _set_pin(shop: Agent) -> bytes:
    command = [sys.executable, "-m", "agent", "page", "pin", "technician", "--config"]
    done = subprocess.run(
        [*command, str(shop.config)], input=b"314159\n", capture_output=True, check=True
    )
    return done.stdout


def test_a_pin_set_at_the_device_is_in_no_event_and_opens_the_page_of_technicians(
    agent: Callable[..., Agent], broker: Mosquitto, backend: ForeignBackEnd, printer: Printer
) -> None:
    config = shop_config(f"tcp://127.0.0.1:{printer.port}")
    shop = agent(broker.port, f"{config}\n[page]\nlisten = '127.0.0.1:{free_port()}'").start()
    shop.ready(online=True)
    assert b"is set" in _set_pin(shop)
    told = wait(lambda: backend.of("audit", action="page.pin"), "the audit event arrives")
    assert told[0].body["detail"] == {"role": "technician"}
    settings = shop.ask("config.show")
    assert settings["settings"]["store.path"] == str(shop.store)
    assert "config.toml" in settings["origin"]["store.path"]
    assert {"config", "disk", "clock", "broker"} <= {one["check"] for one in shop.ask("doctor")}
    assert shop.ask("queue.list", table="poison") == {"rows": [], "more": False}
