"""Messages to the broker, no more under way than it takes, none forgotten when the link drops."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from agent.demo.backend import Outgoing
from agent.uplink.link import Link, LinkDown

QUEUE_MAX = 50_000  # far more than a rush; beyond it the oldest goes, and a birth brings it again


@dataclass(slots=True)
class Post:
    """`sent` hears of each message that goes out for the first time."""

    sent: Callable[[Outgoing], None]
    link: Link
    _limit: int = 1
    _queue: deque[Outgoing] = field(default_factory=lambda: deque(maxlen=QUEUE_MAX))
    _flying: dict[int, Outgoing] = field(default_factory=dict)
    _next: int = 0

    def up(self, limit: int) -> None:
        """A connection whose broker takes `limit` messages unacknowledged."""
        self._limit = limit
        self._queue.extendleft(reversed(self._flying.values()))
        self._flying.clear()
        self._pump()

    def send(self, outgoing: Outgoing) -> None:
        self._queue.append(outgoing)
        self.sent(outgoing)
        self._pump()

    def _pump(self) -> None:
        while self._queue and len(self._flying) < self._limit:
            outgoing, self._next = self._queue.popleft(), self._next + 1
            self._flying[self._next] = outgoing
            done = partial(self._done, self._next)
            try:
                self.link.publish(outgoing.topic, outgoing.payload, on_ack=done)
            except LinkDown:
                return  # `up` sends again what was under way

    def _done(self, number: int, _reason: int) -> None:
        self._flying.pop(number, None)
        self._pump()
