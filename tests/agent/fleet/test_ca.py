"""The authority's rules: who gets a certificate, and who does not any more."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.contract import enrolment
from agent.contract.enrolment import EnrollRequest
from agent.contract.errors import Rejected
from agent.fleet import ca_certs, identity_work
from agent.fleet.ca import CODE_S, GRACE_S, Authority
from agent.fleet.identity import Identity
from agent.fleet.identity_work import Asked, Taken, leads_to

NOW = 1_800_000_000.0
DAY = 86400
BOARD = "10000000abcdef01"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "ca", "test", NOW)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One that no test changes."""
    return Authority.create(tmp_path_factory.mktemp("shared") / "ca", "test", NOW)


@pytest.fixture
def device(tmp_path: Path) -> Identity:
    return Identity(tmp_path / "identity")


def first(authority: Authority, device: Identity, now: float = NOW) -> EnrollRequest:
    """A request for the first certificate, with a code that is good."""
    code = authority.code("sh-1", BOARD, now)
    return identity_work.ask(device, Asked("sh-1", BOARD, code))


def enroll(authority: Authority, device: Identity, now: float = NOW) -> None:
    code = authority.code("sh-1", BOARD, now)
    request = identity_work.ask(device, Asked("sh-1", BOARD, code))
    answer = authority.decide("sh-1", request, now).answer
    identity_work.take(device, Taken("sh-1", request, answer, code))
    device.adopt(trial=False)


def refused(authority: Authority, request: EnrollRequest, now: float, name: str = "sh-1") -> str:
    with pytest.raises(Rejected) as caught:
        authority.decide(name, request, now)
    return caught.value.code


def test_a_code_is_good_once_for_one_device_on_one_board_for_ten_minutes(
    authority: Authority, device: Identity
) -> None:
    request = first(authority, device)
    assert refused(authority, request, NOW, "sh-2") in ("code", "invalid")
    assert refused(authority, replace(request, hardware="other"), NOW) == "code"
    assert refused(authority, request, NOW + CODE_S + 1) == "code"
    request = first(authority, device)
    assert authority.decide("sh-1", request, NOW + CODE_S - 1).answer.chain
    anew = replace(request, id="0" * 32)
    assert refused(authority, anew, NOW + 1) == "code"


def test_a_code_for_another_board_is_not_used_up(authority: Authority, device: Identity) -> None:
    code = authority.code("sh-1", "the right board", NOW)
    wrong = identity_work.ask(device, Asked("sh-1", BOARD, code))
    assert refused(authority, wrong, NOW) == "serial"
    right = identity_work.ask(device, Asked("sh-1", "the right board", code))
    assert authority.decide("sh-1", right, NOW).answer.chain


def test_a_request_that_comes_again_gets_the_same_answer(
    authority: Authority, device: Identity
) -> None:
    """The broker may deliver it twice, and an answer may be lost."""
    request = first(authority, device)
    answer = authority.decide("sh-1", request, NOW).answer
    assert authority.decide("sh-1", request, NOW + 60).answer == answer
    assert len(authority.owners()) == 1


@pytest.mark.parametrize("change", ["csr", "id", "hardware", "kind"])
def test_a_request_that_was_changed_on_its_way_proves_nothing(
    authority: Authority, device: Identity, change: str, tmp_path: Path
) -> None:
    request = first(authority, device)
    other = identity_work.ask(Identity(tmp_path / "x"), Asked("sh-1", BOARD, "00000-00000"))
    with_ = {"csr": other.csr, "id": "0" * 32, "hardware": "x", "kind": "renew"}[change]
    assert refused(authority, replace(request, **{change: with_}), NOW) in ("code", "key", "serial")


def test_the_code_never_travels(authority: Authority, device: Identity) -> None:
    code = authority.code("sh-1", BOARD, NOW)
    request = identity_work.ask(device, Asked("sh-1", BOARD, code))
    said = str(request) + str(authority.decide("sh-1", request, NOW))
    assert code not in said
    assert enrolment.normal(code) not in said


def test_the_next_certificate_is_for_who_has_the_key_of_the_last(
    authority: Authority, device: Identity, tmp_path: Path
) -> None:
    enroll(authority, device)
    thief = Identity(tmp_path / "thief")
    enroll(Authority.create(tmp_path / "other", "other", NOW), thief)
    forged = identity_work.ask(thief, Asked("sh-1", BOARD))
    assert refused(authority, forged, NOW) == "key"
    request = identity_work.ask(device, Asked("sh-1", BOARD))
    assert authority.decide("sh-1", request, NOW + 15 * DAY).answer.chain


def test_a_shop_that_was_closed_for_weeks_renews_what_has_ended(
    authority: Authority, device: Identity
) -> None:
    enroll(authority, device)
    request = identity_work.ask(device, Asked("sh-1", BOARD))
    assert refused(authority, request, NOW + 31 * DAY + GRACE_S) == "expired"
    assert authority.decide("sh-1", request, NOW + 29 * DAY + GRACE_S).answer.chain


def test_who_was_revoked_gets_nothing_more_and_stands_in_the_list(
    authority: Authority, device: Identity
) -> None:
    enroll(authority, device)
    assert authority.revoke("sh-1", NOW + 1, "stolen") == 1
    request = identity_work.ask(device, Asked("sh-1", BOARD))
    assert refused(authority, request, NOW + 2) == "revoked"
    listed = x509.load_pem_x509_crl((authority.folder / "crl.pem").read_bytes())
    about = device.about()
    assert about is not None
    assert listed.get_revoked_certificate_by_serial_number(int(about.serial, 16))
    assert listed.next_update_utc is not None
    assert listed.next_update_utc.timestamp() > NOW + 300 * DAY  # a broker closes when it ends
    assert authority.owners()[0].reason == "stolen"


def test_a_code_that_is_used_ends_what_the_device_had(
    authority: Authority, device: Identity, tmp_path: Path
) -> None:
    enroll(authority, device)
    decision = authority.decide("sh-1", first(authority, Identity(tmp_path / "new")), NOW + 5)
    assert decision.revoked
    request = identity_work.ask(device, Asked("sh-1", BOARD))
    assert refused(authority, request, NOW + 6) == "revoked"


def test_a_card_that_moved_to_another_board_is_told(authority: Authority, device: Identity) -> None:
    enroll(authority, device)
    moved = identity_work.ask(device, Asked("sh-1", "new board"))
    assert authority.decide("sh-1", moved, NOW + 1).moved
    assert authority.owners()[0].hardware == "new board"


@pytest.mark.parametrize("device_id", ["a/b", "+", "#", "a.b", "", "x" * 65, "-a", "a b"])
def test_no_code_for_what_is_no_device_id(authority: Authority, device_id: str) -> None:
    """A name with a wildcard in it would match others' topics."""
    with pytest.raises(Rejected, match="device id"):
        authority.code(device_id, BOARD, NOW)


def test_a_device_is_not_called_as_a_program(authority: Authority, device: Identity) -> None:
    """It would have its rights at the broker."""
    authority.issue("reports", NOW, [])
    enroll(authority, device)
    for name in ("backend", "ca", "claim", "reports"):
        with pytest.raises(Rejected, match="is the name of"):
            authority.code(name, BOARD, NOW)
    with pytest.raises(Rejected, match="is the name of another"):
        authority.issue("sh-1", NOW, [])
    authority.issue("backend", NOW, [])
    authority.issue("backend", NOW, [])  # the next year's


@given(st.text(max_size=200), st.text(max_size=200))
@settings(max_examples=60, deadline=None)
def test_what_is_no_request_is_refused(shared: Authority, csr: str, proof: str) -> None:
    request = EnrollRequest(id="0" * 32, kind="renew", hardware="x", csr=csr, proof=proof)
    assert refused(shared, request, NOW) == "invalid"


def test_a_key_that_is_not_p_256_is_refused(authority: Authority, device: Identity) -> None:
    request = first(authority, device)
    weak = identity_work.signing_request(ec.generate_private_key(ec.SECP192R1()), "sh-1")
    assert refused(authority, replace(request, csr=weak), NOW) == "invalid"


def test_roots_change_in_three_steps(authority: Authority, device: Identity) -> None:
    enroll(authority, device)
    with pytest.raises(Rejected, match="no new root"):
        authority.switch(NOW)
    assert authority.roll(NOW) == 2
    with pytest.raises(Rejected, match="under way"):
        authority.roll(NOW)
    assert authority.behind(NOW) == ["sh-1"]
    renew(authority, device, NOW + 1)
    assert authority.behind(NOW) == []
    assert trusted(device) == 2
    authority.switch(NOW)
    assert authority.remaining(NOW) == ["sh-1"]
    renew(authority, device, NOW + 2)
    assert authority.remaining(NOW) == []
    authority.finish(NOW)
    renew(authority, device, NOW + 3)
    assert trusted(device) == 1
    assert not (authority.folder / "1" / "root.key").exists()


def renew(authority: Authority, device: Identity, now: float) -> None:
    request = identity_work.ask(device, Asked("sh-1", BOARD))
    answer = authority.decide("sh-1", request, now).answer
    identity_work.take(device, Taken("sh-1", request, answer))
    device.adopt(trial=True)
    device.promote()


def trusted(device: Identity) -> int:
    ca = device.files().ca
    assert ca is not None
    return len(x509.load_pem_x509_certificates(ca.read_bytes()))


def test_only_a_server_may_act_as_one(authority: Authority, device: Identity) -> None:
    """Else a stolen device could play the broker for the others."""
    enroll(authority, device)
    _, chain = authority.issue("broker", NOW, ["broker.example"])
    leafs = [x509.load_pem_x509_certificates(pem)[0]
             for pem in (device.files().cert.read_bytes(), chain.encode())]  # type: ignore[union-attr]  # fmt: skip
    uses = [leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value for leaf in leafs]
    assert [ca_certs.ExtendedKeyUsageOID.SERVER_AUTH in use for use in uses] == [False, True]


def test_keys_are_for_their_owner_alone(authority: Authority) -> None:
    authority.issue("backend", NOW, [])
    secret = [path for path in authority.folder.rglob("*") if path.suffix in (".key", ".db")]
    assert len(secret) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}


def test_a_chain_of_another_root_leads_nowhere(authority: Authority, tmp_path: Path) -> None:
    other = Authority.create(tmp_path / "other", "test", NOW)  # even of the same name
    _, chain = authority.issue("x", NOW, [])
    made = x509.load_pem_x509_certificates(chain.encode())
    roots = x509.load_pem_x509_certificates((other.folder / "trust.pem").read_bytes())
    own = x509.load_pem_x509_certificates((authority.folder / "trust.pem").read_bytes())
    assert leads_to(made, own)
    assert not leads_to(made, roots)
    assert not leads_to(made[:1], own)


@given(st.text(alphabet="0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=10, max_size=10))
def test_a_code_is_understood_however_it_is_typed(code: str) -> None:
    typed = f" {code[:5].lower()}-{code[5:]}".replace("0", "o").replace("1", "l")
    assert enrolment.normal(typed) == code


@given(st.text(max_size=30))
def test_what_is_no_code_is_said(text: str) -> None:
    try:
        letters = enrolment.normal(text)
    except ValueError:
        return
    assert len(letters) == enrolment.CODE_CHARS
