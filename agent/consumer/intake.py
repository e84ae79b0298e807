"""A message -> what to store of it. Pure; any bytes on any topic give records, never an exception.

Bodies are kept as they are: a kind or a field that is not known yet is no reason to lose an event.
What cannot be kept is set aside whole, and where at least its number can be read, the number counts
as accounted for. Otherwise the device would send the same thing again for ever.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from msgspec import Meta

from agent.consumer.ledger import Span
from agent.consumer.records import (
    SET_ASIDE,
    EventRow,
    GapRow,
    Record,
    SetAside,
    StateRow,
    StreamKey,
)
from agent.contract import topics, wire
from agent.contract.errors import Rejected
from agent.contract.events import STREAMS, Event, Gap, Stream
from agent.contract.presence import Presence

MAX_BYTES = 1024 * 1024  # of a message as it travels; devices send a thirtieth of it
BIGINT = 2**63 - 2  # the stores' integers, with room for one more
NAME = re.compile(r"[!-~]{1,64}")  # epochs and kinds

Seq = Annotated[int, Meta(ge=1, le=BIGINT)]


class _Number(msgspec.Struct):
    """The least that must be readable to know which event this was."""

    epoch: str
    stream: Stream
    seq: Seq


class _Gap(msgspec.Struct):
    """As in the contract, with reasons that are not known yet."""

    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")
    reason: str


def read(topic: str, payload: bytes, content_type: str | None) -> list[Record]:
    """At least one record, but for what is not ours and for a cleared retained message."""
    address = topics.parse(topic)
    if address is None or address.branch not in ("evt", "batch", "state"):
        return []
    try:
        return _read(topic, address, payload, content_type)
    except Rejected as rejected:
        return [set_aside(topic, payload, rejected)]


def _read(
    topic: str, address: topics.Address, payload: bytes, content_type: str | None
) -> list[Record]:
    if len(payload) > MAX_BYTES:
        raise Rejected("too_large", f"{len(payload)} bytes; at most {MAX_BYTES} are read")
    device = address.device
    if not topics.DEVICE_ID.fullmatch(device):
        raise Rejected("bad_device", "the topic names no device id")
    if address.branch == "state":
        return _state(device, payload) if payload else []
    if address.branch == "evt":
        return _event(topic, device, address.rest[0] if address.rest else "", payload)
    lines = wire.unpack(payload, content_type)
    return [record for line in lines for record in _event(topic, device, None, line)]


def set_aside(topic: str, payload: bytes, why: Rejected) -> SetAside:
    return SetAside(
        _plain(topic, 300), payload[:MAX_BYTES], len(payload), why.code, _plain(str(why), 300)
    )


def refused(record: Record, why: Rejected) -> list[Record]:
    """The same for what a database would not take."""
    match record:
        case EventRow():
            topic, text = topics.event(record.device, record.kind), bytes(record.body)
            gap = GapRow(record.key, Span(record.seq, record.seq), SET_ASIDE)
            return [set_aside(topic, text, why), gap]
        case StateRow():
            return [set_aside(topics.state(record.device), repr(record).encode(), why)]
    raise why  # the others hold nothing of a stranger's that was not made plain


def _event(topic: str, device: str, kind: str | None, line: bytes) -> list[Record]:
    """`kind` as the topic says it; None where the event has to."""
    try:
        return _kept(device, kind, wire.decode(line, Event, max_bytes=wire.MAX_BATCH_BYTES))
    except UnicodeDecodeError:
        rejected = Rejected("not_json", "not UTF-8")
    except Rejected as error:
        rejected = error
    aside: list[Record] = [set_aside(topic, line, rejected)]
    if (number := _number(line)) is not None:
        key = StreamKey(device, number.epoch, number.stream)
        aside.append(GapRow(key, Span(number.seq, number.seq), SET_ASIDE))
    return aside


def _kept(device: str, kind: str | None, event: Event) -> list[Record]:
    if kind is None:
        kind = event.kind if isinstance(event.kind, str) else ""
    if not (NAME.fullmatch(kind) and NAME.fullmatch(event.epoch)):
        raise Rejected("invalid", "its kind or epoch is no name")
    if not (1 <= event.seq <= BIGINT and -BIGINT <= event.t <= BIGINT):
        raise Rejected("invalid", "its seq or t is out of range")
    key = StreamKey(device, event.epoch, event.stream)
    body = bytes(event.body)
    body.decode()
    if kind == Gap.KIND:
        return _gap(key, event.seq, body)
    return [EventRow(*key, event.seq, kind, event.t, event.tq, msgspec.Raw(body))]


def _number(line: bytes) -> _Number | None:
    try:
        number = wire.decode(line, _Number, max_bytes=wire.MAX_BATCH_BYTES)
    except Rejected:
        return None
    return number if NAME.fullmatch(number.epoch) else None


def _gap(key: StreamKey, seq: int, body: bytes) -> list[Record]:
    """It stands at the last number that it explains, where an event may have been before it was
    given up; so it is no event itself, and takes nobody's place."""
    gap = wire.decode(body, _Gap, max_bytes=MAX_BYTES)
    last = min(gap.last, seq)
    if not 1 <= gap.first <= last or not NAME.fullmatch(gap.reason):
        raise Rejected("invalid", "a gap runs from a number to a later one, up to its own")
    spans = [Span(gap.first, last)] + ([Span(seq, seq)] if last < seq else [])
    return [GapRow(key, span, gap.reason) for span in spans]


def _state(device: str, payload: bytes) -> list[Record]:
    said = wire.decode(payload, Presence, max_bytes=MAX_BYTES)
    streams = [
        (name, Span(stream.first_unacked, stream.last))
        for name, stream in said.streams.items()
        if name in STREAMS
    ]
    numbers = [said.bd_seq, said.since, *(number for _, span in streams for number in span)]
    if not NAME.fullmatch(said.epoch) or any(not 0 <= number <= BIGINT for number in numbers):
        raise Rejected("invalid", "its epoch or one of its numbers is not one")
    boot_id, agent, role, site = (
        _plain(word, 100) for word in (said.boot_id, said.agent, said.role, said.site)
    )
    return [
        StateRow(
            device=device,
            epoch=said.epoch,
            bd_seq=said.bd_seq,
            state=said.state,
            since=said.since,
            boot_id=boot_id,
            agent=agent,
            role=role,
            site=site,
            open_commands=len(said.open_commands),
            streams=tuple(streams),
        )
    ]


def _plain(text: str, limit: int) -> str:
    """Every database takes it."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:limit])
