"""The swarm's back end: asks, asks again, acknowledges, and knows how each command ended."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from agent.contract import topics
from agent.contract.commands import Ack, Command
from agent.contract.events import CommandEvent, Event
from agent.contract.wire import encode
from agent.core.clock import Clock
from agent.swarm import packets
from agent.swarm.packets import Packet, Parser

AGAIN_S = 8.0  # without an end, the same command is sent again: devices know it by its id
RETRY_S = 0.5
FINAL = frozenset({"succeeded", "failed", "rejected", "timed_out", "unknown"})


@dataclass(slots=True)
class Asked:
    device: str
    cmd_id: str
    first: float  # monotonic s
    last: float
    times: int = 1
    accepted: float | None = None
    ended: float | None = None
    status: str = ""


@dataclass(slots=True)
class BackEnd:
    """One connection, made again at once; `seen` gaps and repetitions are counted."""

    port: int
    context: ssl.SSLContext | None
    clock: Clock
    asked: dict[str, Asked] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    marks: dict[tuple[str, str], int] = field(default_factory=dict)  # device, epoch -> contiguous
    ahead: dict[tuple[str, str], set[int]] = field(default_factory=dict)
    repeated: int = 0
    twice: int = 0  # another end for one that has ended: must stay 0
    up: asyncio.Event = field(default_factory=asyncio.Event)
    _to_ack: set[tuple[str, str]] = field(default_factory=set)
    _transport: asyncio.Transport | None = None
    _next_id: int = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._connect())
            group.create_task(self._acknowledge())
            group.create_task(self._ask_again())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            ended = asyncio.Event()
            try:
                await loop.create_connection(
                    lambda ended=ended: _Wire(self, ended.set), "127.0.0.1", self.port,
                    ssl=self.context, server_hostname="localhost" if self.context else None,
                )  # fmt: skip
            except OSError:
                await self.clock.sleep(RETRY_S)
                continue
            await ended.wait()
            self.up.clear()
            self._transport = None
            await self.clock.sleep(RETRY_S)

    def ask(self, device: str, cmd_id: str, name: str = "ping") -> None:
        now = self.clock.monotonic()
        self.asked[cmd_id] = Asked(device, cmd_id, now, now)
        self.open.add(cmd_id)
        self._publish(topics.command(device, name, cmd_id), encode(Command()))

    async def _ask_again(self) -> None:
        while True:
            await self.clock.sleep(1.0)
            now = self.clock.monotonic()
            for cmd_id in self.open if self.up.is_set() else ():
                asked = self.asked[cmd_id]
                if now - asked.last >= AGAIN_S:
                    asked.last, asked.times = now, asked.times + 1
                    topic = topics.command(asked.device, "ping", cmd_id)
                    self._publish(topic, encode(Command()))

    async def _acknowledge(self) -> None:
        while True:
            await self.clock.sleep(0.5)
            if not self.up.is_set():
                continue
            to_ack, self._to_ack = self._to_ack, set()
            for device, epoch in to_ack:
                ack = Ack(epoch, self.marks[device, epoch])
                self._publish(topics.ack(device, "critical"), encode(ack))

    def on_event(self, device: str, payload: bytes) -> None:
        event = msgspec.json.decode(payload, type=Event)
        key = (device, event.epoch)
        mark, ahead = self.marks.get(key, 0), self.ahead.setdefault(key, set())
        self._to_ack.add(key)
        if event.seq <= mark or event.seq in ahead:
            self.repeated += 1
            return
        ahead.add(event.seq)
        while mark + 1 in ahead:
            mark += 1
            ahead.remove(mark)
        self.marks[key] = mark
        self._on_command(msgspec.json.decode(event.body, type=CommandEvent))

    def _on_command(self, said: CommandEvent) -> None:
        asked = self.asked.get(said.cmd_id)
        if asked is None:
            return
        now = self.clock.monotonic()
        if asked.accepted is None:
            asked.accepted = now
        if said.status in FINAL:
            if asked.ended is not None:
                self.twice += 1
            asked.ended, asked.status = now, said.status
            self.open.discard(said.cmd_id)

    def _publish(self, topic: str, payload: bytes) -> None:
        if self._transport is not None:
            self._next_id = self._next_id % 65535 + 1
            self._transport.write(packets.publish(topic, payload, self._next_id))


class _Wire(asyncio.Protocol):
    def __init__(self, back_end: BackEnd, ended: Callable[[], None]) -> None:
        self._back_end = back_end
        self._ended = ended
        self._parser = Parser()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        will = ("edge/backend", b"")
        transport.write(
            packets.connect("backend", keepalive_s=600, session_expiry_s=3600, will=will)
        )

    def data_received(self, data: bytes) -> None:
        acks = []
        for packet in self._parser.feed(data):
            if packet.kind == packets.PUBLISH:
                message = packets.published(packet)
                device = message.topic.split("/")[2]
                if message.topic.endswith("/evt/command"):
                    self._back_end.on_event(device, message.payload)
                if message.id is not None:
                    acks.append(packets.puback(message.id))
            else:
                self._on_other(packet)
        if acks:
            self._transport.write(b"".join(acks))

    def _on_other(self, packet: Packet) -> None:
        if packet.kind == packets.CONNACK:
            self._transport.write(packets.subscribe(1, ["edge/v1/+/evt/#"]))
        elif packet.kind == packets.SUBACK:
            self._back_end._transport = self._transport  # noqa: SLF001 - its other half
            self._back_end.up.set()
        elif packet.kind == packets.DISCONNECT:
            self._transport.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        self._ended()
