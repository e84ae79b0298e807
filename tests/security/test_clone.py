"""A card that was copied: two agents with one identity, and what everybody gets to know."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from agent.fleet.identity import Identity, hardware
from tests.security.broker import SecureBroker, enrolled
from tests.security.conftest import Connect
from tests.security.processes import Shop
from tests.support import wait


def test_a_copied_identity_is_noticed_told_and_does_not_storm(
    secure: SecureBroker, shop: Shop, connect: Connect, tmp_path: Path
) -> None:
    backend = connect("backend")
    backend.subscribe("edge/v1/sh-1/#")
    enrolled(secure.authority, Identity(shop.identity), "sh-1", hardware())
    copy = Shop(tmp_path / "copy", secure, "sh-1")
    shutil.copytree(shop.identity, copy.identity, symlinks=True)
    births, audits = [0], [0]

    def told() -> bool:
        while not backend.heard.empty():
            topic, payload = backend.heard.get()
            if topic.endswith("/state"):
                births[0] += json.loads(payload)["state"] == "online"
            elif b"identity.twin" in payload:
                audits[0] += 1
        return audits[0] >= 1

    try:
        first, second = shop.start(), copy.start()
        wait(lambda: "identity.twin" in shop.health() and "identity.twin" in copy.health(),
             f"both say it; {first.words()} {second.words()}", 60)  # fmt: skip
        wait(told, "the back end was told", 60)
    finally:
        copy.close()
    assert births[0] < 40
    wait(shop.online, "alone again, it works", 60)
