"""Who may ask this device: checks requests by their signatures, and remembers them durably.

What each key has signed is in the database, and how many requests there were also in a file beside
it, which is written first. Where the two differ, or the database does not know how the last life
ended, something is forgotten: then requests from before that moment are refused (see requests).
Everything here runs in the store's thread, within the transaction that accepts the request.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from agent.contract.commands import MAX_BYTES, Command, Desired
from agent.contract.errors import Rejected
from agent.contract.wire import decode
from agent.core.clock import Clock
from agent.fleet import requests, signing
from agent.fleet.guard import Guard
from agent.fleet.requests import Key, Now, Seen
from agent.fleet.signing import Request, Signed
from agent.fleet.table import Entry

TRUSTED = frozenset({"ntp", "rtc"})  # anybody can send what a GPS receiver takes for the time

_GET = "SELECT value FROM meta WHERE key = ?"
_PUT = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
_SEEN = "SELECT floor, recent FROM signers WHERE kid = ?"
_SEE = "INSERT OR REPLACE INTO signers VALUES (?, ?, ?)"
_COUNT, _SINCE, _LOST = "requests", "requests_since", "requests_lost"


class Asked(NamedTuple):
    """A request whose sender is known as far as it is demanded."""

    params: dict[str, Any]
    exp: int | None
    kid: str | None = None
    request: Request | None = None


class Authority:
    def __init__(
        self,
        device: str,
        clock: Clock | None,
        *,
        keys: Mapping[str, Key],
        required: bool,
        boot_nonce: str = "",
        guard: Guard | None = None,
    ) -> None:
        """`required`: nothing is done for who does not sign. `boot_nonce`: new with each start."""
        self._device = device
        self._clock = clock
        self._keys = keys
        self._required = required
        self._boot_nonce = boot_nonce
        self._guard = guard

    def open(self, tx: sqlite3.Connection) -> None:
        """At the start: whether something was forgotten since the last one."""
        if self._guard is None:
            return
        count, beside = _number(_get(tx, _COUNT)), _number(self._guard.read())
        lost = _get(tx, "lost_before") or ""
        known = count is not None and beside is not None and beside <= count
        if known and lost == (_get(tx, _LOST) or ""):
            return
        tx.execute(_PUT, (_SINCE, self._moment()))
        tx.execute(_PUT, (_LOST, lost))
        self._count(tx, max(count or 0, beside or 0) + 1)

    # --- commands ---------------------------------------------------------------------------------

    def read(self, name: str, cmd_id: str, command: Command) -> Asked:
        """Rejected where the sender is not who it should be; what it may do is for `admit`."""
        if command.sig is None:
            if self._required:
                raise Rejected("unsigned", "this device takes signed requests only")
            return Asked(command.params, command.exp)
        if command.kid is None or command.req is None:
            raise Rejected("invalid", "a signed request has kid, req and sig")
        signed = Signed(command.kid, command.req, command.sig)
        key = requests.find(self._keys, signed.kid)
        request = signing.check(signed, public=key.public, purpose="cmd")
        requests.addressed(request, self._device, (name, cmd_id))
        return Asked(request.params, request.exp, signed.kid, request)

    def admit(self, tx: sqlite3.Connection, asked: Asked, entry: Entry) -> None:
        """Takes it as carried out, if it may be; Rejected if not."""
        if asked.request is None or asked.kid is None:
            return
        now = self._now(tx)
        requests.permitted(asked.request, self._keys[asked.kid], entry.scope, now)
        requests.fresh(asked.request, now, dangerous=entry.dangerous)
        row = tx.execute(_SEEN, (asked.kid,)).fetchone()
        seen = Seen(row[0], tuple(msgspec.json.decode(row[1]))) if row else Seen()
        seen = seen.with_(asked.request.seq)
        recent = msgspec.json.encode(seen.recent).decode()
        self._count(tx, (_number(_get(tx, _COUNT)) or 0) + 1)
        tx.execute(_SEE, (asked.kid, seen.floor, recent))

    # --- the configuration ------------------------------------------------------------------------

    def wish(self, tx: sqlite3.Connection, payload: bytes) -> Desired:
        """A wished configuration, from somebody who may wish one. Rejected, also for its form."""
        if self._required or b'"sig"' in payload:
            signed = decode(payload, Signed, max_bytes=2 * MAX_BYTES)
            key = requests.find(self._keys, signed.kid)
            request = signing.check(signed, public=key.public, purpose="config")
            requests.addressed(request, self._device, ("", ""))
            requests.permitted(request, key, "ops", self._now(tx), purpose="config")
            if request.version is None or request.settings is None:
                raise Rejected("invalid", "a signed configuration has version and settings")
            return Desired(request.version, request.settings)
        return decode(payload, Desired, max_bytes=MAX_BYTES)

    @property
    def required(self) -> bool:
        return self._required

    # --- what the device knows --------------------------------------------------------------------

    def _now(self, tx: sqlite3.Connection) -> Now:
        assert self._clock is not None, "there are keys, so there is a clock"
        ms = int(self._clock.wall() * 1000) if self._clock.quality() in TRUSTED else None
        return Now(ms, self._device, self._boot_nonce, self._since(tx))

    def _since(self, tx: sqlite3.Connection) -> int | None:
        """Unix ms from which on every request is remembered."""
        assert self._clock is not None
        value = _get(tx, _SINCE)
        if value is None or ":" not in value:
            return _number(value)
        if self._clock.quality() not in TRUSTED:
            return None
        boot, mono = value.split(":")
        at = float(mono) if boot == self._clock.boot_id else self._clock.monotonic()
        since = int(self._clock.wall_at(at) * 1000)
        tx.execute(_PUT, (_SINCE, str(since)))
        return since

    def _moment(self) -> str:
        """Unix ms, or boot and second while nobody vouches for the time."""
        assert self._clock is not None
        if self._clock.quality() in TRUSTED:
            return str(int(self._clock.wall() * 1000))
        return f"{self._clock.boot_id}:{self._clock.monotonic()}"

    def _count(self, tx: sqlite3.Connection, number: int) -> None:
        """Beside the database first: rather refuse something new than do something twice."""
        if self._guard is not None:
            self._guard.write(str(number))
        tx.execute(_PUT, (_COUNT, str(number)))


# Takes everything unsigned and knows no key.
OPEN_HOUSE = Authority("", None, keys={}, required=False)


def _get(tx: sqlite3.Connection, key: str) -> str | None:
    row = tx.execute(_GET, (key,)).fetchone()
    return None if row is None else str(row[0])


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
