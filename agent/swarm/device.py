"""A simulated device: the contract on the wire, the life of a command, one connection."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from agent.contract import topics
from agent.contract.commands import MAX_BYTES, Ack, Command
from agent.contract.errors import Rejected
from agent.contract.presence import Presence, StreamState
from agent.contract.wire import decode, encode
from agent.swarm import packets
from agent.swarm.ledger import Row
from agent.swarm.packets import Packet, Parser, Published

WINDOW = 16  # events in flight
KEEPALIVE_S = 120
SESSION_S = 3600


class Crowd(Protocol):
    """Where the device lives."""

    epoch: str
    boot_id: str

    def take(self, device: Device, cmd_id: str, name: str, packet_id: int | None) -> None: ...

    def acknowledge(self, device: Device, seq: int) -> None: ...

    def is_up(self, device: Device) -> None: ...

    def is_down(self, device: Device) -> None: ...


class Device(asyncio.Protocol):
    def __init__(self, name: str, crowd: Crowd, seq: int, bd_seq: int, rows: list[Row]) -> None:
        self.name = name
        self.seq = seq
        self.bd_seq = bd_seq
        self.acked = rows[0].seq - 1 if rows else seq
        self.rows: deque[Row] = deque(rows)  # not acknowledged by the back end
        self.up = False
        self.attempts = 0  # since it was up last
        self._sent = 0  # of `rows`
        self._in_flight = 0
        self._next_id = 0
        self._crowd = crowd
        self._transport: asyncio.Transport | None = None
        self._parser = Parser()

    # --- asyncio's callbacks ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._parser = Parser()
        self.bd_seq += 1
        will = (topics.state(self.name), encode(self._presence("lost")))
        transport.write(
            packets.connect(
                self.name, keepalive_s=KEEPALIVE_S, session_expiry_s=SESSION_S, will=will
            )
        )

    def data_received(self, data: bytes) -> None:
        for packet in self._parser.feed(data):
            self._on_packet(packet)

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        self.up = False
        self._crowd.is_down(self)

    # --- what comes -------------------------------------------------------------------------------

    def _on_packet(self, packet: Packet) -> None:
        if packet.kind == packets.PUBLISH:
            self._on_publish(packets.published(packet))
        elif packet.kind == packets.PUBACK:
            self._in_flight -= 1
            self.flush()
        elif packet.kind == packets.CONNACK:
            if packets.accepted(packet):
                self._write(packets.subscribe(self._id(), topics.subscriptions(self.name)))
            else:
                self.cut()
        elif packet.kind == packets.SUBACK:
            self._born()
        elif packet.kind == packets.DISCONNECT:
            self.cut()

    def _born(self) -> None:
        self._sent = self._in_flight = 0  # what was under way is sent again
        self.up = True
        self._write(
            packets.publish(
                topics.state(self.name), encode(self._presence("online")), self._id(), retain=True
            )
        )
        self._in_flight += 1
        self._crowd.is_up(self)
        self.flush()

    def _on_publish(self, message: Published) -> None:
        address = topics.parse(message.topic)
        if address is not None and address.branch == "cmd" and len(address.rest) == 2:
            name, cmd_id = address.rest
            try:
                decode(message.payload, Command, max_bytes=MAX_BYTES)
            except Rejected:
                name = ""
            self._crowd.take(self, cmd_id, name, message.id)
            return  # its PUBACK follows the commit
        if address is not None and address.branch == "ack" and address.rest == ("critical",):
            ack = msgspec.json.decode(message.payload, type=Ack)
            if ack.epoch == self._crowd.epoch:
                self._on_ack(ack.seq)
        if message.id is not None:
            self.puback(message.id)

    def _on_ack(self, seq: int) -> None:
        while self.rows and self.rows[0].seq <= seq:
            self.rows.popleft()
            self._sent = max(0, self._sent - 1)
        self.acked = max(self.acked, seq)
        self._crowd.acknowledge(self, seq)

    # --- what goes --------------------------------------------------------------------------------

    def event(self, body: Callable[[int], bytes]) -> Row:
        """A new row, to be committed and then given to `send()`."""
        self.seq += 1
        return Row(self.name, self.seq, body(self.seq))

    def send(self, row: Row) -> None:
        self.rows.append(row)
        self.flush()

    def flush(self) -> None:
        while self.up and self._sent < len(self.rows) and self._in_flight < WINDOW:
            row = self.rows[self._sent]
            topic = topics.event(self.name, "command")
            self._write(packets.publish(topic, row.body, self._id()))
            self._sent += 1
            self._in_flight += 1

    def puback(self, id_: int) -> None:
        self._write(packets.puback(id_))

    def ping(self) -> None:
        self._write(packets.PINGREQ)

    def cut(self) -> None:
        """As a cable that is cut: no good-bye, the broker publishes the will."""
        if self._transport is not None:
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _id(self) -> int:
        self._next_id = self._next_id % 65535 + 1
        return self._next_id

    def _presence(self, state: str) -> Presence:
        return msgspec.convert(
            {
                "state": state,
                "bd_seq": self.bd_seq,
                "boot_id": self._crowd.boot_id,
                "agent": "swarm",
                "role": "shop",
                "site": "",
                "since": 0,
                "epoch": self._crowd.epoch,
                "streams": {"critical": StreamState(self.acked + 1, self.seq)},
            },
            Presence,
        )
