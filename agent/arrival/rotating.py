"""Beacon identifiers that change every quarter of an hour; who has the key knows whose they are.

    identifier = HMAC-SHA256(key, "edge-beacon/1" + epoch)[:8]      epoch = floor(unix s / 900)

They travel as Eddystone-EID frames. Sender and listener need no network, only clocks that are less
than one epoch apart. A recorded identifier is worth nothing after that.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping

EPOCH_S = 900
KEY_BYTES = 16
ID_BYTES = 8
_CONTEXT = b"edge-beacon/1"


def new_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def epoch_of(unix_s: float) -> int:
    return int(unix_s // EPOCH_S)


def identifier(key: bytes, epoch: int) -> bytes:
    """The eight bytes that the key's owner sends in this epoch."""
    return hmac.digest(key, _CONTEXT + epoch.to_bytes(8, "big"), "sha256")[:ID_BYTES]


class Roster:
    """Whose identifier is it? `keys` is owner -> key; one epoch of slack to both sides."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(keys)
        self._epoch: int | None = None
        self._owners: dict[str, str] = {}

    def owner(self, identity: str, unix_s: float) -> str | None:
        """`identity` as in `drivers.base.Advert`."""
        epoch = epoch_of(unix_s)
        if epoch != self._epoch:
            self._epoch = epoch
            self._owners = {
                f"eddystone-eid:{identifier(key, near).hex()}": owner
                for owner, key in self._keys.items()
                for near in (epoch - 1, epoch, epoch + 1)
                if near >= 0
            }
        return self._owners.get(identity)
