"""The examples in docs/examples, run as they stand there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import paho.mqtt.publish as paho
import pytest
from paho.mqtt.client import MQTTv5

from agent.fleet import signing
from agent.fleet.signing import Signed
from tests.support import Mosquitto, wait
from tests.system.foreign import order
from tests.system.machines import Agent, shop_config

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
CACHE = Path(__file__).parents[2] / ".cache" / "mqtt-js-5.14.1"
SEED = bytes(range(32))


@pytest.fixture(scope="session")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("no node")
    return found


@pytest.fixture(scope="session")
def modules(node: str) -> Path:
    """A folder in which Node finds `mqtt`; fetched once."""
    if not (CACHE / "node_modules").is_dir():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("no npm")
        CACHE.mkdir(parents=True, exist_ok=True)
        install = [npm, "install", "--prefix", str(CACHE), "--no-audit", "--no-fund", "mqtt@5.14.1"]
        done = subprocess.run(install, check=False, capture_output=True, timeout=100)
        if done.returncode:
            pytest.skip(f"mqtt.js cannot be installed: {done.stderr[-200:]!r}")
    return CACHE


@pytest.fixture
def shop(tmp_path: Path, broker: Mosquitto) -> Iterator[Agent]:
    made = Agent(tmp_path / "a", broker.port, shop_config("simulated://"))
    yield made
    if made.process is not None and made.alive:
        made.kill()


def kept(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def follow(command: list[str], shop: Agent, broker: Mosquitto, file: Path) -> None:
    """Orders while the consumer runs, while it is dead, and when it is back."""

    def consumer() -> subprocess.Popen[bytes]:
        return subprocess.Popen([*command, "127.0.0.1", str(broker.port), str(file)])

    def sell(number: int) -> None:
        made = order(number)
        topic = f"edge/v1/{shop.device}/order/{made['order_id']}"
        paho.single(topic, json.dumps(made), qos=1, port=broker.port, protocol=MQTTv5)

    def printed() -> set[str]:
        return {
            e["body"]["order_id"] for e in kept(file)
            if e["kind"] == "print" and e["body"]["state"] in {"printed", "sent_unconfirmed"}
        }  # fmt: skip

    shop.start().ready(online=True)
    process = consumer()
    try:
        sell(1)
        wait(lambda: len(printed()) == 1, f"the first; {kept(file)}")
        process.kill()
        process.wait()
        sell(2)
        process = consumer()
        sell(3)
        wait(lambda: len(printed()) == 3, f"all; {kept(file)}", 60)
        wait(lambda: not any(shop.ask("status")["link"]["backlog"].values()), "acknowledged", 60)
    finally:
        process.kill()
        process.wait()
    keys = [(e["device"], e["epoch"], e["stream"], e["seq"]) for e in kept(file)]
    assert len(keys) == len(set(keys))
    critical = [seq for _, _, stream, seq in keys if stream == "critical"]
    assert critical == list(range(1, len(critical) + 1))


@pytest.mark.system
def test_the_consumer_in_python_keeps_each_event_once(
    shop: Agent, broker: Mosquitto, tmp_path: Path
) -> None:
    follow([sys.executable, str(EXAMPLES / "consumer.py")], shop, broker, tmp_path / "e.ndjson")


@pytest.mark.system
def test_the_consumer_in_javascript_keeps_each_event_once(
    shop: Agent, broker: Mosquitto, tmp_path: Path, node: str, modules: Path
) -> None:
    script = tmp_path / "consumer.mjs"  # Node looks for modules beside the script
    script.write_bytes((EXAMPLES / "consumer.mjs").read_bytes())
    (tmp_path / "node_modules").symlink_to(modules / "node_modules")
    follow([node, str(script)], shop, broker, tmp_path / "e.ndjson")


def test_what_javascript_signs_a_device_takes(tmp_path: Path, node: str) -> None:
    key = tmp_path / "ops-1"
    key.write_text(SEED.hex() + "\n")
    command = [node, str(EXAMPLES / "sign.mjs"), str(key), "ops-1", "sh-1", "shop.set"]
    done = subprocess.run(
        [*command, '{"status": "忙"}'], check=True, capture_output=True, env=dict(os.environ)
    )
    made = json.loads(done.stdout)
    signed = msgspec.json.decode(made["payload"], type=Signed)
    public = signing.key_bytes(signing.public_of(SEED))
    request = signing.check(signed, public=public, purpose="cmd")
    assert (request.aud, request.name, request.params) == ("sh-1", "shop.set", {"status": "忙"})
    assert made["topic"] == f"edge/v1/sh-1/cmd/shop.set/{request.cmd_id}"
