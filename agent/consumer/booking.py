"""One transaction: records go in, and what may be acknowledged once it is committed comes out.

The same for every database. Instances that work side by side meet in `lock()`: whoever holds a
stream's mark is alone with that stream until its transaction ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from agent.consumer.ledger import Coverage, Span, window
from agent.consumer.records import (
    FORGOTTEN,
    EventRow,
    GapRow,
    Known,
    Record,
    SetAside,
    StateRow,
    StreamKey,
)


class Mark(NamedTuple):
    contiguous: int = 0
    newest: int = 0  # the greatest number accounted for
    told: int = 0  # the greatest number that the device spoke of in its presence


class Run(NamedTuple):
    """Numbers accounted for beyond the first hole of a stream."""

    key: StreamKey
    span: Span


class Transaction(Protocol):
    """What a database does for `book()`; keys come sorted, so that nobody waits in a circle."""

    def lock(self, keys: Sequence[StreamKey]) -> dict[StreamKey, Mark]:
        """The marks of these streams, made where they are missing, until the end."""
        ...

    def insert_events(self, rows: Sequence[EventRow], now_ms: int) -> int:
        """How many of them were new."""
        ...

    def insert_gaps(self, rows: Sequence[GapRow], now_ms: int) -> None: ...

    def ahead(self, windows: Sequence[Run]) -> list[Run]:
        """The runs that overlap these windows."""
        ...

    def replace_ahead(self, gone: Collection[Run], new: Collection[Run]) -> None: ...

    def write_marks(self, marks: dict[StreamKey, Mark]) -> None: ...

    def known(self, devices: Sequence[str]) -> dict[str, Known]:
        """What is known of these devices, until the end nobody else's to change."""
        ...

    def write_devices(self, rows: Sequence[StateRow], now_ms: int) -> None: ...

    def set_aside(self, rows: Sequence[SetAside], now_ms: int) -> None:
        """What was set aside before is counted again."""
        ...


@dataclass(slots=True)
class Outcome:
    """Of a committed transaction."""

    acks: dict[StreamKey, int] = field(default_factory=dict)  # stored up to here
    stored: int = 0  # events, new ones
    duplicates: int = 0
    set_aside: int = 0

    def then(self, later: Outcome) -> Outcome:
        return Outcome(
            self.acks | later.acks,
            self.stored + later.stored,
            self.duplicates + later.duplicates,
            self.set_aside + later.set_aside,
        )


def book(tx: Transaction, records: Iterable[Record], now_ms: int) -> Outcome:
    events: list[EventRow] = []
    gaps: list[GapRow] = []
    states: list[StateRow] = []
    aside: dict[str, SetAside] = {}
    for record in records:
        match record:
            case EventRow():
                events.append(record)
            case GapRow():
                gaps.append(record)
            case StateRow():
                states.append(record)
            case SetAside():
                aside[record.digest] = record
    spans: defaultdict[StreamKey, list[Span]] = defaultdict(list)
    for event in events:
        spans[event.key].append(Span(event.seq, event.seq))
    for gap in gaps:
        spans[gap.key].append(gap.span)
    said: dict[StreamKey, Span] = {}
    for state in states:
        for stream, span in state.streams:
            key = StreamKey(state.device, state.epoch, stream)
            said[key] = Span(*map(max, span, said.get(key, span)))
    marks = tx.lock(sorted(spans.keys() | said.keys()))
    for key, (first_unacked, _) in said.items():
        if marks[key].contiguous < first_unacked - 1:
            lost = Span(marks[key].contiguous + 1, first_unacked - 1)
            gaps.append(GapRow(key, lost, FORGOTTEN))
            spans[key].append(lost)
    stored = tx.insert_events(events, now_ms) if events else 0
    if gaps:
        tx.insert_gaps(gaps, now_ms)
    marks |= _advance(tx, marks, spans, said)
    _see(tx, states, now_ms)
    if aside:
        tx.set_aside([aside[digest] for digest in sorted(aside)], now_ms)
    # A birth is answered too: what the device still keeps though it is stored, it may forget.
    answered = {key for key, span in said.items() if span.first <= marks[key].contiguous}
    acks = {key: marks[key].contiguous for key in spans.keys() | answered if marks[key].contiguous}
    return Outcome(acks, stored, len(events) - stored, len(aside))


def _advance(
    tx: Transaction,
    marks: dict[StreamKey, Mark],
    spans: dict[StreamKey, list[Span]],
    said: dict[StreamKey, Span],
) -> dict[StreamKey, Mark]:
    """The marks that change, written; and the runs beyond the holes with them."""
    news = {
        key: fresh
        for key, all_ in spans.items()
        if (fresh := [span for span in all_ if span.last > marks[key].contiguous])
    }
    near: defaultdict[StreamKey, list[Span]] = defaultdict(list)
    if news:
        for key, span in tx.ahead([Run(key, window(fresh)) for key, fresh in news.items()]):
            near[key].append(span)
    gone: set[Run] = set()
    new: set[Run] = set()
    changed: dict[StreamKey, Mark] = {}
    for key in spans.keys() | said.keys():
        old = mark = marks[key]
        if key in news:
            before = Coverage(mark.contiguous, tuple(near[key]))
            after = before.add(news[key])
            gone |= {Run(key, span) for span in set(before.ahead) - set(after.ahead)}
            new |= {Run(key, span) for span in set(after.ahead) - set(before.ahead)}
            newest = max(mark.newest, *(span.last for span in news[key]))
            mark = mark._replace(contiguous=after.contiguous, newest=newest)
        if key in said:
            mark = mark._replace(told=max(mark.told, said[key].last))
        if mark != old:
            changed[key] = mark
    if gone or new:
        tx.replace_ahead(gone, new)
    if changed:
        tx.write_marks(changed)
    return changed


def _see(tx: Transaction, states: Sequence[StateRow], now_ms: int) -> None:
    """Presence: of several messages of a device the last one that is news."""
    if not states:
        return
    known = tx.known(sorted({state.device for state in states}))
    news: dict[str, StateRow] = {}
    for state in states:
        if state.supersedes(known.get(state.device)):
            news[state.device] = state
            known[state.device] = Known(state.epoch, state.bd_seq, state.state, state.since)
    if news:
        tx.write_devices([news[device] for device in sorted(news)], now_ms)
