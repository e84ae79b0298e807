"""PINs of the staff page: their form and their scrypt hash. Pure, but slow on purpose.

Parameters as RFC 7914 and OWASP's password storage cheat sheet have them for 16 MB of memory: a
try takes about 50 ms on a PC and a few tenths of a second on a Pi.
"""

from __future__ import annotations

import hashlib
import hmac
from itertools import pairwise
from typing import Literal

from agent.contract.errors import Rejected

Role = Literal["staff", "technician"]

MIN_DIGITS, MAX_DIGITS = 6, 12
_N, _R, _P = 1 << 14, 8, 1
_MEMORY = 64 << 20


def require_strong(pin: str) -> None:
    """Raise Rejected for a PIN that is no PIN, or one of the first that anybody tries."""
    if not (pin.isascii() and pin.isdigit() and MIN_DIGITS <= len(pin) <= MAX_DIGITS):
        raise Rejected("invalid", f"a PIN has {MIN_DIGITS} to {MAX_DIGITS} digits")
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
    if len(steps) == 1 or len(set(pin)) < 3:
        raise Rejected("weak_pin", "this PIN is among the first that anybody tries; take another")


def hashed(pin: str, salt: bytes) -> str:
    """`scrypt$N$r$p$salt$hash`, numbers decimal and bytes in hex."""
    digest = hashlib.scrypt(pin.encode(), salt=salt, n=_N, r=_R, p=_P, maxmem=_MEMORY)
    return f"scrypt${_N}${_R}${_P}${salt.hex()}${digest.hex()}"


def matches(pin: str, stored: str) -> bool:
    """Whether `stored` is the hash of `pin`; takes the same time either way."""
    _, n, r, p, salt, digest = stored.split("$")
    found = hashlib.scrypt(
        pin.encode(), salt=bytes.fromhex(salt), n=int(n), r=int(r), p=int(p), maxmem=_MEMORY
    )
    return hmac.compare_digest(found.hex(), digest)
