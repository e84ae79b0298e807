"""A stand-in for the central back end: stores by key, acknowledges, re-sends what a device lacks.

Pure: a message goes in, messages to publish and what was learnt come out. It holds everything in
memory; a real one commits before it acknowledges.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.contract import topics, wire
from agent.contract.commands import Ack
from agent.contract.errors import Rejected
from agent.contract.events import BODIES, Body, Event, Gap, OrderEvent, Position
from agent.contract.orders import Order
from agent.contract.presence import Presence
from agent.demo.belief import LATE_S, Belief
from agent.demo.ledger import Ledger

MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Outgoing:
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """An event that was stored now, for the first time."""

    device: str
    kind: str
    t: int  # unix ms at which it happened
    late_s: float  # how much later it arrived
    body: Body


@dataclass(slots=True)
class Reaction:
    publish: list[Outgoing] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    presence: tuple[str, Presence] | None = None  # a device came, went or was lost


@dataclass(slots=True)
class BackEnd:
    ledger: Ledger = field(default_factory=Ledger)
    presences: dict[str, Presence] = field(default_factory=dict)
    beliefs: dict[str, Belief] = field(default_factory=dict)
    rejected: int = 0  # messages that broke the contract
    resent: int = 0  # orders sent again because a device lacked them
    _orders: dict[str, dict[str, Order]] = field(default_factory=dict)  # device -> id -> newest

    def order(self, device: str, order: Order) -> Outgoing:
        """Take an order in and send it to its shop."""
        self._orders.setdefault(device, {})[order.order_id] = order
        return Outgoing(topics.order(device, order.order_id), wire.encode(order))

    def newest(self, device: str, order_id: str) -> Order:
        return self._orders[device][order_id]

    def receive(
        self, topic: str, payload: bytes, content_type: str | None, now_ms: int
    ) -> Reaction:
        """Store what is new; acknowledge after storing, never before."""
        reaction = Reaction()
        address = topics.parse(topic)
        if address is None:
            return reaction
        try:
            if address.branch == "state":
                self._state(address.device, payload, now_ms, reaction)
            else:
                touched: set[tuple[str, str]] = set()
                for event in _events(address, payload, content_type):
                    self._event(address, event, now_ms, reaction)
                    touched.add((event.epoch, event.stream))
                for epoch, stream in touched:
                    upto = self.ledger.book(address.device, epoch, stream).stored_upto
                    ack = wire.encode(Ack(epoch, upto))
                    reaction.publish.append(Outgoing(topics.ack(address.device, stream), ack))
        except Rejected:
            self.rejected += 1
        return reaction

    def _state(self, device: str, payload: bytes, now_ms: int, reaction: Reaction) -> None:
        if not payload:
            return  # a retained message was cleared
        new = wire.decode(payload, Presence, max_bytes=MAX_BYTES)
        old = self.presences.get(device)
        if new.state == "lost" and old is not None and old.bd_seq != new.bd_seq:
            return  # the will of an earlier connection; the device has come back since
        self.presences[device] = new
        for stream, state in new.streams.items():
            book = self.ledger.book(device, new.epoch, stream)
            book.says(first_unacked=state.first_unacked, last=state.last)
        if new.state != "online":
            self.beliefs.setdefault(device, Belief()).lost(now_ms)
        reaction.presence = (device, new)

    def _event(
        self, address: topics.Address, event: Event, now_ms: int, reaction: Reaction
    ) -> None:
        kind = event.kind if isinstance(event.kind, str) else address.rest[0]
        if kind not in BODIES:
            raise Rejected("unknown_kind", kind)
        body = wire.decode(bytes(event.body), BODIES[kind], max_bytes=MAX_BYTES)
        device = address.device
        book = self.ledger.book(device, event.epoch, event.stream)
        if isinstance(body, Gap):
            # Its number may be that of an event which has arrived: what it explains counts anyway.
            book.explain(body.first, event.seq - 1)
            if book.has(event.seq):
                book.raw += 1
                return
        if not book.take(event.seq, zlib.crc32(bytes(event.body))):
            return
        late_s = max(0.0, (now_ms - event.t) / 1000)
        if isinstance(body, Position):
            belief = self.beliefs.setdefault(device, Belief())
            belief.hear(body, late=late_s > LATE_S)
        elif isinstance(body, OrderEvent) and body.action == "reconcile":
            reaction.publish += self._lacking(device, body.orders or {})
        reaction.heard.append(Heard(device, kind, event.t, late_s, body))

    def _lacking(self, device: str, has: dict[str, int]) -> Iterator[Outgoing]:
        """Orders of which the device has no or an older version."""
        for order in self._orders.get(device, {}).values():
            if has.get(order.order_id, 0) < order.version:
                self.resent += 1
                yield Outgoing(topics.order(device, order.order_id), wire.encode(order))


def _events(address: topics.Address, payload: bytes, content_type: str | None) -> Iterator[Event]:
    if address.branch == "batch":
        yield from wire.decode_batch(payload, content_type)
    elif address.branch == "evt" and address.rest:
        yield wire.decode(payload, Event, max_bytes=MAX_BYTES)
