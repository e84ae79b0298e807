"""What is set aside stays, and may be tried again."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.contract import topics
from agent.contract.errors import Rejected
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.store.database import Database
from agent.store.inbox import Inbox, Incoming, Route
from tests.support import ListRecorder, until


def test_messages_that_were_set_aside_are_handled_after_a_repair(tmp_path: Path) -> None:
    async def story() -> None:
        clock = ManualClock()
        health = Health(clock)
        database = Database(tmp_path / "agent.db", clock, health)
        await database.open()
        broken, handled, done = {"o1", "o2"}, [], []

        def handle(_tx: sqlite3.Connection, message: Incoming) -> Callable[[], None]:
            (order,) = message.address.rest
            if order in broken:
                raise KeyError(order)
            return lambda: handled.append(order)

        route = Route(handle, lambda _tx, _message, _rejected: lambda: None)
        inbox = Inbox(database, clock, health, ListRecorder(), {"order": route})
        serving = asyncio.ensure_future(inbox.run(Heartbeat("inbox", clock, health)))
        for order in ("o1", "o2", "o3"):
            topic = topics.order("d", order)
            address = topics.parse(topic)
            assert address is not None
            inbox.offer(Incoming(topic, address, b"{}", done=lambda o=order: done.append(o)))
        await until(lambda: done == ["o1", "o2", "o3"])
        assert handled == ["o3"]
        assert [c.code for c in health.conditions()] == ["inbox.poison"]

        broken.remove("o1")
        assert await inbox.retry() == (1, 1)
        assert handled == ["o3", "o1"]
        broken.clear()
        with pytest.raises(Rejected, match="no message 99"):
            await inbox.retry(99)
        assert await inbox.retry() == (1, 0)
        assert handled == ["o3", "o1", "o2"]
        assert list(health.conditions()) == []
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await database.close()

    asyncio.run(story())
