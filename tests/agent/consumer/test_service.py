"""The consumer with a source in memory, over real databases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from agent.consumer.app import open_store
from agent.consumer.service import Consumer
from agent.consumer.source import Incoming
from agent.consumer.store import Unavailable
from agent.core.clock import ManualClock, SystemClock
from tests.agent.consumer.support import batch, event, presence, rows
from tests.support import until


class Memory:
    """A broker that gives what is put in, and again what was not acknowledged."""

    name, trouble = "memory", None

    def __init__(self, *messages: tuple[str, bytes]) -> None:
        self.kept = {n: Incoming(t, p, None, n) for n, (t, p) in enumerate(messages)}
        self.log: list[Any] = []
        self.most = 0
        self._room = asyncio.Event()

    async def run(self, take: Callable[[Incoming], bool]) -> None:
        messages = list(self.kept.values())
        for given, message in enumerate(messages, 1):
            self.most = max(self.most, given - (len(messages) - len(self.kept)))
            if not take(message):
                self._room.clear()
                await self._room.wait()
        await asyncio.Event().wait()

    def acknowledge(self, message: Incoming) -> None:
        self.log.append(message.receipt)
        self.kept.pop(message.receipt, None)

    def publish(self, topic: str, payload: bytes) -> None:
        self.log.append((topic, json.loads(payload)))

    def resume(self) -> None:
        self._room.set()


class Flaky:
    """A store that is away until it is let back."""

    def __init__(self, url: str, source: Memory | None = None) -> None:
        self._store = open_store(url)
        self._source = source
        self.name = self._store.name
        self.away = False
        self.asked = 0
        self.seen: list[int] = []  # acknowledgements before each commit

    def apply(self, records: Any, now_ms: int) -> Any:
        self.asked += 1
        if self.away:
            raise Unavailable("the database is gone")
        if self._source is not None:
            self.seen.append(len(self._source.log))
        return self._store.apply(records, now_ms)

    def counts(self) -> Any:
        if self.away:
            raise Unavailable("the database is gone")
        return self._store.counts()

    def close(self) -> None:
        self._store.close()


def play(story: Callable[..., Any]) -> None:
    asyncio.run(asyncio.wait_for(story(), 30))


async def consume(store, source, done, *, batch=500, clock=None, reports=None):
    consumer = Consumer(store, source, clock or SystemClock(), batch, (reports or []).append)
    running = asyncio.ensure_future(consumer.run())
    await until(done)
    consumer.stop()
    await running


EVENTS = [("edge/v1/d/evt/order", event(seq)) for seq in range(1, 8)]


def test_nothing_is_acknowledged_before_its_commit(database):
    async def story():
        source = Memory(*EVENTS)
        store = Flaky(database, source)
        await consume(store, source, lambda: not source.kept, batch=3)
        ack = [("edge/v1/d/ack/critical", {"epoch": "e1", "seq": seq}) for seq in (3, 6, 7)]
        assert source.log == [ack[0], 0, 1, 2, ack[1], 3, 4, 5, ack[2], 6]
        assert store.seen == [0, 4, 8]

    play(story)


def test_while_the_database_is_away_it_waits_says_so_and_loses_nothing(tmp_path, caplog):
    async def story():
        source, clock, reports = Memory(*EVENTS), ManualClock(), []
        store = Flaky(f"sqlite:///{tmp_path}/events.db")
        store.away = True
        consumer = Consumer(store, source, clock, 500, reports.append)
        running = asyncio.ensure_future(consumer.run())
        for tries in range(1, 6):
            await until(lambda tries=tries: store.asked >= tries)
            await clock.advance(30)
        assert source.log == []
        await until(lambda: reports)
        assert reports[-1].database == "the database is gone"
        store.away = False

        async def move():
            while source.kept:
                await clock.advance(1)
                await asyncio.sleep(0.01)

        await move()
        consumer.stop()
        await running
        assert reports[-1].database is None
        assert reports[-1].events == 7
        told = [r.message for r in caplog.records if "gone" in r.message]
        assert len(told) == 1, "said once and not at every attempt"

    play(story)


def test_it_stops_at_once_though_the_database_is_away(tmp_path):
    async def story():
        source, store = Memory(*EVENTS), Flaky(f"sqlite:///{tmp_path}/events.db")
        store.away = True
        await consume(store, source, lambda: store.asked, clock=ManualClock())
        assert len(source.kept) == len(EVENTS)

    play(story)


def test_memory_is_bounded_whatever_the_broker_has(tmp_path):
    async def story():
        many = [("edge/v1/d/evt/order", event(seq)) for seq in range(1, 200)]
        source, store = Memory(*many), open_store(f"sqlite:///{tmp_path}/events.db")
        await consume(store, source, lambda: not source.kept, batch=10)
        assert source.most <= 3 * 10  # two waiting batches and one in the transaction
        assert rows(f"sqlite:///{tmp_path}/events.db", "SELECT count(*) FROM event") == [(199,)]

    play(story)


def test_what_stops_nothing_is_set_aside(database):
    async def story():
        source = Memory(
            ("edge/v1/d/evt/order", b"\xff{"),
            ("edge/v1/d/state", b"[" * 5000),
            (
                "edge/v1/d/batch/critical",
                batch(event(1, kind="order"), b"?", event(2, kind="order")),
            ),
            ("edge/v1//evt/order", event(9)),
            ("weather", b"rain"),
        )
        await consume(open_store(database), source, lambda: not source.kept)
        assert rows(database, "SELECT seq FROM event ORDER BY seq") == [(1,), (2,)]
        assert rows(database, "SELECT count(*) FROM set_aside") == [(4,)]

    play(story)


def test_the_one_event_that_postgresql_refuses_is_found_and_set_aside(cluster):
    database = cluster.database()

    async def story():
        lines = [event(seq, kind="order") for seq in range(1, 20)]
        lines[6] = event(7, kind="order", body='{"note":"\\u0000"}')
        source = Memory(
            ("edge/v1/d/batch/critical", batch(*lines)), ("edge/v1/d/state", presence(critical=1))
        )
        await consume(open_store(database), source, lambda: not source.kept)
        assert rows(database, "SELECT count(*), bool_or(seq = 7) FROM event") == [(18, False)]
        assert rows(database, "SELECT code, payload FROM set_aside") == [
            ("refused_by_database", b'{"note":"\\u0000"}')
        ]
        assert ("edge/v1/d/ack/critical", {"epoch": "e1", "seq": 19}) in source.log

    play(story)


def test_a_bug_ends_it_and_is_not_hidden(tmp_path):
    class Broken(Memory):
        def publish(self, topic: str, payload: bytes) -> None:
            raise KeyError("a bug of ours")

    async def story():
        source = Broken(*EVENTS)
        consumer = Consumer(
            open_store(f"sqlite:///{tmp_path}/events.db"), source, SystemClock(), 500, print
        )
        with pytest.raises(ExceptionGroup) as raised:
            await consumer.run()
        assert raised.group_contains(KeyError)

    play(story)


def test_positions_are_stored_in_the_datum_that_was_asked_for(database):
    async def story():
        place = '{"lat":31.2304,"lon":121.4737,"datum":"wgs84","profile":"seed"}'
        source = Memory(("edge/v1/d/evt/position", event(1, body=place)))
        store = open_store(database)
        consumer = Consumer(store, source, SystemClock(), 10, lambda _: None, "gcj02")
        running = asyncio.ensure_future(consumer.run())
        await until(lambda: not source.kept)
        consumer.stop()
        await running
        ((body,),) = rows(database, "SELECT body FROM event")
        stored = json.loads(body) if isinstance(body, str) else body
        assert stored == json.loads(place) | {
            "lat": 31.2284577,
            "lon": 121.4782231,
            "datum": "gcj02",
        }

    play(story)
