"""An authority, the broker of config/broker that trusts it, and clients of it; all on loopback."""

from __future__ import annotations

import queue
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from agent.contract.enrolment import EnrollAnswer
from agent.fleet import identity_work
from agent.fleet.ca import Authority
from agent.fleet.identity import Identity
from tests.support import Mosquitto, free_port, wait

SHIPPED = Path(__file__).parents[2] / "config" / "broker"
DENIED = 0x87  # PUBACK: not authorized
PASSWORD = "may only enrol"


class SecureBroker(Mosquitto):
    """mosquitto with the files that are shipped, on loopback and in a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.claim_port = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._config = folder / "mosquitto.conf"
        reload = f"kill -HUP $(cat {folder}/pid)"
        settings = {"url": self.url, "crl": str(folder / "crl.pem"), "reload": reload}
        self.authority = Authority.create(folder / "ca", "test", time.time(), **settings)
        self.serves_with("broker")
        shutil.copy(folder / "ca" / "trust.pem", folder / "ca.pem")
        self._write_config()
        self.start()

    @property
    def url(self) -> str:
        return f"mqtts://127.0.0.1:{self.port}"

    @property
    def claim_url(self) -> str:
        return f"mqtts://127.0.0.1:{self.claim_port}"

    @property
    def ca(self) -> Path:
        return self.folder / "ca" / "trust.pem"

    def serves_with(self, name: str) -> None:
        """From its next start or reload on, with a new certificate."""
        key, chain = self.authority.issue(name, time.time(), ["127.0.0.1", "localhost"])
        (self.folder / "broker.key").write_bytes(key)
        (self.folder / "broker.pem").write_text(chain)

    def restart(self) -> None:
        """Gently, so that what it holds for others stays."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait()
        shutil.copy(self.ca, self.folder / "ca.pem")
        self.start()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return super()._listens() and probe.connect_ex(("127.0.0.1", self.claim_port)) == 0

    def reload(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def program(self, name: str) -> Identity:
        """Files of a back-end program."""
        key, chain = self.authority.issue(name, time.time(), [])
        identity = Identity(self.folder / name)
        identity.begin()
        identity.write("key.pem", key)
        identity.write("cert.pem", chain.encode())
        identity.write("ca.pem", self.ca.read_bytes())
        identity.adopt(trial=False)
        return identity

    def device(self, name: str, *, hardware: str = "board-1", at: str | None = None) -> Identity:
        """Files of an enrolled device, without the network."""
        return enrolled(self.authority, Identity(self.folder / (at or name)), name, hardware)

    def _write_config(self) -> None:
        tool = shutil.which("mosquitto_passwd")
        if tool is None:
            pytest.skip("mosquitto is not installed")
        passwords = self.folder / "claim.passwd"
        subprocess.run([tool, "-b", "-c", passwords, "claim", PASSWORD], check=True)
        (self.folder / "claim.password").write_text(PASSWORD + "\n")
        text = (SHIPPED / "mosquitto.conf").read_text("utf-8")
        for here, there in (
            ("listener 8883", f"user root\nlistener {self.port} 127.0.0.1"),
            ("listener 8884", f"listener {self.claim_port} 127.0.0.1"),
            ("/etc/mosquitto/certs", str(self.folder)),
            ("/etc/mosquitto/edge.acl", str(SHIPPED / "mosquitto.acl")),
            ("/etc/mosquitto/claim.passwd", str(passwords)),
            ("/var/lib/mosquitto", str(self.folder)),
        ):
            assert here in text
            text = text.replace(here, there)
        self._config.write_text(f"pid_file {self.folder}/pid\n{text}")


def enrolled(
    authority: Authority, identity: Identity, device: str, hardware: str = "board-1"
) -> Identity:
    """As `edge-agent enroll` does it."""
    code = authority.code(device, hardware, time.time())
    request = identity_work.ask(identity, identity_work.Asked(device, hardware, code))
    answer: EnrollAnswer = authority.decide(device, request, time.time()).answer
    identity_work.take(identity, identity_work.Taken(device, request, answer, code))
    identity.adopt(trial=False)
    return identity


class Client:
    """A stranger's MQTT client with a device's certificate, or with a password."""

    def __init__(
        self,
        url_port: int,
        ca: Path,
        client_id: str,
        *,
        identity: Identity | None = None,
        password: tuple[str, str] | None = None,
        wait_for_it: bool = True,
    ) -> None:
        self.heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.connects: list[int] = []
        self.ends: list[int] = []
        self._acks: queue.Queue[int] = queue.Queue()
        self._subacks: queue.Queue[int] = queue.Queue()
        version = mqtt.CallbackAPIVersion.VERSION2
        self.mqtt = client = mqtt.Client(
            version, client_id, protocol=mqtt.MQTTv5, reconnect_on_failure=False
        )
        if identity is None:
            client.tls_set(ca)
        else:
            files = identity.files()
            client.tls_set(ca, files.cert, files.key)
        if password is not None:
            client.username_pw_set(*password)
        client.on_message = lambda _c, _u, message: self.heard.put((message.topic, message.payload))
        client.on_publish = lambda _c, _u, _m, reason, _p: self._acks.put(reason.value)
        client.on_subscribe = lambda _c, _u, _m, reasons, _p: self._subacks.put(reasons[0].value)
        client.on_connect = lambda _c, _u, _f, reason, _p: self.connects.append(reason.value)
        client.on_disconnect = lambda _c, _u, _f, reason, _p: self.ends.append(reason.value)
        client.connect("127.0.0.1", url_port)
        client.loop_start()
        if wait_for_it:
            wait(client.is_connected, f"{client_id} is connected")

    def publish(self, topic: str, payload: bytes = b"{}") -> int:
        """The reason code of the broker's acknowledgement."""
        self.mqtt.publish(topic, payload, qos=1)
        return self._acks.get(timeout=10)

    def denied(self) -> bool:
        """Whether what was published last was refused: by a word, or by the end of it all."""
        return bool(self.ends) or (not self._acks.empty() and self._acks.get() == DENIED)

    def subscribe(self, topic: str) -> int:
        self.mqtt.subscribe(topic, qos=1)
        return self._subacks.get(timeout=10)

    def topics(self) -> list[str]:
        """Of everything heard so far."""
        found = []
        while not self.heard.empty():
            found.append(self.heard.get()[0])
        return found

    def close(self) -> None:
        self.mqtt.disconnect()
        self.mqtt.loop_stop()
