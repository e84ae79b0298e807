"""Keeps the audit chain going: its head beside the database, and what changed in the settings."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Mapping
from typing import Any

import msgspec

from agent.contract.events import Audit
from agent.core.clock import Clock
from agent.core.supervisor import Heartbeat
from agent.fleet.audit import Chain
from agent.store.database import Database
from agent.store.outbox import Outbox

SETTLE_S = 1.0  # a rush of events is one write beside the database
KEYS = 40  # named at a time

_GET = "SELECT value FROM meta WHERE key = 'audit_settings'"
_PUT = "INSERT OR REPLACE INTO meta VALUES ('audit_settings', ?)"


class AuditService:
    name = "audit"

    def __init__(
        self,
        chain: Chain,
        database: Database,
        clock: Clock,
        outbox: Outbox,
        settings: Mapping[str, Any],
    ) -> None:
        """`settings`: those in force, by dotted key."""
        self._chain = chain
        self._database = database
        self._clock = clock
        self._outbox = outbox
        self._settings = settings
        self._grown = asyncio.Event()

    async def open(self) -> None:
        """Before anything is recorded."""
        loop = asyncio.get_running_loop()

        def grown() -> None:
            loop.call_soon_threadsafe(self._grown.set)

        self._chain.grown = grown
        self._outbox.seal = self._chain.seal
        await self._database.write(self._begin)

    def _begin(self, tx: sqlite3.Connection) -> None:
        for body in self._chain.open(tx):
            self._outbox.put(tx, body)
        new = {key: _short(value) for key, value in self._settings.items()}
        row = tx.execute(_GET).fetchone()
        old: dict[str, str] = msgspec.json.decode(row[0]) if row else {}
        if old == new:
            return
        tx.execute(_PUT, (msgspec.json.encode(new).decode(),))
        changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
        if old:
            detail = {"keys": changed[:KEYS], "count": len(changed)}
            self._outbox.put(tx, Audit(action="config.changed", by="start", detail=detail))

    async def run(self, heartbeat: Heartbeat) -> None:
        while True:
            await heartbeat.idle(self._grown.wait())
            await heartbeat.idle(self._clock.sleep(SETTLE_S))
            self._grown.clear()
            await self._database.read(lambda tx: self._chain.keep(self._chain.head(tx)))


def _short(value: Any) -> str:
    """Enough to see that it changed; what it is stays where it is."""
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()[:16]
