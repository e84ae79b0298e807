"""Tells the back end how busy the shop is, whenever that changed, but not with every order."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from agent.contract.events import Shop
from agent.core.changes import Changes
from agent.core.clock import Clock
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from agent.orders import load
from agent.store.database import Database, StoreError

EVERY_S = 10.0  # at most


class LoadService:
    name = "load"

    def __init__(
        self,
        database: Database,
        clock: Clock,
        recorder: Recorder,
        changes: Changes,
        status: Callable[[sqlite3.Connection], Literal["open", "busy", "closed"]],
    ) -> None:
        """`status` is the shop's, which the event repeats."""
        self._database = database
        self._clock = clock
        self._recorder = recorder
        self._changes = changes
        self._status = status
        self._told: tuple[int, int] | None = None  # pending, preparing

    async def run(self, heartbeat: Heartbeat) -> None:
        while True:
            seen = self._changes.version
            with suppress(StoreError):  # the outbox says so; it is told when the disk takes it
                await self._tell()
            await heartbeat.idle(self._clock.sleep(EVERY_S))
            await heartbeat.idle(self._changes.wait(seen))

    async def _tell(self) -> None:
        now = int(self._clock.wall() * 1000)
        measured = await self._database.read(lambda tx: load.measure(tx, now))
        counts = (measured.pending, measured.preparing)
        if counts == self._told or (self._told is None and counts == (0, 0)):
            return
        status = await self._database.read(self._status)
        await self._recorder.record(Shop(status=status, load=measured))
        self._told = counts
