"""How a device gets its certificate: what it asks, what the authority answers, what proves both.

A request for the first certificate is proved by the one-time code, one for the next by the key of
the certificate that is in force; the authority's answer to a code is proved by the same code. The
code itself never travels. Nothing here needs a cryptographic library.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MAX_BYTES = 32 * 1024
KEEP_S = 600  # of an answer that waits at the broker
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: nothing to be misread
CODE_CHARS = 10  # 50 bits: at 10^10 guesses a second they last for 15 hours, the code 10 minutes
_MISREAD = str.maketrans("OIL", "011")

Pem = Annotated[str, Meta(max_length=16384)]


class EnrollRequest(msgspec.Struct, frozen=True):
    """`proof`: hex, over `request_text()`; HMAC-SHA256 by the code, or a signature (ECDSA,
    P-256, SHA-256) by the key of the certificate in force."""

    id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]  # the answer has the same; one id, one key
    kind: Literal["enroll", "renew"]
    hardware: Annotated[str, Meta(min_length=1, max_length=64)]  # serial number of the machine
    csr: Pem  # PKCS #10, the device's id as its common name
    proof: Annotated[str, Meta(max_length=1024)]


class EnrollAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Either `chain` and `roots`, or `code` and `error`."""

    id: str
    chain: Pem = ""  # the device's certificate, then those up to the root
    roots: Pem = ""  # what to trust from now on; two while the authority changes
    proof: str = ""  # hex, HMAC-SHA256 by the code over `answer_text()`; none for a renewal
    code: str = ""  # code serial key revoked invalid
    error: str = ""


def new_code() -> str:
    """`K7Q2M-9XW4T`"""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARS))
    return f"{letters[:5]}-{letters[5:]}"


def normal(code: str) -> str:
    """As it was given out, however it was typed; ValueError for what is none."""
    letters = "".join(c for c in code.upper() if c not in "- ").translate(_MISREAD)
    if len(letters) != CODE_CHARS or any(c not in ALPHABET for c in letters):
        raise ValueError(f"a code has {CODE_CHARS} letters and digits, as in K7Q2M-9XW4T")
    return letters


def code_key(code: str) -> bytes:
    return hashlib.sha256(b"edge-agent enrolment code\n" + normal(code).encode()).digest()


def request_text(device: str, request: EnrollRequest) -> bytes:
    """What a request's proof is over."""
    return _text("request", device, request.id, request.kind, request.hardware, request.csr)


def answer_text(device: str, answer: EnrollAnswer) -> bytes:
    return _text("answer", device, answer.id, answer.chain, answer.roots)


def _text(*parts: str) -> bytes:
    """Each part behind its length, so that no two lists of parts read the same."""
    return b"".join(b"%d:%s\n" % (len(raw), raw) for raw in (part.encode() for part in parts))


def prove(key: bytes, text: bytes) -> str:
    return hmac.new(key, text, hashlib.sha256).hexdigest()


def proves(key: bytes, text: bytes, proof: str) -> bool:
    return hmac.compare_digest(prove(key, text).encode(), proof.encode())
