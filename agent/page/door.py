"""Who stands at the door of the page: nobody yet, staff or a technician.

At the device's own screen (loopback) staff need no PIN, a technician does; from the network
everybody does. There is no default PIN: until one is set nobody gets in by it.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from dataclasses import dataclass

from agent.contract.errors import Rejected
from agent.contract.events import Audit
from agent.core.clock import Clock
from agent.core.recorder import Recorder
from agent.page import pins
from agent.page.pins import Role
from agent.page.sessions import LIFETIME_S, Guesses, Session, Sessions
from agent.store.database import Database

ROLES: tuple[Role, ...] = ("staff", "technician")
_PUT = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
_GET = "SELECT value FROM meta WHERE key = ?"


@dataclass(frozen=True, slots=True)
class Visitor:
    role: Role | None
    by: str
    csrf: str


class Door:
    def __init__(self, database: Database, clock: Clock, recorder: Recorder) -> None:
        self._database = database
        self._clock = clock
        self._recorder = recorder
        self._sessions = Sessions()
        self._guesses = Guesses()
        self._one_at_a_time = asyncio.Lock()  # a try takes 16 MB
        self._here = secrets.token_urlsafe(16)  # the CSRF token of the device's own screen

    def visitor(self, token: str, peer: str, *, local: bool) -> Visitor:
        session = self._sessions.find(token, self._clock.monotonic())
        if session is not None:
            return Visitor(session.role, session.by, session.csrf)
        return Visitor("staff" if local else None, "page" if local else f"page@{peer}", self._here)

    async def login(self, role: Role, pin: str, peer: str, *, local: bool) -> str:
        """The token of a new session. Rejected: too_many, no_pin, wrong_pin."""
        async with self._one_at_a_time:
            self._guesses.require(peer, self._clock.monotonic(), shared=not local)
            stored = await self._database.read(lambda tx: _stored(tx, role))
            if stored is None:
                raise Rejected("no_pin", f"no PIN is set; run: edge-agent page pin {role}")
            right = len(pin) <= pins.MAX_DIGITS and await asyncio.to_thread(
                pins.matches, pin, stored
            )
            now, by = self._clock.monotonic(), f"page:{role}@{peer}"
            await self._recorder.record(
                Audit(action="page.login", by=by, detail={"role": role, "ok": right})
            )
            if not right:
                self._guesses.failed(peer, now, shared=not local)
                raise Rejected("wrong_pin", "this is not the PIN")
            self._guesses.succeeded(peer)
        token = secrets.token_urlsafe(32)
        session = Session(role, by, now + LIFETIME_S[role], secrets.token_urlsafe(16))
        self._sessions.open(token, session)
        return token

    def logout(self, token: str) -> None:
        self._sessions.close(token)

    async def set_pin(self, role: Role, pin: str) -> None:
        """Ends the sessions that the old one opened. Rejected: invalid, weak_pin."""
        pins.require_strong(pin)
        async with self._one_at_a_time:
            row = (_key(role), await asyncio.to_thread(pins.hashed, pin, secrets.token_bytes(16)))
            await self._database.write(lambda tx: tx.execute(_PUT, row))
        self._sessions.close_all(role)

    async def with_pin(self) -> list[Role]:
        """The roles for which a PIN is set."""
        return await self._database.read(
            lambda tx: [role for role in ROLES if _stored(tx, role) is not None]
        )


def _key(role: Role) -> str:
    return f"page_pin_{role}"


def _stored(tx: sqlite3.Connection, role: Role) -> str | None:
    row = tx.execute(_GET, (_key(role),)).fetchone()
    return None if row is None else str(row[0])
