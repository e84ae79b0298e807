"""What the tests of identity share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.fleet.identity import Identity
from tests.security.broker import PASSWORD, Client, SecureBroker
from tests.security.processes import Process, Shop
from tests.support import wait

Connect = Callable[..., Client]


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[SecureBroker]:
    """An authority and the broker of config/broker."""
    folder = tmp_path / "secure"
    folder.mkdir()
    broker = SecureBroker(folder)
    yield broker
    broker.kill()


@pytest.fixture
def connect(secure: SecureBroker) -> Iterator[Connect]:
    """`connect(NAME)`: a program or, as `sh-...`, a device, with its own certificate."""
    clients = []
    known: dict[str, Identity] = {}

    def connected(name: str, client_id: str | None = None, **more: object) -> Client:
        if name not in known:
            make = secure.device if name.startswith("sh-") else secure.program
            known[name] = make(name)
        made = Client(secure.port, secure.ca, client_id or name, identity=known[name], **more)
        clients.append(made)
        return made

    yield connected
    for client in clients:
        client.close()


@pytest.fixture
def claim(secure: SecureBroker) -> Iterator[Connect]:
    """`claim()`: the account that may only enrol."""
    clients = []

    def connected(client_id: str = "enroll-1") -> Client:
        made = Client(secure.claim_port, secure.ca, client_id, password=("claim", PASSWORD))
        clients.append(made)
        return made

    yield connected
    for client in clients:
        client.close()


@pytest.fixture
def authority(secure: SecureBroker, tmp_path: Path) -> Iterator[Process]:
    """`edge-agent ca serve`."""
    serving = Process(tmp_path / "ca.log", "ca", "serve", "--folder", secure.folder / "ca")
    wait(lambda: "answers at" in serving.words(), "the authority serves")
    yield serving
    serving.kill()


@pytest.fixture
def shop(secure: SecureBroker, tmp_path: Path) -> Iterator[Shop]:
    """A device that nobody knows yet, with its configuration."""
    made = Shop(tmp_path / "shop", secure, "sh-1")
    yield made
    made.close()
