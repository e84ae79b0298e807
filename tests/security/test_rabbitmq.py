"""config/broker/rabbitmq: a device reaches its own topics alone, and can be thrown out."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.fleet.ca import Authority
from agent.fleet.identity import Identity
from tests.agent.consumer.rabbit import SHIPPED, RabbitMq
from tests.security.broker import Client, enrolled
from tests.security.test_broker import DOWN, UP
from tests.support import free_port, wait

pytestmark = pytest.mark.system
Connect = Callable[..., Client]


class SecureRabbit(RabbitMq):
    """With devices.conf; the back end's client is a user with a certificate and every right."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        try:
            self._restart_with_tls(folder)
        except BaseException:
            self.close()
            raise

    def _restart_with_tls(self, folder: Path) -> None:
        self.tls_port = free_port()
        self.authority = Authority.create(folder / "ca", "test", time.time())
        self.ca = folder / "ca" / "trust.pem"
        key, chain = self.authority.issue("broker", time.time(), ["127.0.0.1"])
        (self.folder / "broker.key").write_bytes(key)
        (self.folder / "broker.pem").write_text(chain)
        shutil.copy(self.ca, self.folder / "ca.pem")
        for name in ("broker.key", "broker.pem", "ca.pem"):
            (self.folder / name).chmod(0o644)
        text = (SHIPPED / "devices.conf").read_text()
        text = text.replace("default = 8883", f"local = 127.0.0.1:{self.tls_port}")
        text = text.replace("/etc/rabbitmq/certs", str(self._inside))
        with (self.folder / "rabbitmq.conf").open("a") as config:
            config.write(text)
        time.sleep(3.0)  # what was declared in its first seconds may be lost with the node
        self.kill()
        self.start()
        self.ctl("add_user", "backend", "not used")
        self.ctl("set_permissions", "backend", ".*", ".*", ".*")

    def _listens(self) -> bool:
        if not super()._listens():
            return False
        if not hasattr(self, "tls_port"):
            return True
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.tls_port)) == 0

    def device(self, name: str, what: str) -> None:
        command = " ".join([*map(str, self._become), "/usr/lib/rabbitmq/bin/rabbitmqctl"])
        environment = {**self._environment, "RABBITMQCTL": command}
        subprocess.run([SHIPPED / "device", name, what], env=environment, check=True)


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureRabbit]:
    made = SecureRabbit(tmp_path_factory.mktemp("rabbit"))
    yield made
    made.close()


@pytest.fixture
def connect(rabbit: SecureRabbit, tmp_path: Path) -> Iterator[Connect]:
    clients = []

    def connected(name: str, client_id: str | None = None, **more: object) -> Client:
        identity = Identity(tmp_path / name)
        if not identity.enrolled:
            enrolled(rabbit.authority, identity, name)
        made = Client(rabbit.tls_port, rabbit.ca, client_id or name, identity=identity, **more)
        clients.append(made)
        return made

    yield connected
    for client in clients:
        client.close()


def test_devices_are_kept_apart_and_out(rabbit: SecureRabbit, connect: Connect) -> None:
    """One story, because the node takes its time to start."""
    for name in ("sh-1", "sh-2", "sh-mark"):
        rabbit.device(name, "add")
    backend = connect("backend")
    assert backend.subscribe("edge/v1/#") < 0x80
    mark = connect("sh-mark")

    device = connect("sh-1")
    for topic in UP:
        assert device.publish(f"edge/v1/sh-1/{topic}") < 0x80
    device.close()
    others = [f"edge/v1/sh-2/{topic}" for topic in UP]
    for topic in [*others, *(f"edge/v1/sh-1/{topic}" for topic in DOWN)]:
        device = connect("sh-1")  # each on a connection of its own, because a denial ends it
        device.mqtt.publish(topic, b"{}", qos=1)
        wait(lambda here=device: here.denied(), f"{topic} is denied")
        device.close()
    mark.publish("edge/v1/sh-mark/evt/order")
    heard: list[str] = []
    wait(lambda: heard.extend(backend.topics()) or "edge/v1/sh-mark/evt/order" in heard)
    assert [topic for topic in heard if "mark" not in topic] == [f"edge/v1/sh-1/{t}" for t in UP]

    for topic in ("#", "edge/v1/#", "edge/v1/+/order/+", "edge/v1/sh-1/#", "edge/v1/sh-1/order/+"):
        spy = connect("sh-2")
        assert spy.subscribe(topic) >= 0x80
        spy.close()
    own = connect("sh-1")
    for topic in ("ack/+", "order/#", "cmd/#", "config/desired", "enroll/answer"):
        assert own.subscribe(f"edge/v1/sh-1/{topic}") < 0x80
    for topic in DOWN:
        backend.publish(f"edge/v1/sh-1/{topic}")
    got: list[str] = []
    wait(lambda: got.extend(own.topics()) or len(got) >= len(DOWN), f"{got}")
    assert set(got) == {f"edge/v1/sh-1/{topic}" for topic in DOWN}

    refused = connect("sh-2", client_id="sh-1", wait_for_it=False)
    wait(lambda: refused.connects or refused.ends, "an answer")
    assert not refused.mqtt.is_connected()
    assert own.mqtt.is_connected()

    began = time.monotonic()
    rabbit.device("sh-1", "remove")
    wait(lambda: own.ends, "thrown out")
    print(f"out after {time.monotonic() - began:.1f} s")
    again = connect("sh-1", wait_for_it=False)
    wait(lambda: again.connects or again.ends, "an answer")
    assert not again.mqtt.is_connected()
    assert mark.mqtt.is_connected()
    assert os.access(SHIPPED / "device", os.X_OK)
