"""What a message comes to for the store: events, gaps, presence, and what is set aside."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec

from agent.consumer.ledger import Span

# How far from `online` within one connection; a copy that comes late takes nothing back.
_RANK = {"online": 0, "sleeping": 1, "offline": 2, "lost": 2}

# Why a number will not come as an event, beside what a device's `gap` says.
FORGOTTEN = "forgotten"  # the device takes it for delivered and has deleted it
SET_ASIDE = "set_aside"  # it came, and is no event


class StreamKey(NamedTuple):
    device: str
    epoch: str
    stream: str


class EventRow(msgspec.Struct, frozen=True):
    device: str
    epoch: str
    stream: str
    seq: int
    kind: str
    t: int  # unix ms at which it happened
    tq: str
    body: msgspec.Raw  # JSON, UTF-8

    @property
    def key(self) -> StreamKey:
        return StreamKey(self.device, self.epoch, self.stream)


@dataclass(frozen=True, slots=True)
class GapRow:
    """Numbers that are accounted for without an event."""

    key: StreamKey
    span: Span
    reason: str


@dataclass(frozen=True, slots=True)
class StateRow:
    """A presence message. `streams`: name -> (first unacknowledged, newest) as the device knows."""

    device: str
    epoch: str
    bd_seq: int
    state: Literal["online", "sleeping", "offline", "lost"]
    since: int  # unix ms
    boot_id: str
    agent: str
    role: str
    site: str
    open_commands: int
    streams: tuple[tuple[str, Span], ...] = ()

    def values(self, now_ms: int) -> tuple[str | int, ...]:
        """In the order of the table's columns."""
        return (
            self.device, self.state, self.epoch, self.bd_seq, self.since, self.boot_id, self.agent,
            self.role, self.site, self.open_commands, now_ms,
        )  # fmt: skip

    def supersedes(self, known: Known | None) -> bool:
        """Whether the device is to be seen like this, after what is known of it."""
        if known is None:
            return True
        if (
            self.epoch != known.epoch
        ):  # a new database; of the old one a will may still be under way
            return self.state != "lost" or self.since >= known.since
        return (self.bd_seq, _RANK[self.state]) >= (known.bd_seq, _RANK[known.state])


class Known(NamedTuple):
    """What decides whether a presence message is news."""

    epoch: str
    bd_seq: int
    state: str
    since: int


@dataclass(frozen=True, slots=True)
class SetAside:
    """A message, or one event of it, that cannot be kept as what it claims to be."""

    topic: str
    payload: bytes  # as far as it is kept
    size: int  # bytes that there were
    code: str
    text: str

    @property
    def digest(self) -> str:
        """The same thing sent again is the same row."""
        return hashlib.sha256(self.topic.encode() + b"\0" + self.payload).hexdigest()[:32]

    def values(self, now_ms: int) -> tuple[str | bytes | int, ...]:
        """In the order of the table's columns."""
        text = (self.digest, self.topic, self.code, self.text)
        return (*text, self.payload, self.size, 1, now_ms, now_ms)


Record = EventRow | GapRow | StateRow | SetAside
