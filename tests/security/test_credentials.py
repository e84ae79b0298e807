"""A key that somebody else keeps, as systemd's credentials: read-only files named by variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.fleet.identity import hardware
from tests.security.broker import SecureBroker
from tests.security.processes import Shop


def test_a_key_in_a_credential_is_used_and_left_alone(
    secure: SecureBroker, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = secure.device("sh-1", hardware=hardware()).files()
    given = tmp_path / "credentials"
    given.mkdir()
    for name, file in files._asdict().items():
        (given / name).write_bytes(file.read_bytes())
        (given / name).chmod(0o400)
        monkeypatch.setenv(f"EDGE_AGENT_UPLINK__{name.upper()}", str(given / name))
    given.chmod(0o500)
    shop.start()
    shop.wait_online()
    assert not shop.identity.exists()
    given.chmod(0o700)
