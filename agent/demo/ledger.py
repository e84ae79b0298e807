"""What the back end received, by key: nothing is stored twice, nothing missing goes unnoticed.

Pure: the verdict and the counters on the page are read from here. `(device, epoch, stream, seq)` is
the key. A `gap` event explains the numbers `from .. to` of its own stream.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class StreamBook:
    """One stream of one epoch of one device."""

    stored_upto: int = 0  # every seq up to here is stored or explained: what may be acknowledged
    newest: int = 0
    distinct: int = 0  # events stored
    raw: int = 0  # events that arrived, repetitions included
    disordered: int = 0  # first arrivals behind a later event of the stream
    explained: int = 0  # numbers that a gap event accounts for
    _ahead: set[int] = field(default_factory=set)  # beyond the first hole; empties as holes fill

    def take(self, seq: int) -> bool:
        """Whether the event is new."""
        self.raw += 1
        if self._has(seq):
            return False
        self.distinct += 1
        if seq < self.newest:
            self.disordered += 1
        self._add(seq)
        return True

    def explain(self, first: int, last: int) -> None:
        """A gap event says why `first .. last` never arrive; what did arrive stays counted."""
        for seq in range(max(first, self.stored_upto + 1), last + 1):
            if not self._has(seq):
                self.explained += 1
                self._add(seq)

    def holes(self, last_issued: int) -> int:
        """Numbers up to `last_issued` that are neither stored nor explained."""
        end = max(last_issued, self.newest)
        return end - self.stored_upto - len(self._ahead)

    def _has(self, seq: int) -> bool:
        return seq <= self.stored_upto or seq in self._ahead

    def _add(self, seq: int) -> None:
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
