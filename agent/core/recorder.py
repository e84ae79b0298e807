"""The port through which services record what the back end must hear of."""

from __future__ import annotations

import sqlite3
from typing import Protocol

from agent.contract.events import Body


class Recorder(Protocol):
    """Filled by the outbox; a list in tests."""

    async def record(self, body: Body, *, t: float | None = None) -> int:
        """Store an event and return its seq; a critical one is on the disk then.

        `t` is the monotonic second at which it happened; now, when not given.
        """
        ...

    def put(self, tx: sqlite3.Connection, body: Body, *, t: float | None = None) -> int:
        """Add a critical event to a transaction that is under way (in the store's thread)."""
        ...
