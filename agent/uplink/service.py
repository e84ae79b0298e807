"""Between the stores and the broker: announces the device, sends the outbox, feeds the inbox.

On each connection every stream starts again behind what is confirmed. New events go out one by one
at once; a backlog goes in batches; `critical` goes first. With `confirm = "backend"` only the back
end's `ack` lets rows go, and what it does not confirm in time is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.contract import topics
from agent.contract.commands import Ack
from agent.contract.errors import Rejected
from agent.contract.events import STREAMS, Stream
from agent.contract.presence import Presence
from agent.contract.wire import decode, encode, encode_batch, encode_lines
from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.store.inbox import Inbox, Incoming
from agent.store.outbox import Outbox, Row
from agent.store.packing import Pack
from agent.uplink.link import Connected, Link, LinkDown, Message, TlsFiles, Will
from agent.uplink.window import NOT_FOUND, Window

log = logging.getLogger(__name__)

BATCH_FROM = 20  # so many waiting rows are a backlog; fewer go one by one
READ_AHEAD = 4  # batches that are read at a time: the way to the store's thread takes its time
LEVEL, QUICK_LEVEL = 6, 2  # zlib: where bytes are dear; where the processor is slower than the link
CONFIRM_S = 20.0  # without progress of the back end's ack, everything unconfirmed is sent again
CONFIRM_MAX_S = 600.0
REFUSED_S = 5.0  # pause of a stream after a PUBACK that refused it
DRAIN_S = 3.0  # at shutdown
DELIVER_S = 30.0  # for one message that is no event
OFFLINE_GRACE_S = 30.0

OpenLink = Callable[
    [Callable[[Message], None], Callable[[Connected], None], Callable[[str], None]], Link
]


@dataclass(slots=True)
class _Progress:
    """Of one stream on this connection, until it has to begin again."""

    cursor: int  # highest seq sent
    moved: float  # monotonic s of the last confirmation
    patience: float = CONFIRM_S
    paused_until: float = 0.0
    more: bool = True  # the store may have rows behind those that were read
    full: bool = False  # it has: the last read took as many as it was allowed to
    ahead: deque[Row | Pack] = field(default_factory=deque)  # read and not sent yet
    ahead_bytes: int = 0

    def read(self, rows: Sequence[Row | Pack], *, full: bool) -> None:
        self.ahead.extend(rows)
        self.ahead_bytes += sum(row.size for row in rows)
        self.full = full
        self.more = self.more or full

    def ready(self, batch_bytes: int) -> bool:
        """Whether there is something to send; the end of a read waits for what follows it."""
        return self._packed() or (
            bool(self.ahead) and not (self.full and self.ahead_bytes < batch_bytes)
        )

    def backlog(self, batch_bytes: int) -> bool:
        """Whether what was read is to go in batches."""
        rows = len(self.ahead)
        return (
            self._packed() or rows >= BATCH_FROM or (self.ahead_bytes >= batch_bytes and rows > 1)
        )

    def _packed(self) -> bool:
        return bool(self.ahead) and isinstance(self.ahead[0], Pack)

    def take_pack(self) -> Pack | None:
        """The next pack, where it is its turn."""
        if not (self.ahead and isinstance(pack := self.ahead[0], Pack)):
            return None
        self.ahead.popleft()
        self.ahead_bytes -= pack.size
        self.cursor = pack.seq
        return pack

    def take(self, max_bytes: int) -> list[Row]:
        """The next rows, at least one."""
        rows: list[Row] = []
        size = 0
        while self.ahead and size < max_bytes and isinstance(row := self.ahead[0], Row):
            rows.append(row)
            self.ahead.popleft()
            size += row.size
        self.ahead_bytes -= size
        self.cursor = rows[-1].seq
        return rows


@dataclass(slots=True)
class Uplink:
    """`born` is awaited on every connection, before the outbox is sent."""

    device: str
    confirm: Literal["backend", "broker"]
    open_link: OpenLink
    outbox: Outbox
    inbox: Inbox
    clock: Clock
    health: Health
    presence: Callable[[Literal["online", "offline", "lost"]], Awaitable[Presence]]
    born: Sequence[Callable[[], Awaitable[None]]] = ()
    name: str = "uplink"
    up_since: float | None = None  # unix s
    down_since: float | None = None  # unix s
    trouble: str | None = None  # why there is no connection
    _link: Link | None = None
    _window: Window | None = None
    _streams: dict[Stream, _Progress] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)  # there may be something to send
    _hungry: asyncio.Event = field(default_factory=asyncio.Event)  # ... or something to read
    _announced: Window | None = None  # the connection on which the birth was said
    _overflow: bool = False

    async def run(self, heartbeat: Heartbeat) -> None:
        self._link = self.open_link(self._on_message, self._on_up, self._on_down)
        self.outbox.committed = self._on_committed
        self.outbox.moved = self._on_moved
        self.outbox.taken_back = self.reread
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._link.run())
                group.create_task(self._tick())
                group.create_task(self._read())
                while True:
                    await heartbeat.idle(self._wake.wait())
                    self._wake.clear()
                    if self._window is not None:
                        await self._serve(self._window)
                        heartbeat.well()
        finally:
            self._window = self.up_since = None  # the link ended with its task

    async def will(self) -> Will:
        """What the broker says when this device falls silent."""
        payload = encode(await self.presence("lost"))
        return Will(topics.state(self.device), payload)

    @property
    def broker(self) -> str | None:
        """URL of the one that is in use, or tried next."""
        return None if self._link is None else self._link.url

    @property
    def sending(self) -> bool:
        """Whether what is recorded goes out: there is a connection, and it was greeted."""
        return self._window is not None and self._announced is self._window

    async def switch(self, files: TlsFiles) -> None:
        """See Link.switch; raises LinkDown, OSError."""
        if self._link is None:
            raise LinkDown
        await self._link.switch(files)

    def spread(self, window_s: float) -> None:
        """When the broker ends the connection, come back within so many seconds."""
        if self._link is not None:
            self._link.spread(window_s)

    async def reply(self, topic: str, payload: bytes, correlation: bytes | None) -> None:
        """Answer a request on the topic that it named; best effort, the event is the record."""
        if self._link is not None:
            try:
                self._link.publish(topic, payload, correlation=correlation)
            except (LinkDown, ValueError) as error:
                log.warning("a command's answer could not be sent: %s", error)

    async def deliver(
        self, topic: str, payload: bytes, content_type: str, deadline_s: float = DELIVER_S
    ) -> int | None:
        """Sent once: the reason code of its PUBACK; None where none came in time."""
        if self._link is None or not self._link.up:
            return None
        acked: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def on_ack(code: int) -> None:
            if not acked.done():
                acked.set_result(code)

        try:
            self._link.publish(topic, payload, content_type=content_type, on_ack=on_ack)
        except LinkDown:
            return None
        late = asyncio.ensure_future(self.clock.sleep(deadline_s))
        first: list[asyncio.Future[Any]] = [acked, late]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        late.cancel()
        return acked.result() if acked.done() else None

    def publish_retained(
        self, topic: str, payload: bytes, on_ack: Callable[[int], None] | None = None
    ) -> None:
        """State that the newest replaces; without a link it is left out: birth sends it again."""
        if self._link is not None and self._link.up:
            with contextlib.suppress(LinkDown):
                self._link.publish(topic, payload, retain=True, on_ack=on_ack)

    async def drain(self) -> None:
        """At shutdown: send what is left for a few seconds, then say good-bye."""
        if self._window is None:
            return
        deadline = self.clock.monotonic() + DRAIN_S
        self._on_committed()
        while self.clock.monotonic() < deadline and any((await self.outbox.backlog()).values()):
            await self.clock.sleep(0.1)
        await self._announce("offline")

    # --- the link's callbacks ---------------------------------------------------------------------

    def _on_up(self, connected: Connected) -> None:
        now = self.clock.monotonic()
        self._streams = {name: _Progress(self.outbox.acked(name), now) for name in STREAMS}
        self._window = Window(connected.receive_maximum)
        self.up_since, self.down_since, self.trouble = self.clock.wall(), None, None
        self.health.clear("uplink")
        self._hungry.set()
        self._wake.set()

    def _on_moved(self) -> None:
        if self._link is not None:
            self._link.reset("the outbox begins a new epoch")

    def _on_down(self, reason: str) -> None:
        self._window = None
        if self.down_since is None:
            self.down_since = self.clock.wall()
        self.up_since, self.trouble = None, reason
        if self._link is not None and self._link.contested:
            self.health.set(
                "identity.twin",
                "connections end soon after they are made, again and again: is there another device"
                f" with the id {self.device}? Each needs its own device.id",
                severity="critical",
            )
        self.health.set(
            "uplink",
            f"no connection to the back end: {reason}. Everything is kept and will be sent.",
            grace_s=OFFLINE_GRACE_S,
        )

    def _on_message(self, message: Message) -> None:
        address = topics.parse(message.topic)
        if address is None or address.device != self.device or self._link is None:
            return
        link = self._link
        if address.branch == "ack":
            self._on_ack(address, message.payload)
            link.acknowledge(message)
            return
        incoming = Incoming(
            message.topic,
            address,
            message.payload,
            message.response_topic,
            message.correlation,
            lambda: link.acknowledge(message),
        )
        if not self.inbox.offer(incoming):
            self._overflow = True  # not acknowledged: the broker keeps it

    def _on_ack(self, address: topics.Address, payload: bytes) -> None:
        stream = address.rest[0] if address.rest else ""
        try:
            ack = decode(payload, Ack, max_bytes=1024)
        except Rejected as rejected:
            log.warning("bad ack for %s: %s", stream, rejected)
            return
        if stream not in STREAMS or ack.epoch != self.outbox.epoch:
            return
        before = self.outbox.acked(stream)
        self.outbox.ack(stream, ack.seq)
        progress = self._streams.get(stream)
        if progress is not None and self.outbox.acked(stream) > before:
            progress.moved, progress.patience = self.clock.monotonic(), CONFIRM_S

    def _on_committed(self) -> None:
        for progress in self._streams.values():
            progress.more = True
        self._hungry.set()

    # --- sending ----------------------------------------------------------------------------------

    async def _serve(self, window: Window) -> None:
        try:
            if self._announced is not window:
                sent = self.clock.monotonic()
                await self._announce(
                    "online", lambda _: window.round_trip(self.clock.monotonic() - sent)
                )
                for hook in self.born:
                    await hook()
                self._announced = window
            await self._send(window)
        except LinkDown:
            log.info("the link went down while sending; what is unconfirmed goes out again")

    async def _read(self) -> None:
        """Keeps rows at hand, so that the store reads while others are packed and sent."""
        while True:
            await self._hungry.wait()
            self._hungry.clear()
            while (window := self._window) is not None and (choice := self._hungriest(window)):
                progress = self._streams[choice]
                progress.more = False
                after = progress.ahead[-1].seq if progress.ahead else progress.cursor
                size = window.batch_bytes
                rows: Sequence[Row | Pack] = ()
                if progress.full:
                    rows = await self.outbox.pack(choice, after, max_bytes=size, count=READ_AHEAD)
                    full = len(rows) == READ_AHEAD
                    progress.more = True  # what is left is for `fetch`
                else:
                    rows = await self.outbox.fetch(choice, after, max_bytes=READ_AHEAD * size)
                    full = sum(row.size for row in rows) >= READ_AHEAD * size
                if self._streams[choice] is progress:  # it may have begun again meanwhile
                    progress.read(rows, full=full)
                    self._wake.set()

    def _hungriest(self, window: Window) -> Stream | None:
        for name, progress in self._streams.items():
            if progress.more and progress.ahead_bytes < READ_AHEAD * window.batch_bytes:
                return name
        return None

    async def _send(self, window: Window) -> None:
        while self._window is window and (choice := self._choose(window)) is not None:
            progress = self._streams[choice]
            if progress.backlog(window.batch_bytes):
                self._send_batch(window, choice, progress)
            else:
                self._send_singly(window, choice, progress)
            self._hungry.set()
            await self.clock.sleep(0)  # lets PUBACKs in, and what is urgent

    def _choose(self, window: Window) -> Stream | None:
        """The most urgent stream that has something and may send it."""
        now = self.clock.monotonic()
        for name, progress in self._streams.items():
            ready = progress.ready(window.batch_bytes) and now >= progress.paused_until
            if ready and window.room(name, batch=progress.backlog(window.batch_bytes)):
                return name
        return None

    def _send_batch(self, window: Window, stream: Stream, progress: _Progress) -> None:
        if pack := progress.take_pack():
            lines = pack.lines
        else:
            rows = progress.take(window.batch_bytes)
            lines = encode_lines(self.outbox.event(stream, row, batched=True) for row in rows)
        level = QUICK_LEVEL if window.quick else LEVEL
        payload, content_type = encode_batch(lines, level=level)
        topic = topics.batch(self.device, stream)
        keep_s = self.outbox.expiry.left_s(stream, 0, "none")  # of its newest, at most
        self._publish(window, stream, progress.cursor, topic, payload, content_type, keep_s)

    def _send_singly(self, window: Window, stream: Stream, progress: _Progress) -> None:
        while progress.ahead and window.room(stream, batch=False):
            (row,) = progress.take(1)
            payload = encode(self.outbox.event(stream, row, batched=False))
            topic = topics.event(self.device, row.kind)
            left_s = self.outbox.expiry.left_s(stream, row.t, row.tq)
            self._publish(window, stream, row.seq, topic, payload, expiry_s=left_s)

    def _publish(
        self,
        window: Window,
        stream: Stream,
        last: int,
        topic: str,
        payload: bytes,
        content_type: str | None = None,
        expiry_s: int | None = None,
    ) -> None:
        assert self._link is not None
        now = self.clock.monotonic()
        token = window.sent(stream, last, now, batch=content_type is not None)
        self._link.publish(
            topic,
            payload,
            content_type=content_type,
            expiry_s=expiry_s,
            on_ack=lambda reason: self._on_puback(window, stream, token, reason),
        )

    def _on_puback(self, window: Window, stream: Stream, token: int, reason: int) -> None:
        if window is not self._window or not window.knows(token):
            return
        window.acked(token, reason, self.clock.monotonic())
        # A broker that nobody asks for positions may drop them; orders and fences wait.
        dropped = (NOT_FOUND,) if self.confirm == "broker" and stream == "telemetry" else ()
        upto, refused = window.take(stream, (0, *dropped))
        if self.confirm == "broker" and upto is not None:
            self.outbox.ack(stream, upto)
        if refused is not None:
            self._rewind(stream, self.clock.monotonic() + REFUSED_S)
            what = "nobody subscribes to it" if refused == NOT_FOUND else f"reason 0x{refused:02x}"
            self.health.set(
                f"uplink.{stream}", f"the broker takes no {stream} events: {what}", grace_s=30.0
            )
        elif upto is not None:
            self.health.clear(f"uplink.{stream}")
        self._wake.set()

    def _rewind(self, stream: Stream, not_before: float) -> None:
        """Send everything unconfirmed of a stream again."""
        assert self._window is not None
        self._window.forget(stream)
        old = self._streams[stream]
        self._streams[stream] = _Progress(
            self.outbox.acked(stream), old.moved, old.patience, not_before
        )
        self._hungry.set()

    def reread(self) -> None:
        """The outbox took rows back: what was read of them is not sent."""
        for name, old in self._streams.items():
            self._streams[name] = _Progress(old.cursor, old.moved, old.patience, old.paused_until)
        self._hungry.set()

    async def announce(self) -> None:
        """Say anew how the device is; where there is no link, the next birth does."""
        if self._window is not None and self._announced is self._window:
            await self._announce("online")

    async def _tick(self) -> None:
        while True:
            await self.clock.tick(1.0)
            if self._window is None:
                continue
            now = self.clock.monotonic()
            if self._link is not None and not self._link.contested:
                self.health.clear("identity.twin")
            if self._overflow and self.inbox.empty and self._link is not None:
                self._overflow = False
                self._link.reset("the inbox was full; asking the broker to send again")
            for stream, progress in list(self._streams.items()):
                if progress.cursor <= self.outbox.acked(stream):
                    progress.moved = now
                elif self.confirm == "backend" and now - progress.moved > progress.patience:
                    progress.moved = now
                    progress.patience = min(progress.patience * 2, CONFIRM_MAX_S)
                    self._rewind(stream, now)
            waits = (p.ahead and now >= p.paused_until for p in self._streams.values())
            if not self.sending or any(waits):
                self._wake.set()

    async def _announce(
        self, state: Literal["online", "offline"], on_ack: Callable[[int], None] | None = None
    ) -> None:
        payload = encode(await self.presence(state))
        self.publish_retained(topics.state(self.device), payload, on_ack)
