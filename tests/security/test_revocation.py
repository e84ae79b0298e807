"""A certificate that is taken back: who has it is out, also who was connected."""

from __future__ import annotations

import time

import pytest

from agent.fleet.identity import Identity, hardware
from tests.security.broker import Client, SecureBroker, enrolled
from tests.security.conftest import Connect
from tests.security.processes import Process, Shop, command
from tests.support import wait


def test_a_revoked_device_is_thrown_out_and_stays_out(
    secure: SecureBroker, shop: Shop, connect: Connect
) -> None:
    enrolled(secure.authority, Identity(shop.identity), "sh-1", hardware())
    other = connect("sh-2")
    running = shop.start()
    shop.wait_online()
    backend = connect("backend")
    backend.subscribe("edge/v1/sh-1/state")
    began = time.monotonic()
    done = command("ca", "revoke", "sh-1", "--folder", secure.folder / "ca")
    assert done.returncode == 0, done.stderr
    wait(lambda: not shop.online(), "it is out", 30)
    print(f"out after {time.monotonic() - began:.1f} s")
    wait(lambda: "does not accept this device's certificate" in shop.trouble(), running.words())
    assert other.publish("edge/v1/sh-2/evt/order") < 0x80  # everybody else works
    listed = command("ca", "list", "--folder", secure.folder / "ca").stdout
    assert "revoked" in next(line for line in listed.splitlines() if line.startswith("sh-1"))


def test_what_waited_for_a_revoked_device_is_not_given_to_anybody(
    secure: SecureBroker, connect: Connect
) -> None:
    """The session at the broker goes with it, so a later device of that name gets no old orders."""
    gone = connect("sh-1")
    gone.subscribe("edge/v1/sh-1/order/+")
    done = command("ca", "revoke", "sh-1", "--folder", secure.folder / "ca")
    assert done.returncode == 0, done.stderr
    wait(lambda: gone.ends, "it is out")
    backend = connect("backend")
    backend.publish("edge/v1/sh-1/order/A1")
    identity = secure.device("sh-1", at="anew")
    anew = Client(secure.port, secure.ca, "sh-1", identity=identity)
    backend.publish("edge/v1/sh-1/order/A2")
    anew.subscribe("edge/v1/sh-1/order/+")
    backend.publish("edge/v1/sh-1/order/A3")
    assert anew.heard.get(timeout=10)[0] == "edge/v1/sh-1/order/A3"
    anew.close()


def test_a_board_that_is_replaced_throws_its_forerunner_out(
    secure: SecureBroker, authority: Process, shop: Shop, connect: Connect
) -> None:
    stolen = connect("sh-1")
    code = secure.authority.code("sh-1", hardware(), time.time())
    done = shop.enroll(code)
    assert done.returncode == 0, f"{done.stderr} {authority.words()}"
    wait(lambda: stolen.ends, "the stolen one is out")
    with pytest.raises(OSError, match=r"revoked|REVOKED|unknown|alert|EOF|reset"):
        again(secure, stolen)
    shop.start()
    shop.wait_online()


def again(secure: SecureBroker, old: Client) -> None:
    """As the stolen board would come back."""
    old.mqtt.loop_stop()
    old.mqtt.reconnect()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if old.mqtt.loop(0.1):
            raise OSError(f"reset: {old.ends}")
    raise AssertionError(f"it stays connected to {secure.url}")
