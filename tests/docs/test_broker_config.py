"""config/broker: mosquitto binds each device to its certificate, as the files say it does."""

from __future__ import annotations

import queue
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from tests.support import Mosquitto, wait

FOLDER = Path(__file__).parents[2] / "config" / "broker"
DENIED = 0x87  # PUBACK: not authorized
CONFIG = """
role = "shop"
[device]
id = "sh-1"
[store]
path = "{folder}/agent.db"
[uplink]
url = "mqtts://127.0.0.1:{port}"
confirm = "broker"
ca = "{certs}/ca.pem"
cert = "{certs}/sh-1.pem"
key = "{certs}/sh-1.key"
[[printer]]
name = "kitchen"
uri = "simulated://"
"""


def openssl(*command: str | Path) -> None:
    subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and certificates of the broker, the back end and two devices."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certs")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    ca, ca_key = folder / "ca.pem", folder / "ca.key"
    # Python 3.13 takes no authority without a key usage, no certificate without its authority's id.
    openssl("req", "-x509", *curve, "-keyout", ca_key, "-out", ca, "-subj", "/CN=test authority",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip
    names = folder / "names.ext"
    names.write_text("subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n")
    for name in ("broker", "backend", "sh-1", "sh-2"):
        request, key = folder / f"{name}.csr", folder / f"{name}.key"
        openssl("req", *curve[:-2], "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial",
                "-days", "2", "-extfile", names, "-out", folder / f"{name}.pem")  # fmt: skip
    return folder


@pytest.fixture
def bound(tmp_path: Path, certs: Path) -> Iterator[Mosquitto]:
    """The broker of config/broker, on loopback and with its files in a folder of the test."""
    folder = tmp_path / "bound"
    folder.mkdir()
    mosquitto = Mosquitto(folder)  # only for its free port and its process
    mosquitto.kill()
    text = (FOLDER / "mosquitto.conf").read_text("utf-8")
    for here, there in (
        ("listener 8883", f"user root\nlistener {mosquitto.port} 127.0.0.1"),
        ("/etc/mosquitto/certs", str(certs)),
        ("/etc/mosquitto/edge.acl", str(FOLDER / "mosquitto.acl")),
        ("/var/lib/mosquitto", str(folder)),
    ):
        assert here in text
        text = text.replace(here, there)
    (folder / "mosquitto.conf").write_text(text)
    mosquitto.start()
    yield mosquitto
    mosquitto.kill()


class Client:
    """Connected as the owner of a certificate."""

    def __init__(self, broker: Mosquitto, certs: Path, name: str, client_id: str) -> None:
        self.heard: queue.Queue[str] = queue.Queue()
        self._acks: queue.Queue[int] = queue.Queue()
        self._subacks: queue.Queue[int] = queue.Queue()
        version = mqtt.CallbackAPIVersion.VERSION2
        self.mqtt = client = mqtt.Client(version, client_id, protocol=mqtt.MQTTv5)
        client.tls_set(certs / "ca.pem", certs / f"{name}.pem", certs / f"{name}.key")
        client.on_message = lambda _c, _u, message: self.heard.put(message.topic)
        client.on_publish = lambda _c, _u, _m, reason, _p: self._acks.put(reason.value)
        client.on_subscribe = lambda _c, _u, _m, reasons, _p: self._subacks.put(reasons[0].value)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        wait(client.is_connected, f"{name} is connected")

    def publish(self, topic: str) -> int:
        """The reason code of the broker's acknowledgement."""
        self.mqtt.publish(topic, b"{}", qos=1)
        return self._acks.get(timeout=10)

    def subscribe(self, topic: str) -> int:
        self.mqtt.subscribe(topic, qos=1)
        return self._subacks.get(timeout=10)


Connect = Callable[..., Client]


@pytest.fixture
def connect(bound: Mosquitto, certs: Path) -> Iterator[Connect]:
    clients = []

    def connected(name: str, client_id: str | None = None) -> Client:
        clients.append(Client(bound, certs, name, client_id or name))
        return clients[-1]

    yield connected
    for client in clients:
        client.mqtt.disconnect()
        client.mqtt.loop_stop()


@contextmanager
def running_agent(config: Path) -> Iterator[None]:
    root = Path(__file__).parents[2]
    agent = subprocess.Popen(
        [sys.executable, "-m", "agent", "run", "--config", config],
        cwd=root,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        agent.kill()
        agent.wait()


@pytest.mark.parametrize(
    "topic", ["evt/order", "batch/critical", "state", "config/reported", "reply/c1"]
)
def test_a_device_speaks_for_itself_and_for_nobody_else(connect: Connect, topic: str) -> None:
    backend, device = connect("backend"), connect("sh-1")
    assert backend.subscribe("edge/v1/#") == 1
    assert device.publish(f"edge/v1/sh-2/{topic}") == DENIED
    assert device.publish(f"edge/v1/sh-1/{topic}") == 0
    assert backend.heard.get(timeout=10) == f"edge/v1/sh-1/{topic}"
    assert backend.heard.empty()


@pytest.mark.parametrize("topic", ["order/A1", "cmd/status/c1", "ack/critical", "config/desired"])
def test_a_device_hears_its_own_orders_and_sends_none(connect: Connect, topic: str) -> None:
    backend, device, other = connect("backend"), connect("sh-1"), connect("sh-2")
    for listener in (device, other):
        listener.subscribe("edge/v1/+/order/+")
        listener.subscribe("edge/v1/sh-1/#")
    assert other.publish(f"edge/v1/sh-1/{topic}") == DENIED
    assert device.publish(f"edge/v1/sh-1/{topic}") == DENIED
    assert backend.publish(f"edge/v1/sh-1/{topic}") == 0
    assert device.heard.get(timeout=10) == f"edge/v1/sh-1/{topic}"
    assert backend.publish("edge/v1/sh-2/order/own") == 0
    assert other.heard.get(timeout=10) == "edge/v1/sh-2/order/own"


def test_a_device_cannot_take_over_the_session_of_another(connect: Connect) -> None:
    victim = connect("sh-1")
    connect("sh-2", client_id="sh-1")
    assert victim.subscribe("edge/v1/sh-1/order/+") == 1  # the connection is the old one
    assert victim.mqtt.is_connected()


def test_nobody_connects_without_a_certificate(bound: Mosquitto, certs: Path) -> None:
    context = ssl.create_default_context(cafile=certs / "ca.pem")

    def knock() -> bytes:
        with (
            socket.create_connection(("127.0.0.1", bound.port), 10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
        ):
            return tls.recv(1)

    with pytest.raises(ssl.SSLError, match="certificate required"):
        knock()


def test_an_agent_works_with_it(
    connect: Connect, bound: Mosquitto, certs: Path, tmp_path: Path
) -> None:
    backend = connect("backend")
    backend.subscribe("edge/v1/sh-1/#")
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(folder=tmp_path, port=bound.port, certs=certs))
    with running_agent(config):
        heard = {backend.heard.get(timeout=30) for _ in range(3)}
    assert heard == {
        "edge/v1/sh-1/state",
        "edge/v1/sh-1/config/reported",
        "edge/v1/sh-1/evt/order",
    }
