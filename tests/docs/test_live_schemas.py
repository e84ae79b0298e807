"""What a live agent says is what docs/schemas and docs/asyncapi.json say that it says."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.support import Mosquitto, wait
from tests.system.foreign import order
from tests.system.machines import Agent, Printer, shop_config

ROOT = Path(__file__).parents[2]
SCHEMAS = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in sorted((ROOT / "docs" / "schemas").glob("*.json"))
}
SAID = {"order", "print", "alert", "shop", "command", "audit", "error", "config", "stock"}


class Listener:
    """Everything that passes the broker, by topic."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[list[str], Any]] = []
        self._ready = threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self.client.on_message = self._take
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.client.subscribe("edge/v1/#", qos=1)
        assert self._ready.wait(20)

    def _take(self, _client: Any, _data: Any, message: Any) -> None:
        topic = message.topic.split("/")[3:]
        if topic[0] == "batch":
            packed = getattr(message.properties, "ContentType", "").endswith("+zlib")
            text = zlib.decompress(message.payload) if packed else message.payload
            self.heard += [(topic, json.loads(line)) for line in text.splitlines()]
        elif topic[0] in {"evt", "state"} or topic[-1] == "reported":
            self.heard.append((topic, json.loads(message.payload)))

    def kinds(self) -> set[str]:
        return {schema_of(topic, said) for topic, said in self.heard}

    def send(self, branch: str, payload: Any, device: str = "sh-1") -> None:
        self.client.publish(f"edge/v1/{device}/{branch}", json.dumps(payload), qos=1)

    def close(self) -> None:
        self.client.loop_stop()
        self.client.disconnect()


def schema_of(topic: list[str], said: Any) -> str:
    if topic[0] in {"evt", "batch"}:
        return f"evt.{topic[1] if topic[0] == 'evt' else said['kind']}"
    return {"state": "state", "config": "reported"}[topic[0]]


@pytest.fixture
def listener(broker: Mosquitto) -> Iterator[Listener]:
    made = Listener(broker.port)
    yield made
    made.close()


@pytest.fixture
def printer() -> Iterator[Printer]:
    made = Printer(width_dots=384)
    yield made
    made.close()


@pytest.fixture
def shop(tmp_path: Path, broker: Mosquitto, printer: Printer) -> Iterator[Agent]:
    made = Agent(tmp_path / "a", broker.port, shop_config(f"tcp://127.0.0.1:{printer.port}"))
    yield made.start().ready(online=True)
    if made.process is not None and made.alive:
        made.kill()


@pytest.mark.system
def test_every_message_of_a_live_shop_is_as_its_schema_says(
    shop: Agent, listener: Listener
) -> None:
    listener.send("order/sys-00001", order(1))
    wait(lambda: "evt.print" in listener.kinds(), shop.words())
    shop.ask("alert.ack")
    shop.ask("shop.set", status="busy")
    shop.ask("stock.set", sku="s1", left=3)
    listener.send("cmd/ping/c1", {})
    listener.send("cmd/nonsense/c2", {})
    listener.send("config/desired", {"version": 3, "settings": {"alert": {"repeat_s": 0}}})
    wait(
        lambda: {f"evt.{kind}" for kind in SAID} | {"reported"} <= listener.kinds(),
        f"all of it; {listener.kinds()}",
    )
    shop.stop()
    wait(lambda: listener.heard[-1][1].get("state") == "offline", "good-bye")
    asyncapi = json.loads((ROOT / "docs" / "asyncapi.json").read_text("utf-8"))
    messages = asyncapi["channels"]["event"]["messages"]
    for topic, said in listener.heard:
        name = schema_of(topic, said)
        jsonschema.validate(said, SCHEMAS[name])
        assert not unknown(said, SCHEMAS[name], SCHEMAS[name]), (topic, said)
        if name.startswith("evt."):
            within = {**messages[name[4:]]["payload"], "components": asyncapi["components"]}
            jsonschema.validate(said, within)


def unknown(said: Any, schema: dict[str, Any], root: dict[str, Any]) -> list[str]:
    """Fields that the schema does not know: allowed to others, but not to ourselves."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    parts = [_resolved(part, root) for part in schema.get("allOf", [schema])]
    known: dict[str, Any] = {}
    for part in parts:
        known |= part.get("properties", {})
    if not known or not isinstance(said, dict):
        return []
    found = [key for key in said if key not in known]
    for key in said.keys() & known.keys():
        if "$ref" in known[key]:
            found += unknown(said[key], known[key], root)
    return found


def _resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        found: dict[str, Any] = root["$defs"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


SPOILED: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
    ("evt.shop", lambda said: said | {"seq": "1"}),
    ("evt.shop", lambda said: said | {"body": {"status": "gone"}}),
    ("evt.shop", lambda said: {k: v for k, v in said.items() if k != "epoch"}),
]


@pytest.mark.parametrize(("name", "spoil"), SPOILED)
def test_a_schema_refuses_what_is_wrong(name: str, spoil: Callable[[dict[str, Any]], Any]) -> None:
    good = {"epoch": "e", "stream": "state", "seq": 1, "t": 1, "tq": "ntp",
            "body": {"status": "open"}}  # fmt: skip
    jsonschema.validate(good, SCHEMAS[name])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spoil(good), SCHEMAS[name])
