"""Keeps what was learned in the store."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from agent.arrival.thresholds import Kept
from agent.store.database import Database

_GET = "SELECT value FROM meta WHERE key = 'arrival.learned'"
_PUT = "INSERT OR REPLACE INTO meta VALUES ('arrival.learned', ?)"


class Remembered:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> Sequence[Kept]:
        """Nothing where it was written by a version that kept something else: it is learned
        anew."""
        row = await self._database.read(lambda tx: tx.execute(_GET).fetchone())
        if row is None:
            return []
        try:
            return msgspec.json.decode(row[0], type=list[Kept])
        except msgspec.ValidationError:
            return []

    async def save(self, kept: Sequence[Kept]) -> None:
        text = msgspec.json.encode(kept).decode()
        await self._database.write(lambda tx: tx.execute(_PUT, (text,)))
