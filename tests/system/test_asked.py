"""What a back end may ask of a whole agent: signed, once, and with a way back."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from agent.fleet import signing
from agent.fleet.signing import Request
from tests.support import Mosquitto, wait
from tests.system.foreign import ForeignBackEnd, order
from tests.system.machines import Agent, Printer, shop_config

pytestmark = pytest.mark.system

SEED = bytes(range(32))


@pytest.fixture
def signed_shop(agent: Callable[..., Agent], broker: Mosquitto, printer: Printer) -> Agent:
    made = agent(broker.port, shop_config(f"tcp://127.0.0.1:{printer.port}"))
    more = (
        f"[fleet]\nrequire_signed = true\n[[fleet.keys]]\nkid = 'ops-1'\n"
        f"key = '{signing.public_of(SEED)}'\nscopes = ['order', 'ops']\n"
    )
    with made.config.open("a", encoding="utf-8") as file:
        file.write(more)
    return made


def request(device: str, seq: int, cmd_id: str, backend: ForeignBackEnd, **more: Any) -> bytes:
    now = int(time.time() * 1000)
    made = Request(
        aud=device,
        seq=seq,
        iat=now,
        exp=now + 60_000,
        name="shop.set",
        cmd_id=cmd_id,
        boot_nonce=backend.states[-1]["boot_nonce"],
        **more,
    )
    return signing.sign(made, kid="ops-1", seed=SEED)


def ends(backend: ForeignBackEnd, cmd_id: str) -> list[tuple[str, str | None]]:
    """Of one command: how it ended, and why."""
    return [
        (e.body["status"], e.body.get("reason_code"))
        for e in backend.of("command", cmd_id=cmd_id)
        if e.body["status"] != "accepted"
    ]


def test_only_who_signs_is_heard_and_only_once(
    signed_shop: Agent, backend: ForeignBackEnd, broker: Mosquitto
) -> None:
    shop = signed_shop
    shop.start().ready(online=True)
    wait(lambda: backend.states, "it is there")
    backend.publish(shop.device, "cmd/shop.set/c1", {"params": {"status": "busy"}})
    wait(lambda: ends(backend, "c1") == [("rejected", "unsigned")], "nobody signed")
    payload = request(shop.device, 1, "c2", backend, params={"status": "busy"})
    backend.publish(shop.device, "cmd/shop.set/c2", payload)
    wait(lambda: ends(backend, "c2") == [("succeeded", None)], f"signed; {shop.words()}")
    assert shop.ask("status")["shop_status"] == "busy"
    shop.ask("shop.set", status="open")
    shop.kill()
    shop.start().ready(online=True)
    backend.publish(shop.device, "cmd/shop.set/c2", payload)
    backend.publish(shop.device, "cmd/shop.set/c3", payload)
    wait(lambda: ends(backend, "c3") == [("rejected", "wrong_topic")], "not for this id")
    wait(lambda: len(ends(backend, "c2")) == 2, "answered again from what was kept")
    assert shop.ask("status")["shop_status"] == "open"
    audit = [e.body for e in backend.of("audit", action="shop.set")]
    assert [body["by"] for body in audit] == ["command:c2:ops-1", "cli"]


def test_a_wish_with_which_the_agent_dies_three_times_is_taken_back(
    shop: Agent, backend: ForeignBackEnd
) -> None:
    shop.start().ready(online=True)
    births = len([s for s in backend.states if s["state"] == "online"])
    wish = {"version": 7, "settings": {"alert": {"repeat_s": 5}}}
    backend.publish(shop.device, "config/desired", wish, retain=True)
    wait(
        lambda: len([s for s in backend.states if s["state"] == "online"]) > births,
        f"it starts with it; {shop.words()}",
    )
    shop.ready()
    for _ in range(3):
        shop.kill()
        shop.start().ready()
    wait(lambda: backend.of("config", version=7, state="rolled_back"), shop.words())
    wait(lambda: backend.reported[-1].get("state") == "rolled_back", "it is reported")
    assert backend.reported[-1]["in_force"] == 0
    assert json.dumps(backend.reported[-1]["settings"]) == "{}"
    assert "config.rolled_back" in shop.health()
    shop.stop()
    shop.start().ready(online=True)  # the broker brings the wish again
    wait(lambda: backend.reported[-1].get("state") == "rolled_back", "still")
    assert shop.alive


def test_a_file_for_support_arrives_whole_beside_orders(
    shop: Agent, backend: ForeignBackEnd, broker: Mosquitto, printer: Printer
) -> None:
    shop.start().ready(online=True)
    parts: dict[int, bytes] = {}
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.on_message = lambda _c, _u, m: parts.update({int(m.topic.split("/")[-1]): m.payload})
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.subscribe(f"edge/v1/{shop.device}/bundle/#", qos=1)
    assert subscribed.wait(20)
    backend.publish(shop.device, "cmd/bundle.send/c9", {})
    backend.order(shop.device, order(1))
    wait(lambda: backend.of("command", cmd_id="c9", status="succeeded"), shop.words(), 60)
    result = backend.of("command", cmd_id="c9", status="succeeded")[0].body["result"]
    whole = b"".join(parts[n] for n in range(result["parts"]))
    assert hashlib.sha256(whole).hexdigest() == result["sha256"]
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        assert "status.json" in {Path(name).name for name in tar.getnames()}
    wait(lambda: backend.of("print", state="printed"), "orders go on")
    assert backend.verdict() == []
    client.loop_stop()
    client.disconnect()


def test_a_flood_of_commands_keeps_no_ticket_from_its_printer(
    shop: Agent, backend: ForeignBackEnd, printer: Printer
) -> None:
    shop.start().ready(online=True)
    for number in range(1500):
        name = "printer.test" if number % 3 else "ping"
        backend.publish(shop.device, f"cmd/{name}/f{number}", {"params": {"printer": "kitchen"}})
    for number in range(1, 6):
        backend.order(shop.device, order(number))
    orders = {f"sys-{n:05d}": [False] for n in range(1, 6)}
    wait(lambda: printer.tickets() == orders, shop.words(), 60)
    tests = len(backend.of("print", order_id="test", state="printed"))
    assert tests < 20, "orders did not wait for the test pages"
    assert "commands.flood" in shop.health()
    said = [e.body["status"] for e in backend.of("command")]
    assert len(said) < 400  # a few words for each of those that were heard, not for each of all
    assert backend.verdict() == []
