"""Nothing secret is in what is published: no key, no password, no account that works anywhere."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.security.broker import SHIPPED

ROOT = Path(__file__).parents[2]
SECRETS = {
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{16}"),
    "a cloud key": re.compile(rb"\b(AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a token": re.compile(rb"\b(ghp|gho|github_pat|glpat|xox[bap])[_-][0-9A-Za-z_-]{20,}"),
    "a signed token": re.compile(rb"\beyJ[\w-]{16,}\.eyJ[\w-]{16,}\.[\w-]{16,}"),
    "a password file": re.compile(rb"^[a-z]+:\$[67]\$(\d+\$)?[0-9A-Za-z+/=]{8,}\$", re.MULTILINE),
}  # fmt: skip


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("not a checkout")
    return [ROOT / name for name in done.stdout.decode().split("\0") if name]


def test_the_repository_holds_no_secret() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {what}"
        for path in tracked()
        if path.is_file() and path.stat().st_size < 4_000_000
        for what, pattern in SECRETS.items()
        if pattern.search(path.read_bytes())
    ]
    assert found == []


@pytest.mark.parametrize("what", SECRETS)
def test_a_secret_would_be_found(what: str) -> None:
    """Put together here, so that this file holds none."""
    made = {
        "a private key": b"-----BEGIN EC " + b"PRIVATE KEY-----\n" + b"A" * 20,
        "a cloud key": b"AKIA" + b"A" * 16,
        "a token": b"ghp_" + b"a" * 30,
        "a signed token": b"eyJ" + b"a" * 20 + b".eyJ" + b"a" * 20 + b"." + b"a" * 20,
        "a password file": b"claim:" + b"$7$101$" + b"abcdefgh$",
    }
    assert SECRETS[what].search(made[what])


def test_no_setting_has_a_secret_as_its_default_or_takes_one_in_the_file() -> None:
    """Passwords are named by their file; what is a secret by its name has no default."""
    schema = json.loads((ROOT / "config" / "edge.schema.json").read_text("utf-8"))
    for section in schema["$defs"].values():
        for name, setting in section.get("properties", {}).items():
            if re.search(r"password|secret|token|pin\b", name):
                assert name.endswith("_file"), name
                assert setting.get("default") is None, name


def test_the_shipped_broker_ships_no_account() -> None:
    text = "".join(path.read_text("utf-8") for path in SHIPPED.rglob("*") if path.is_file())
    assert not re.search(r"allow_anonymous\s*=?\s*true", text)
    definitions = json.loads((SHIPPED / "rabbitmq" / "definitions.json").read_text("utf-8"))
    assert "users" not in definitions


def test_a_weakness_can_be_told_and_the_page_for_it_leads_on() -> None:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    assert "security.txt" in text
    assert re.search(r"within \d+ working days", text)
    for link in re.findall(r"\]\(([\w./-]+)\)", text):
        assert (ROOT / link).exists(), link
