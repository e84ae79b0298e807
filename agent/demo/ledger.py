"""What the back end received, by key: nothing is stored twice, nothing missing goes unnoticed.

Pure: the verdict and the counters on the page are read from here. The key is `(device, epoch,
stream, seq)`. A `gap` event explains the numbers `from .. to` of its own stream. A number may be
explained because it was never given to an event (the rest of a reserved block) or because the event
was lost with the agent's memory; `issued`, what the device said it had recorded, tells them apart.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class StreamBook:
    """One stream of one epoch of one device."""

    stored_upto: int = 0  # every seq up to here is stored or explained: what may be acknowledged
    newest: int = 0
    issued: int = 0  # the greatest seq that the device itself ever spoke of
    forgotten: int = 0  # the device takes everything up to here for delivered
    waiting: int = 0  # events that the device says it still holds
    raw: int = 0  # events that arrived, repetitions included
    conflicting: int = 0  # a known key with another content: a number was given out twice
    disordered: int = 0  # first arrivals behind a later event of the stream
    explained: int = 0  # numbers that only a gap event accounts for
    given_up: int = 0  # ... of which the device had spoken: real events, lost and said so
    _said: list[int] = field(default_factory=list)  # each `issued` there was, rising
    _stored: dict[int, int] = field(default_factory=dict)  # seq -> digest of the event
    _ahead: set[int] = field(default_factory=set)  # beyond the first hole; empties as holes fill

    @property
    def distinct(self) -> int:
        """Events stored."""
        return len(self._stored)

    @property
    def recorded(self) -> int:
        """Events that the device has recorded, as far as anybody can know. While it holds a block
        that a crash left half used, only it can tell how many of the numbers are events."""
        return self.distinct + self.given_up + min(self.holes(), self.waiting + self.lost())

    def take(self, seq: int, digest: int) -> bool:
        """Whether the event is new; `digest` stands for its content."""
        self.raw += 1
        if seq in self._stored:
            self.conflicting += self._stored[seq] != digest
            return False
        self._stored[seq] = digest
        self.disordered += seq < self.newest
        self._account(seq)
        return True

    def has(self, seq: int) -> bool:
        """Whether the event itself is stored."""
        return seq in self._stored

    def explain(self, first: int, last: int) -> None:
        """A gap event says why `first .. last` never arrive; what did arrive stays counted."""
        # An agent that starts anew speaks of the whole block; what it spoke of before was events.
        earlier = bisect_left(self._said, last)
        used = self._said[earlier - 1] if earlier else 0
        for seq in range(max(first, self.stored_upto + 1), last + 1):
            if seq not in self._stored and seq not in self._ahead:
                self.explained += 1
                self.given_up += seq <= used
                self._account(seq)

    def says(self, *, first_unacked: int, last: int, waiting: int | None = None) -> None:
        """The device speaks of its own outbox; at a birth it does not count what waits."""
        self.waiting = last - first_unacked + 1 if waiting is None else waiting
        if last > self.issued:
            self.issued = last
            self._said.append(last)
        self.forgotten = max(self.forgotten, first_unacked - 1)

    def holes(self) -> int:
        """Numbers that the device spoke of and that are neither stored nor explained."""
        return max(self.issued, self.newest) - self.stored_upto - len(self._ahead)

    def lost(self) -> int:
        """Holes that even the device takes for delivered: nobody has these events any more."""
        return max(
            0, self.forgotten - self.stored_upto - sum(n <= self.forgotten for n in self._ahead)
        )

    def _account(self, seq: int) -> None:
        self.newest = max(self.newest, seq)
        self._ahead.add(seq)
        while self.stored_upto + 1 in self._ahead:
            self.stored_upto += 1
            self._ahead.remove(self.stored_upto)


@dataclass(slots=True)
class Ledger:
    """All streams of all devices."""

    _books: dict[tuple[str, str, str], StreamBook] = field(default_factory=dict)

    def book(self, device: str, epoch: str, stream: str) -> StreamBook:
        return self._books.setdefault((device, epoch, stream), StreamBook())

    def books(self, device: str | None = None) -> Iterator[tuple[tuple[str, str, str], StreamBook]]:
        """Each book with its (device, epoch, stream)."""
        for key, book in self._books.items():
            if device in (None, key[0]):
                yield key, book
