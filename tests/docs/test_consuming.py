"""The consumer on docs/consuming.md, run as it stands there, against devices that are killed."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import paho.mqtt.publish as paho
import pytest
from paho.mqtt.client import MQTTv5

from tests.support import Mosquitto, wait

ROOT = Path(__file__).parents[2]
DEVICE = "sh-1"
CONFIG = """
role = "shop"
[device]
id = "{device}"
[store]
path = "{folder}/agent.db"
[uplink]
url = "{url}"
retry_max_s = 0.5
[[printer]]
name = "kitchen"
uri = "simulated://"
"""


class Program:
    """A process that is started again after it was killed."""

    def __init__(self, *command: str | Path) -> None:
        self._command = [sys.executable, *map(str, command)]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, cwd=ROOT, stderr=subprocess.PIPE)

    def kill(self) -> bytes:
        """What it said on standard error."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        return self._process.communicate()[1]


class Stored:
    """What the consumer has in its database."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        if not self._path.exists():
            return []
        with closing(sqlite3.connect(self._path)) as db:
            try:
                return db.execute(sql).fetchall()
            except sqlite3.OperationalError:
                return []  # it is just being made

    def bodies(self, kind: str) -> list[dict[str, Any]]:
        sql = f"SELECT body FROM event WHERE kind = '{kind}' ORDER BY stream, seq"
        return [json.loads(body) for (body,) in self.rows(sql)]

    def printed(self) -> set[str]:
        return {body["order_id"] for body in self.bodies("print") if body["state"] == "printed"}


@pytest.fixture
def consumer_file(tmp_path: Path) -> Path:
    page = (ROOT / "docs" / "consuming.md").read_text("utf-8")
    found = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert found is not None
    path = tmp_path / "consumer.py"
    path.write_text(found[1], "utf-8")
    return path


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    return Stored(tmp_path / "events.db")


@pytest.fixture
def consumer(
    consumer_file: Path, broker: Mosquitto, tmp_path: Path, stored: Stored
) -> Iterator[Program]:
    program = Program(consumer_file, "127.0.0.1", str(broker.port), tmp_path / "events.db")
    yield program
    assert program.kill() == b""


@pytest.fixture
def agent(broker: Mosquitto, tmp_path: Path) -> Iterator[Program]:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(device=DEVICE, folder=tmp_path, url=broker.url))
    program = Program("-m", "agent", "run", "--config", config)
    yield program
    program.kill()


def send(broker: Mosquitto, topic: str, payload: object) -> None:
    paho.single(
        f"edge/v1/{DEVICE}/{topic}",
        json.dumps(payload),
        qos=1,
        port=broker.port,
        hostname="127.0.0.1",
        protocol=MQTTv5,
    )


def send_order(broker: Mosquitto, order_id: str) -> None:
    order = {
        "order_id": order_id,
        "version": 1,
        "status": "pending",
        "placed_at": 1795359600000,
        "items": [{"name": "宫保鸡丁", "qty": 2}],
    }
    send(broker, f"order/{order_id}", order)


def waiting(tmp_path: Path) -> int:
    """Critical events that the device has not seen acknowledged, on its disk."""
    with closing(sqlite3.connect(tmp_path / "agent.db")) as db:
        return int(db.execute("SELECT count(*) FROM critical").fetchone()[0])


def test_the_consumer_keeps_every_event_once_while_both_ends_are_killed(
    broker: Mosquitto, consumer: Program, agent: Program, stored: Stored, tmp_path: Path
) -> None:
    wait(lambda: stored.bodies("order"), "the reconcile event of the first connection")
    send_order(broker, "A1")
    wait(lambda: "A1" in stored.printed(), "A1 is printed and stored")
    consumer.kill()
    for n in range(30):  # enough for a batch
        send_order(broker, f"B{n}")
    agent.kill()
    agent.start()
    consumer.start()
    everything = {"A1", *(f"B{n}" for n in range(30))}
    wait(lambda: stored.printed() == everything, "all are printed and stored")
    wait(lambda: waiting(tmp_path) == 0, "the device was told so and has forgotten them")
    streams = stored.rows("SELECT epoch, stream, count(*), max(seq) FROM event GROUP BY 1, 2")
    critical = [row for row in streams if row[1] == "critical"]
    assert len({row[0] for row in streams}) == 1
    assert all(count == last for _, _, count, last in critical), streams


def test_a_command_is_answered_by_events(
    broker: Mosquitto, consumer: Program, agent: Program, stored: Stored
) -> None:
    wait(lambda: stored.bodies("order"), "the device is there")
    send(broker, "cmd/shop.set/c1", {"params": {"status": "busy"}})
    wait(lambda: len(stored.bodies("command")) == 2, "accepted and succeeded")
    assert [body["status"] for body in stored.bodies("command")] == ["accepted", "succeeded"]
    wait(lambda: stored.bodies("shop"), "what it changed")
    assert stored.bodies("shop")[0]["status"] == "busy"


def test_what_the_consumer_cannot_read_stops_nothing(
    consumer_file: Path, broker: Mosquitto, agent: Program, tmp_path: Path, stored: Stored
) -> None:
    program = Program(consumer_file, "127.0.0.1", str(broker.port), tmp_path / "events.db")
    wait(lambda: stored.bodies("order"), "the device is there")
    for bad in ([], {}, {"epoch": 1}, "text"):
        send(broker, "evt/order", bad)
        send(broker, "batch/critical", bad)
    send_order(broker, "A1")
    wait(lambda: "A1" in stored.printed(), "A1 is printed and stored")
    assert program.kill().count(b"not understood") == 8
