"""From a new board to its certificate: `edge-agent ca` and `edge-agent enroll` as processes."""

from __future__ import annotations

import asyncio
import re
import stat
import time
from pathlib import Path

import pytest
from cryptography import x509
from msgspec.structs import replace

from agent.contract import enrolment
from agent.contract.enrolment import EnrollAnswer
from agent.contract.errors import Rejected
from agent.core.clock import SystemClock
from agent.fleet import identity_work
from agent.fleet.ca import Authority
from agent.fleet.identity import Identity, hardware
from agent.fleet.identity_client import claim, exchange
from agent.fleet.identity_ticket import qr_text, scanned
from tests.security.broker import PASSWORD, SecureBroker
from tests.security.conftest import Connect
from tests.security.processes import Process, Shop, command
from tests.support import wait


def code_for(secure: SecureBroker, device: str, serial: str | None = None) -> str:
    """As a person reads it off the screen of the authority."""
    words = ("ca", "code", device, "--serial", serial or hardware())
    done = command(*words, "--folder", secure.folder / "ca")
    found = re.match(r"[0-9A-Z]{5}-[0-9A-Z]{5}", done.stdout)
    assert found, done.stderr
    return found[0]


def test_a_new_device_works_after_one_code_and_without_a_restart(
    secure: SecureBroker, authority: Process, shop: Shop, connect: Connect
) -> None:
    backend = connect("backend")
    backend.subscribe("edge/v1/sh-1/#")
    running = shop.start()
    wait(lambda: "certificate" in str(shop.status().get("link", {}).get("trouble")),
         f"it is refused without one; {running.words()}")  # fmt: skip
    code = code_for(secure, "sh-1")
    done = shop.enroll(code.lower().replace("-", " "))  # however it is typed
    assert done.returncode == 0, f"{done.stderr} {authority.words()}"
    shop.wait_online()
    wait(lambda: "edge/v1/sh-1/state" in backend.topics(), "its birth")
    key = shop.identity / "current" / "key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(shop.identity.stat().st_mode) == 0o700
    assert b"PRIVATE" not in b"".join(
        path.read_bytes() for path in (secure.folder / "ca").iterdir()
        if path.is_file() and path.name != "client.key"
    )  # fmt: skip
    chain = x509.load_pem_x509_certificates((shop.identity / "current" / "cert.pem").read_bytes())
    assert len(chain) == 2  # itself, and who issued it
    life = chain[0].not_valid_after_utc - chain[0].not_valid_before_utc
    assert 29 < life.total_seconds() / 86400 < 31
    again = shop.enroll(code)
    assert again.returncode == 1
    assert "no code for sh-1" in again.stderr
    assert shop.about()  # what it had is as it was
    assert authority.stop() == 0


@pytest.mark.parametrize(
    ("code", "serial", "says"),
    [("00000-00000", None, "no code for sh-1"), (None, "another-board", "for another machine")],
)
def test_a_wrong_code_or_another_board_gets_nothing(
    secure: SecureBroker, authority: Process, shop: Shop, code: str | None, serial: str | None,
    says: str,
) -> None:  # fmt: skip
    given = code_for(secure, "sh-1", serial)
    done = shop.enroll(code or given)
    assert done.returncode == 1
    assert says in done.stderr
    assert not shop.about()
    assert shop.enroll("no code").returncode == 2
    assert shop.enroll().returncode == 2  # never enrolled, so nothing proves it


def test_a_strangers_answer_is_not_taken(tmp_path: Path) -> None:
    """Who can publish answers and does not know the code makes no device trust him."""
    evil = Authority.create(tmp_path / "evil", "evil", time.time())
    device, code = Identity(tmp_path / "identity"), enrolment.new_code()
    request = identity_work.ask(device, identity_work.Asked("sh-1", "board-1", code))
    his = evil.code("sh-1", "board-1", time.time())
    text = enrolment.request_text("sh-1", request)
    forged = replace(request, proof=enrolment.prove(enrolment.code_key(his), text))
    answer = evil.decide("sh-1", forged, time.time()).answer
    taken = identity_work.Taken("sh-1", request, answer, code)
    with pytest.raises(Rejected, match="not from who gave out the code"):
        identity_work.take(device, taken)
    assert not device.enrolled


def test_two_devices_that_enrol_in_the_same_second_take_turns(
    secure: SecureBroker, authority: Process, tmp_path: Path
) -> None:
    """Their account is one client for the broker, so each ends the other's connection."""
    requests = {}
    for device in ("sh-1", "sh-2", "sh-3"):
        code = secure.authority.code(device, "board", time.time())
        asked = identity_work.Asked(device, "board", code)
        requests[device] = identity_work.ask(Identity(tmp_path / device), asked)

    async def all_at_once() -> list[EnrollAnswer]:
        return await asyncio.gather(
            *(
                exchange(claim(secure.claim_url, device, secure.ca, "claim", PASSWORD),
                         SystemClock(), device, request)
                for device, request in requests.items()
            )
        )  # fmt: skip

    answers = asyncio.run(all_at_once())
    assert all(answer.chain for answer in answers), authority.words()


def test_what_a_scanner_types_is_understood(secure: SecureBroker) -> None:
    text = qr_text("sh-1", "10000000abcdef01")
    done = command("ca", "code", text, "--folder", secure.folder / "ca")
    assert re.match(r"[0-9A-Z]{5}-[0-9A-Z]{5} ", done.stdout), done.stderr
    assert scanned(text) == ("sh-1", "10000000abcdef01")
    assert scanned("edge-enroll:1?device=a&device=b&serial=c") is None
    assert scanned("https://example.org/") is None
    assert command("ca", "code", "sh-1", "--folder", secure.folder / "ca").returncode == 2


def test_the_ticket_shows_what_the_authority_must_know(
    secure: SecureBroker, tmp_path: Path
) -> None:
    paper = tmp_path / "paper"
    paper.touch()
    shop = Shop(tmp_path / "printing", secure, "sh-1", f"file://{paper}")
    done = shop.enroll("--ticket", "kitchen")
    assert done.returncode == 0, done.stderr
    printed = paper.read_bytes()
    assert b"ENROLMENT" in printed
    assert hardware().encode() in printed
    assert b"edge-enroll:1?device=sh-1&serial=" + hardware().encode() in printed
    assert shop.enroll("--serial").stdout.strip() == hardware()
