"""Takes messages, stores them in transactions, and acknowledges after each commit, never before.

Nothing is kept here that the broker or the device has not as well: what is in memory is bounded and
unacknowledged. While the database is away it waits, and the broker holds what comes.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TypeVar

from agent.consumer import intake
from agent.consumer.booking import Outcome
from agent.consumer.charts import in_datum
from agent.consumer.records import Record, StateRow
from agent.consumer.source import Incoming, Source
from agent.consumer.store import Store, Unavailable
from agent.consumer.twins import Twins
from agent.contract import topics, wire
from agent.contract.commands import Ack
from agent.contract.errors import Rejected
from agent.core.clock import Clock
from agent.positioning.datum import Datum

log = logging.getLogger(__name__)
T = TypeVar("T")

RECORDS = 20_000  # in one transaction, and what one more message brings
REPORT_S = 10.0
BACKOFF_MIN_S, BACKOFF_MAX_S = 0.5, 30.0


@dataclass(frozen=True, slots=True)
class Status:
    events: int = 0  # stored since the start
    events_s: float = 0.0  # since the last status
    duplicates: int = 0  # dropped
    set_aside: int = 0  # in the table
    devices: int = 0
    holes: int = 0  # events that devices have and we have not
    waiting: int = 0  # messages in memory
    database: str | None = None  # what is wrong with it
    broker: str | None = None


@dataclass(slots=True)
class Consumer:
    store: Store
    source: Source
    clock: Clock
    batch: int  # messages in one transaction, at most
    report: Callable[[Status], None]
    datum: Datum | None = None  # of the positions in the store; none: as they come
    _waiting: deque[Incoming] = field(default_factory=deque)
    _full: bool = False
    _stopping: bool = False
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _pause: asyncio.Future[None] | None = None
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "store"))
    _twins: Twins = field(default_factory=Twins)
    _status: Status = field(default_factory=Status)
    _said: tuple[int, float] = (0, 0.0)  # events and monotonic s at the last report

    async def run(self) -> None:
        """Until `stop()`; what is in hand is finished, the rest stays the broker's.

        Raises ConfigError, also in a group, when the database is not one of ours.
        """
        self._said = 0, self.clock.monotonic()
        try:
            await self._count()
            async with asyncio.TaskGroup() as group:
                others = [
                    group.create_task(self.source.run(self._take)),
                    group.create_task(self._tell()),
                ]
                while not self._stopping:
                    await self._wake.wait()
                    self._wake.clear()
                    while self._waiting and not self._stopping:
                        await self._store_some()
                await self._say()
                for task in others:
                    task.cancel()
        finally:
            await self._in_thread(self.store.close)
            self._thread.shutdown()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()
        if self._pause is not None:
            self._pause.cancel()

    def _take(self, message: Incoming) -> bool:
        """Keeps it; False: no more, until the source may resume."""
        self._waiting.append(message)
        self._wake.set()
        self._full = len(self._waiting) >= 2 * self.batch
        return not self._full

    async def _store_some(self) -> None:
        messages: list[Incoming] = []
        records: list[Record] = []
        while self._waiting and len(messages) < self.batch and len(records) < RECORDS:
            message = self._waiting.popleft()
            messages.append(message)
            found = intake.read(message.topic, message.payload, message.content_type)
            records += found if self.datum is None else [in_datum(r, self.datum) for r in found]
        outcome = await self._patiently(records)
        if outcome is None:
            return
        for key, seq in outcome.acks.items():
            self.source.publish(
                topics.ack(key.device, key.stream), wire.encode(Ack(key.epoch, seq))
            )
        for message in messages:
            self.source.acknowledge(message)
        self._look_for_twins(records)
        if self._full and len(self._waiting) <= self.batch:
            self._full = False
            self.source.resume()

    def _look_for_twins(self, records: list[Record]) -> None:
        births = (row for row in records if isinstance(row, StateRow) and row.state == "online")
        for birth in births:
            if self._twins.see(birth.device, birth.boot_id, birth.bd_seq):
                log.warning(
                    "two machines use the identity of %s: boot %s is back (docs/identity.md)",
                    birth.device,
                    birth.boot_id,
                )

    async def _patiently(self, records: list[Record]) -> Outcome | None:
        """Store, however long the database is away; None when told to stop meanwhile."""
        limit = BACKOFF_MIN_S
        while not self._stopping:
            try:
                outcome = await self._in_thread(partial(self._apply, records))
            except Unavailable as error:
                self._away(error)
            else:
                self._well(outcome)
                return outcome
            await self._sleep(random.uniform(limit / 2, limit))  # noqa: S311 - jitter, no secret
            limit = min(limit * 2, BACKOFF_MAX_S)
        return None

    def _apply(self, records: list[Record]) -> Outcome:
        """In the store's thread. What the database refuses is found by halving, and set aside."""
        now_ms = int(self.clock.wall() * 1000)
        try:
            return self.store.apply(records, now_ms)
        except Rejected as rejected:
            if len(records) == 1:
                return self.store.apply(intake.refused(records[0], rejected), now_ms)
        half = len(records) // 2
        return self._apply(records[:half]).then(self._apply(records[half:]))

    def _well(self, outcome: Outcome) -> None:
        status = self._status
        if status.database is not None:
            log.info("%s is back", self.store.name)
        self._status = replace(
            status,
            events=status.events + outcome.stored,
            duplicates=status.duplicates + outcome.duplicates,
            database=None,
        )
        if outcome.set_aside:
            log.warning("%d messages were set aside; see the table", outcome.set_aside)

    # --- waiting and telling ----------------------------------------------------------------------

    async def _tell(self) -> None:
        while True:
            await self.clock.sleep(REPORT_S)
            await self._say()

    async def _say(self) -> None:
        if self._status.database is None:
            await self._count()
        now, events = self.clock.monotonic(), self._status.events
        before, since = self._said
        self._said = events, now
        self.report(
            replace(
                self._status,
                events_s=(events - before) / max(now - since, 0.001),
                waiting=len(self._waiting),
                broker=self.source.trouble,
            )
        )

    async def _count(self) -> None:
        try:
            found = await self._in_thread(self.store.counts)
        except Unavailable as error:
            self._away(error)
        else:
            self._status = replace(self._status, **asdict(found))

    def _away(self, error: Unavailable) -> None:
        if self._status.database is None:
            log.warning("%s; nothing is acknowledged until it is back", error)
        self._status = replace(self._status, database=str(error))

    async def _sleep(self, seconds: float) -> None:
        self._pause = asyncio.ensure_future(self.clock.sleep(seconds))
        await asyncio.wait([self._pause])

    def _in_thread(self, run: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, run)
