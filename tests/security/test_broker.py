"""config/broker: what a device and the account for enrolment can do, seen by what arrives.

A broker may grant a subscription and deliver nothing, or acknowledge a message and drop it; so
every verdict here is what a spy heard, up to a message that was sent last.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.security.broker import DENIED, PASSWORD, Client, SecureBroker
from tests.support import wait

Connect = Callable[..., Client]
UP = ["evt/order", "batch/critical", "state", "config/reported", "reply/c1", "enroll/request"]
DOWN = ["order/A1", "cmd/status/c1", "ack/critical", "config/desired", "enroll/answer"]


def spy_of(connect: Connect) -> Client:
    spy = connect("backend")
    assert spy.subscribe("edge/v1/#") == 1
    return spy


def until_marked(spy: Client, connect: Connect) -> list[str]:
    """The topics that the spy heard until now."""
    connect("sh-mark").publish("edge/v1/sh-mark/evt/order")
    found: list[str] = []
    wait(lambda: found.extend(spy.topics()) or "edge/v1/sh-mark/evt/order" in found, "the mark")
    return [topic for topic in found if "/sh-mark/" not in topic]


def test_a_device_speaks_for_itself_and_for_nobody_else(connect: Connect) -> None:
    spy, device = spy_of(connect), connect("sh-1")
    for topic in UP:
        assert device.publish(f"edge/v1/sh-2/{topic}") == DENIED
        assert device.publish(f"edge/v1/{topic}") == DENIED
        assert device.publish(f"edge/v1/sh-1/{topic}") == 0
    for topic in DOWN:
        assert device.publish(f"edge/v1/sh-1/{topic}") == DENIED
    assert until_marked(spy, connect) == [f"edge/v1/sh-1/{topic}" for topic in UP]


def test_a_device_hears_its_own_and_nothing_of_others(connect: Connect) -> None:
    backend, device, other = connect("backend"), connect("sh-1"), connect("sh-2")
    for topic in ("#", "edge/v1/#", "edge/v1/+/order/+", "edge/v1/sh-1/#", "edge/v1/+/cmd/#",
                  "edge/v1/+/state", "edge/v1/+/enroll/+", "$SYS/#"):  # fmt: skip
        other.subscribe(topic)
        device.subscribe(topic)
    for topic in DOWN:
        assert backend.publish(f"edge/v1/sh-1/{topic}") == 0
    device.publish("edge/v1/sh-1/evt/order")  # nor does anybody hear itself
    backend.publish("edge/v1/sh-1/order/last")
    backend.publish("edge/v1/sh-2/order/last")
    heard: list[str] = []
    wait(lambda: heard.extend(device.topics()) or "edge/v1/sh-1/order/last" in heard)
    assert set(heard) == {f"edge/v1/sh-1/{t}" for t in (*DOWN, "order/last")} | {
        topic for topic in heard if topic.startswith("$SYS/")
    }
    heard = []
    wait(lambda: heard.extend(other.topics()) or "edge/v1/sh-2/order/last" in heard)
    assert {topic for topic in heard if topic.startswith("edge/")} == {"edge/v1/sh-2/order/last"}


def test_a_client_id_is_the_name_in_the_certificate_whatever_it_says(connect: Connect) -> None:
    victim = connect("sh-1")
    connect("sh-2", client_id="sh-1")
    assert victim.subscribe("edge/v1/sh-1/order/+") == 1  # the connection is the old one
    assert victim.mqtt.is_connected()


def test_the_account_for_enrolment_can_only_ask(connect: Connect, claim: Connect) -> None:
    spy, asking = spy_of(connect), claim()
    for device in ("sh-1", "claim", "enroll-1", "ca", "backend"):
        for topic in [*UP, *DOWN]:
            asking.publish(f"edge/v1/{device}/{topic}")
    asking.publish("$CONTROL/dynamic-security/v1")
    heard = [
        topic for topic in until_marked(spy, connect) if not topic.startswith("edge/v1/claim/")
    ]
    assert heard == [f"edge/v1/{d}/enroll/request" for d in ("sh-1", "enroll-1", "ca", "backend")]


def test_the_account_for_enrolment_hears_answers_alone(connect: Connect, claim: Connect) -> None:
    backend, asking = connect("backend"), claim()
    for topic in ("#", "edge/v1/#", "edge/v1/+/order/#", "edge/v1/claim/#", "edge/v1/+/enroll/+"):
        asking.subscribe(topic)
    for device in ("sh-1", "claim"):
        for topic in [*UP, *DOWN]:
            backend.publish(f"edge/v1/{device}/{topic}")
    backend.publish("edge/v1/sh-9/enroll/answer")
    heard: list[str] = []
    wait(lambda: heard.extend(asking.topics()) or "edge/v1/sh-9/enroll/answer" in heard)
    assert set(heard) == {"edge/v1/sh-1/enroll/answer", "edge/v1/sh-9/enroll/answer"}


def test_the_account_for_enrolment_takes_over_nobody(connect: Connect, claim: Connect) -> None:
    victim = connect("sh-1")
    claim("sh-1")
    assert victim.subscribe("edge/v1/sh-1/order/+") == 1
    assert victim.mqtt.is_connected()


@pytest.mark.parametrize(
    "account", [None, ("claim", "guessed"), ("claim", ""), ("sh-1", PASSWORD), ("backend", "")]
)
def test_there_is_no_other_account_and_no_default_password(
    secure: SecureBroker, account: tuple[str, str] | None
) -> None:
    refused = Client(secure.claim_port, secure.ca, "x", password=account, wait_for_it=False)
    wait(lambda: refused.connects, "an answer")
    assert refused.connects[0] in (0x86, DENIED)
    refused.close()


def test_a_device_enrols_at_the_broker_where_it_cannot_do_anything_else(
    secure: SecureBroker,
) -> None:
    """Its password is worth nothing at the other listener."""
    with pytest.raises(ssl.SSLError, match="certificate required"):
        knock(secure.port, ssl.create_default_context(cafile=secure.ca))


def knock(port: int, context: ssl.SSLContext, timeout_s: float = 5.0) -> str | None:
    """The version of TLS; SSLError where there is none."""
    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        tls.settimeout(timeout_s)
        with contextlib.suppress(TimeoutError):  # it waits for us to speak
            tls.recv(1)
        return tls.version()


@pytest.mark.parametrize("port", ["port", "claim_port"])
def test_the_broker_speaks_nothing_older_than_tls_1_3(secure: SecureBroker, port: str) -> None:
    context = ssl.create_default_context(cafile=secure.ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match=r"PROTOCOL_VERSION|protocol version"):
        knock(getattr(secure, port), context)


def test_two_connections_share_no_key(secure: SecureBroker, tmp_path: Path) -> None:
    """By the log of keys that debuggers read (SSLKEYLOGFILE): TLS 1.3 makes new ones for each
    connection, so that one that is lost opens no other."""
    files = secure.device("sh-1").files()
    logs = []
    for number in (1, 2):
        context = ssl.create_default_context(cafile=secure.ca)
        context.keylog_filename = str(tmp_path / f"keys-{number}")
        context.load_cert_chain(files.cert, files.key)
        assert knock(secure.port, context, 0.05) == "TLSv1.3"
        lines = (tmp_path / f"keys-{number}").read_text().splitlines()
        logs.append({tuple(line.split()[::2]) for line in lines if not line.startswith("#")})
    names = {name for name, _ in logs[0]}
    assert {"CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"} <= names
    assert not {secret for _, secret in logs[0]} & {secret for _, secret in logs[1]}


CONFIG = """
role = "shop"
[device]
id = "sh-1"
[store]
path = "{store}/agent.db"
[uplink]
url = "{url}"
confirm = "broker"
[[printer]]
name = "kitchen"
uri = "simulated://"
"""


@contextmanager
def running_agent(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    agent = subprocess.Popen(
        [sys.executable, "-m", "agent", "run", "--config", config],
        cwd=Path(__file__).parents[2],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    try:
        yield agent
    finally:
        agent.kill()
        agent.wait()


def test_an_agent_works_with_it(connect: Connect, secure: SecureBroker, tmp_path: Path) -> None:
    backend = connect("backend")
    backend.subscribe("edge/v1/sh-1/#")
    store = tmp_path / "store"
    store.mkdir()
    secure.device("sh-1", at="../store/identity")
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(store=store, url=secure.url))
    with running_agent(config):
        heard: set[str] = set()
        born = {f"edge/v1/sh-1/{topic}" for topic in ("state", "config/reported", "evt/order")}
        wait(lambda: heard.update(backend.topics()) or born <= heard, "its birth")
