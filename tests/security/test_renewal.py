"""The next certificate: taken over while orders come, refused without harm, and from a new root."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from agent.contract.wire import NDJSON_ZLIB, decode_batch
from agent.fleet.ca import Authority
from agent.fleet.identity import Identity, hardware
from tests.security.broker import Client, SecureBroker, enrolled
from tests.security.conftest import Connect
from tests.security.processes import Process, Shop, command
from tests.support import wait

Renew = Callable[[], None]


class Watch:
    """What a back end hears of sh-1."""

    def __init__(self, client: Client) -> None:
        self.client = client
        client.subscribe("edge/v1/sh-1/#")
        self.states: list[str] = []
        self.received: list[str] = []
        self.actions: set[str] = set()
        self._count = 0

    def look(self) -> None:
        while not self.client.heard.empty():
            topic, payload = self.client.heard.get()
            if topic.endswith("/state"):
                self.states.append(json.loads(payload)["state"])
            elif "/evt/" in topic:
                self._event(json.loads(payload)["body"])
            elif "/batch/" in topic:
                for event in decode_batch(payload, NDJSON_ZLIB):
                    self._event(json.loads(bytes(event.body)))

    def _event(self, body: dict[str, Any]) -> None:
        if body.get("action") == "received":
            self.received.append(body["order_id"])
        else:
            self.actions.add(str(body.get("action")))

    def did(self, action: str) -> bool:
        self.look()
        return action in self.actions

    def order(self) -> str:
        self._count += 1
        order = {"order_id": f"o-{self._count}", "version": 1, "status": "pending",
                 "placed_at": 1, "items": [{"name": "a"}]}  # fmt: skip
        self.client.publish(f"edge/v1/sh-1/order/o-{self._count}", json.dumps(order).encode())
        return str(order["order_id"])

    def renew(self) -> None:
        self.client.publish(f"edge/v1/sh-1/cmd/identity.renew/c{time.monotonic_ns()}")


@pytest.fixture
def working(secure: SecureBroker, shop: Shop) -> Shop:
    """Enrolled and online."""
    enrolled(secure.authority, Identity(shop.identity), "sh-1", hardware())
    shop.start()
    shop.wait_online()
    return shop


def test_a_device_goes_over_to_its_next_certificate_and_loses_nothing(
    authority: Process, working: Shop, connect: Connect
) -> None:
    watch = Watch(connect("backend"))
    before, first = working.about(), (working.identity / "current" / "key.pem").read_bytes()
    sent = [watch.order() for _ in range(20)]
    watch.renew()
    deadline = time.monotonic() + 60
    while not watch.did("identity.renewed"):
        assert time.monotonic() < deadline, authority.words()
        sent.append(watch.order())
    sent += [watch.order() for _ in range(20)]
    wait(lambda: watch.look() or set(watch.received) == set(sent), "every order was received")
    assert set(watch.states) == {"online"}  # nobody was told that it was lost, or had gone
    after = working.about()
    assert after["serial"] != before["serial"]
    assert (working.identity / "current" / "key.pem").read_bytes() != first
    assert sorted(path.name for path in working.identity.iterdir()) == ["2", "current"]


def test_a_certificate_that_the_broker_refuses_is_dropped_and_the_old_one_goes_on(
    secure: SecureBroker, working: Shop, connect: Connect, tmp_path: Path
) -> None:
    """An authority that the broker does not know gave it, as after a mistake when roots change."""
    stranger = Authority.create(tmp_path / "stranger", "stranger", time.time())
    made = enrolled(stranger, Identity(tmp_path / "made"), "sh-1", hardware())
    shutil.copy(secure.ca, made.folder / "1" / "ca.pem")
    shutil.copytree(made.folder / "1", working.identity / "2")
    (working.identity / "next").symlink_to("2")
    before = working.about()
    secure.restart()  # the device comes back, finds the next one, and tries it
    wait(lambda: not (working.identity / "next").is_symlink(), "dropped")
    wait(working.online)
    assert working.about() == before
    assert not (working.identity / "2").exists()
    watch = Watch(connect("backend"))
    sent = [watch.order()]
    wait(lambda: watch.look() or watch.received == sent, "it works as before")


def test_a_root_is_changed_while_everybody_works(
    secure: SecureBroker, authority: Process, working: Shop, connect: Connect
) -> None:
    folder = ("--folder", secure.folder / "ca")
    assert command("ca", "roll", *folder).returncode == 0
    secure.restart()  # trusts both now
    behind = command("ca", "roll", "--switch", *folder)
    assert behind.returncode == 1
    assert "sh-1" in behind.stderr
    wait(working.online, "with the old root's certificate")
    wait(lambda: authority.words().count("answers at") >= 2, "so is the authority")
    watch = Watch(connect("backend"))
    watch.renew()
    wait(lambda: watch.did("identity.renewed"), f"it knows both roots; {authority.words()}")
    assert command("ca", "roll", "--switch", *folder).returncode == 0
    secure.serves_with("broker")  # of the new root's authority
    secure.restart()
    wait(working.online, "with the old root's certificate, at the new root's broker")
    watch = Watch(connect("backend"))
    watch.renew()
    wait(lambda: watch.did("identity.renewed"), f"of the new root; {authority.words()}")
    chain = (working.identity / "current" / "cert.pem").read_bytes()
    issuer = x509.load_pem_x509_certificates(chain)[0].issuer.rfc4514_string()
    assert issuer == "CN=test issuing 2"
    assert command("ca", "roll", "--finish", "--force", *folder).returncode == 0
    secure.restart()  # trusts the new one alone
    wait(working.online, "without the old root")
    assert secure.ca.read_text().count("BEGIN CERTIFICATE") == 1
