"""The last lines of the log in memory, for who cannot read the journal: the page, a technician
without root, a support bundle. And the log's level, raised for a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Literal, NamedTuple

from agent.core.clock import Clock
from agent.core.logs import Formatter
from agent.core.supervisor import Heartbeat

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

CHATTER_BYTES = 48 * 1024
HISTORY_BYTES = 24 * 1024
LINE_CHARS = 2000
LINE_COST = 150  # bytes that a kept line takes beside its text
HEALTH = "agent.core.health"  # its lines are the history of what ailed the device


class Line(NamedTuple):
    n: int  # rises by one a line
    t: int  # unix ms
    level: int  # of logging: 10 debug, 20 info, 30 warning, 40 error
    text: str


class Ring:
    """The newest lines within so many bytes; the oldest give way."""

    def __init__(self, max_bytes: int) -> None:
        self.lines: deque[Line] = deque()
        self._max = max_bytes
        self._bytes = 0

    def add(self, line: Line) -> None:
        self.lines.append(line)
        self._bytes += _cost(line)
        while self._bytes > self._max:
            self._bytes -= _cost(self.lines.popleft())


class Tail(logging.Handler):
    """Any thread may log. What warned, and what came and went of the health conditions, is kept
    apart from the chatter, which would soon push it out.

    Lines are kept as they are: who reads them redacts them, so that logging costs little.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(Formatter(journal=False, dated=False))
        self._chatter = Ring(CHATTER_BYTES)
        self._history = Ring(HISTORY_BYTES)
        self._n = 0

    def emit(self, record: logging.LogRecord) -> None:
        self._n += 1
        matters = record.levelno >= logging.WARNING or record.name == HEALTH
        text = self.format(record)[:LINE_CHARS]
        line = Line(self._n, int(record.created * 1000), record.levelno, text)
        (self._history if matters else self._chatter).add(line)

    def since(self, after: int = 0, limit: int = 100, level: Level = "DEBUG") -> list[Line]:
        """The newest `limit` lines with a number above `after`, of that level or worse."""
        least = logging.getLevelNamesMapping()[level]
        self.acquire()
        try:
            kept = sorted([*self._history.lines, *self._chatter.lines])
        finally:
            self.release()
        return [line for line in kept if line.n > after and line.level >= least][-limit:]

    @property
    def last(self) -> int:
        return self._n


class LevelService:
    """Sets the level of the whole log for a while; it falls back by itself."""

    name = "logs"

    def __init__(self, clock: Clock, root: logging.Logger | None = None) -> None:
        self._clock = clock
        self._root = root or logging.getLogger()
        self._own = self._root.level
        self._until = 0.0
        self._changed = asyncio.Event()

    def put(self, level: Level, seconds: float) -> None:
        self._root.setLevel(level)
        self._until = self._clock.monotonic() + seconds
        self._changed.set()

    async def run(self, heartbeat: Heartbeat) -> None:
        try:
            while True:
                await heartbeat.idle(self._changed.wait())
                self._changed.clear()
                while (left := self._until - self._clock.monotonic()) > 0:
                    await heartbeat.idle(self._clock.sleep(left))
                if not self._changed.is_set():
                    self._root.setLevel(self._own)
        finally:
            self._root.setLevel(self._own)


def _cost(line: Line) -> int:
    return LINE_COST + len(line.text.encode("utf-8", "replace"))
