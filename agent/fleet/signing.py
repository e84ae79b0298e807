r"""Requests that a key has signed (Ed25519): how they are written, made and checked.

    {"kid": "ops-1", "req": "{\"aud\":\"sh-021-01\",\"seq\":17,...}", "sig": "base64url"}

`req` is a text that holds JSON. The signature is over exactly its bytes, so nobody has to agree on
how JSON is written; before them stands for what it is, and by which key:

    "edge-agent/v1 " PURPOSE " " KID "\n" REQ

(the idea of JWS, RFC 7515, without its choice of algorithms: there is one). `seq` rises for each
key. `iat` and `exp` are unix milliseconds.

Checking takes libsodium (PyNaCl), loaded when the first signed request comes: 2.4 MB of memory.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from agent.contract.errors import Rejected
from agent.contract.orders import Millis

DAY_MS = 86_400_000
KEY_BYTES = SEED_BYTES = 32
SIGNATURE_BYTES = 64

Purpose = Literal["cmd", "config"]
# Of `exp` after `iat`, at most. A configuration is kept by the broker for devices that are away;
# its version says which is newer.
MAX_VALID_MS: dict[Purpose, int] = {"cmd": 7 * DAY_MS, "config": 400 * DAY_MS}


class Request(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is signed; `params` of a command, `version` and `settings` of a configuration."""

    aud: str  # the device's id
    seq: Annotated[int, Meta(ge=1, le=2**53)]
    iat: Millis
    exp: Millis
    name: str = ""
    cmd_id: str = ""
    params: dict[str, Any] = {}
    boot_nonce: str | None = None  # as the device's `state` says it: good for this start only
    version: int | None = None
    settings: dict[str, Any] | None = None


class Signed(msgspec.Struct, frozen=True):
    kid: str
    req: str
    sig: str


def sign(request: Request, *, kid: str, seed: bytes, purpose: Purpose = "cmd") -> bytes:
    """The payload to publish. `seed`: the 32 secret bytes of the key."""
    from nacl.bindings import crypto_sign, crypto_sign_seed_keypair

    req = msgspec.json.encode(request).decode()
    _, secret = crypto_sign_seed_keypair(seed)
    signature = crypto_sign(_message(kid, req, purpose), secret)[:SIGNATURE_BYTES]
    return msgspec.json.encode(Signed(kid, req, _text(signature)))


def check(signed: Signed, *, public: bytes, purpose: Purpose) -> Request:
    """What was signed. Rejected: bad_signature; `invalid` where what was signed is nonsense."""
    from nacl.bindings import crypto_sign_open
    from nacl.exceptions import BadSignatureError

    try:
        signature = base64.b64decode(_padded(signed.sig), altchars=b"-_", validate=True)
        message = signature + _message(signed.kid, signed.req, purpose)
    except (binascii.Error, ValueError):
        raise Rejected("bad_signature", "the signature is not base64url") from None
    if len(signature) != SIGNATURE_BYTES:
        raise Rejected("bad_signature", f"the signature has not {SIGNATURE_BYTES} bytes")
    try:
        crypto_sign_open(message, public)
    except BadSignatureError:
        raise Rejected("bad_signature", f"it was not signed by {signed.kid!r}") from None
    try:
        return msgspec.json.decode(signed.req, type=Request)
    except msgspec.MsgspecError as error:
        raise Rejected("invalid", f"what was signed: {error}") from None


def new_key() -> tuple[bytes, str]:
    """The secret seed, and the public key as the configuration has it."""
    from nacl.bindings import crypto_sign_keypair

    public, secret = crypto_sign_keypair()
    return secret[:SEED_BYTES], _text(public)


def public_of(seed: bytes) -> str:
    """As the configuration has it."""
    from nacl.bindings import crypto_sign_seed_keypair

    return _text(crypto_sign_seed_keypair(seed)[0])


def key_bytes(text: str) -> bytes:
    """A public key from the configuration; ValueError when it is none."""
    try:
        key = base64.b64decode(_padded(text), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"it has {len(key)} bytes, not {KEY_BYTES}")
    return key


def _message(kid: str, req: str, purpose: Purpose) -> bytes:
    return f"edge-agent/v1 {purpose} {kid}\n{req}".encode()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _padded(text: str) -> bytes:
    return text.encode("ascii") + b"=" * (-len(text) % 4)
