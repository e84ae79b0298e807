"""The part of an identity that needs cryptography, for a process that ends at once.

    python -m agent.fleet.identity_work ask FOLDER      {"device", "hardware", "code"?} -> request
    python -m agent.fleet.identity_work take FOLDER     {"device", "request", "answer", "code"?}

JSON on standard input and output. `ask` makes a key in `new/` and says what to send; `take` checks
the answer and completes the generation. The daemon calls it so because the library costs 20 MB of
memory for some milliseconds of work every other week. Exit status 1 with a sentence on the standard
error is a refusal; the reason code stands before its colon.
"""

from __future__ import annotations

import itertools
import secrets
import sys
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.contract import enrolment
from agent.contract.enrolment import EnrollAnswer, EnrollRequest
from agent.contract.errors import Rejected
from agent.fleet.identity import ABOUT, CA, CERT, CURRENT, KEY, NEW, About, Identity
from drivers.base import DriverError

P256 = ec.SECP256R1()  # every TLS 1.3 stack has it (RFC 8446, section 9.1)
PrivateKey = ec.EllipticCurvePrivateKey


class Asked(msgspec.Struct, frozen=True):
    device: str
    hardware: str
    code: str | None = None  # none: the key in force proves it


class Taken(msgspec.Struct, frozen=True):
    device: str
    request: EnrollRequest
    answer: EnrollAnswer
    code: str | None = None


def ask(identity: Identity, asked: Asked) -> EnrollRequest:
    """A new key on the disk, and the request for its certificate."""
    key = ec.generate_private_key(P256)
    identity.begin()
    identity.write(
        KEY,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    request = EnrollRequest(
        id=secrets.token_hex(16),
        kind="enroll" if asked.code is not None else "renew",
        hardware=asked.hardware,
        csr=signing_request(key, asked.device),
        proof="",
    )
    text = enrolment.request_text(asked.device, request)
    if asked.code is not None:
        proof = enrolment.prove(enrolment.code_key(asked.code), text)
    else:
        proof = signature(load_key(identity.folder / CURRENT / KEY), text)
    return msgspec.structs.replace(request, proof=proof)


def take(identity: Identity, taken: Taken) -> About:
    """Check what the authority answered and complete the generation; raises Rejected."""
    answer, device = taken.answer, taken.device
    if answer.id != taken.request.id:
        raise Rejected("invalid", "the answer is to another request")
    if answer.code:
        raise Rejected(answer.code, answer.error or "the authority refused")
    if taken.code is not None:
        key = enrolment.code_key(taken.code)
        if not enrolment.proves(key, enrolment.answer_text(device, answer), answer.proof):
            raise Rejected("proof", "the answer is not from who gave out the code")
    about = _checked(identity, taken)
    identity.write(CERT, answer.chain.encode())
    identity.write(CA, answer.roots.encode())
    identity.write(ABOUT, msgspec.json.encode(about))
    return about


def _checked(identity: Identity, taken: Taken) -> About:
    try:
        chain = x509.load_pem_x509_certificates(taken.answer.chain.encode())
        roots = x509.load_pem_x509_certificates(taken.answer.roots.encode())
    except ValueError as error:
        raise Rejected("invalid", f"the answer holds no certificates: {error}") from None
    leaf = chain[0]
    if common_name(leaf.subject) != taken.device:
        raise Rejected("invalid", f"the certificate is for {common_name(leaf.subject)!r}")
    if leaf.public_key() != load_key(identity.folder / NEW / KEY).public_key():
        raise Rejected("invalid", "the certificate is for another key")
    if not leads_to(chain, roots):
        raise Rejected("invalid", "the certificates lead to none of the roots that came with them")
    return About(
        device=taken.device,
        serial=f"{leaf.serial_number:x}",
        hardware=taken.request.hardware,
        not_before=int(leaf.not_valid_before_utc.timestamp()),
        not_after=int(leaf.not_valid_after_utc.timestamp()),
    )


def signing_request(key: PrivateKey, name: str) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def load_key(path: Path) -> PrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, PrivateKey):
        raise DriverError(f"{path} is no elliptic-curve key")
    return key


def signature(key: PrivateKey, text: bytes) -> str:
    return key.sign(text, ec.ECDSA(hashes.SHA256())).hex()


def signed(key: object, text: bytes, proof: str) -> bool:
    """Whether the owner of this public key made the proof over the text."""
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    try:
        key.verify(bytes.fromhex(proof), text, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def leads_to(chain: list[x509.Certificate], roots: list[x509.Certificate]) -> bool:
    """Whether each certificate is signed by the next, and the last by a root. No dates: a device
    may not know the time yet, and each connection checks them."""
    try:
        for child, parent in itertools.pairwise(chain):
            child.verify_directly_issued_by(parent)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return any(_issued(chain[-1], root) for root in roots)


def _issued(child: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        child.verify_directly_issued_by(root)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def common_name(name: x509.Name) -> str:
    """Empty where it has none, or several."""
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if len(found) == 1 else ""


def main() -> int:
    what, folder = sys.argv[1:]
    identity = Identity(Path(folder))
    given = sys.stdin.buffer.read()
    made: object
    try:
        if what == "ask":
            made = ask(identity, msgspec.json.decode(given, type=Asked))
        else:
            made = take(identity, msgspec.json.decode(given, type=Taken))
    except Rejected as rejected:
        sys.stderr.write(f"{rejected.code}: {rejected}\n")
        return 1
    except (DriverError, OSError, ValueError) as error:
        sys.stderr.write(f"device: {error}\n")
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
