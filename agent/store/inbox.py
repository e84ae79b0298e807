"""What arrives is handled in one transaction, committed, and only then acknowledged.

A handler changes tables through the transaction that it is given: orders, jobs, alerts, events are
stored together or not at all, so each message acts once, however often it comes. A message that its
handler refuses (`Rejected`) is answered; one that a bug makes it choke on is set aside with the
reason and reported, and the rest goes on.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from agent.contract import topics
from agent.contract.errors import Rejected
from agent.contract.events import ErrorEvent
from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.logs import printable
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from agent.store.database import Database, StoreError

log = logging.getLogger(__name__)

GROUP = 50  # messages that share a commit
QUEUE = 5000  # a broker that honours our Receive Maximum never comes near
QUEUE_BYTES = 32 * 1024 * 1024
RETRY_S = 1.0
POISON_KEPT = 200

_POISON = "SELECT id, topic, payload FROM poison ORDER BY id"
_UNPOISON = "DELETE FROM poison WHERE id = ?"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as its handler sees it."""

    topic: str
    address: topics.Address
    payload: bytes
    response_topic: str | None = None
    correlation: bytes | None = None
    done: Callable[[], None] = lambda: None  # acknowledges it to the broker


# Changes the database; returns what is to be done in the event loop after the commit.
Handler = Callable[[sqlite3.Connection, Incoming], Callable[[], None]]
# The same for a refusal: records the answer to the sender.
Refusal = Callable[[sqlite3.Connection, Incoming, Rejected], Callable[[], None]]


@dataclass(frozen=True, slots=True)
class Route:
    handle: Handler
    refuse: Refusal


class Inbox:
    name = "inbox"

    def __init__(
        self,
        database: Database,
        clock: Clock,
        health: Health,
        recorder: Recorder,
        routes: Mapping[str, Route],
    ) -> None:
        self._database = database
        self._clock = clock
        self._health = health
        self._recorder = recorder
        self._routes = routes  # by branch of the topic tree: order, cmd, config
        self._queue: asyncio.Queue[Incoming] = asyncio.Queue(QUEUE)
        self._bytes = 0

    def offer(self, message: Incoming) -> bool:
        """Queue a message; False when there is no more room and the broker must send it again."""
        if self._queue.full() or self._bytes > QUEUE_BYTES:
            return False
        self._bytes += len(message.payload)
        self._queue.put_nowait(message)
        return True

    @property
    def empty(self) -> bool:
        return self._queue.empty()

    async def run(self, heartbeat: Heartbeat) -> None:
        while True:
            group = [await heartbeat.idle(self._queue.get())]
            while len(group) < GROUP and not self._queue.empty():
                group.append(self._queue.get_nowait())
            # The store takes them in this order and commits them together.
            outcomes = await asyncio.gather(*map(self._handle, group), return_exceptions=True)
            for message, outcome in zip(group, outcomes, strict=True):
                if isinstance(outcome, StoreError):
                    await self._retry(message, outcome, heartbeat)
                elif isinstance(outcome, BaseException):
                    raise outcome
                self._bytes -= len(message.payload)
                message.done()

    async def _retry(self, message: Incoming, error: StoreError, heartbeat: Heartbeat) -> None:
        """The disk refuses: keep the message, tell people, try until it is stored."""
        while True:
            self._health.set(
                "inbox", f"orders wait because {error}. Free some space.", severity="critical"
            )
            await heartbeat.idle(self._clock.sleep(RETRY_S))
            try:
                await self._handle(message)
            except StoreError as again:
                error = again
            else:
                self._health.clear("inbox")
                return

    async def _handle(self, message: Incoming) -> None:
        route = self._routes.get(message.address.branch)
        if route is None:
            await self._report(message, "unknown_topic", "nobody here listens to it")
            return
        try:
            after = await self._database.write(lambda tx: route.handle(tx, message))
        except Rejected as rejected:
            refused = rejected
            after = await self._database.write(lambda tx: route.refuse(tx, message, refused))
            await self._report(message, rejected.code, str(rejected))
        except StoreError:
            raise
        except Exception as error:
            # The one place that catches a bug: the message would come back for ever and stop all
            # others. It is kept, with the reason, for a person.
            log.exception("message set aside", extra={"topic": printable(message.topic)})
            await self._set_aside(message, f"{type(error).__name__}: {error}")
            return
        after()

    async def retry(self, poison_id: int | None = None) -> tuple[int, int]:
        """Handle again what was set aside, after an update or a repair: (handled, aside again)."""
        rows = await self._database.read(lambda tx: tx.execute(_POISON).fetchall())
        tried = [row for row in rows if poison_id in (None, row[0])]
        if not tried and poison_id is not None:
            raise Rejected("unknown_message", f"no message {poison_id} is set aside")
        for number, topic, payload in tried:
            address = topics.parse(topic)
            assert address is not None, topic  # it was routed by it when it arrived
            await self._handle(Incoming(topic, address, payload))
            await self._database.write(partial(_unpoison, number=number))
        newest = max((row[0] for row in rows), default=0)
        again = await self._database.read(
            lambda tx: tx.execute("SELECT count(*) FROM poison WHERE id > ?", (newest,)).fetchone()
        )
        left = await self._database.read(lambda tx: len(tx.execute(_POISON).fetchall()))
        if not left:
            self._health.clear("inbox.poison")
        return len(tried) - again[0], again[0]

    async def _set_aside(self, message: Incoming, reason: str) -> None:
        row = (message.topic, message.payload, reason, int(self._clock.wall() * 1000))

        def keep(tx: sqlite3.Connection) -> int:
            tx.execute("INSERT INTO poison (topic, payload, reason, t) VALUES (?, ?, ?, ?)", row)
            tx.execute(
                "DELETE FROM poison WHERE id <= (SELECT max(id) FROM poison) - ?", (POISON_KEPT,)
            )
            (count,) = tx.execute("SELECT count(*) FROM poison").fetchone()
            return int(count)

        count = await self._database.write(keep)
        self._health.set(
            "inbox.poison",
            f"{count} messages could not be handled and were set aside; the last one: "
            f"{printable(reason)}. See: edge-agent queue list poison",
            severity="critical",
        )
        await self._report(message, "poison", reason)

    async def _report(self, message: Incoming, code: str, text: str) -> None:
        log.warning("rejected %s: %s", printable(message.topic), printable(text))
        source = f"{message.address.branch}"
        await self._recorder.record(
            ErrorEvent(source=source, counts={code: 1}, text=printable(text))
        )


def _unpoison(tx: sqlite3.Connection, number: int) -> None:
    tx.execute(_UNPOISON, (number,))
