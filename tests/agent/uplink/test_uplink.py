"""Outbox and inbox through a real mosquitto to a back end and back."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from agent.contract import topics
from agent.contract.commands import Ack
from agent.contract.errors import Rejected
from agent.contract.events import Audit, Position
from agent.contract.presence import Presence
from agent.contract.wire import decode_batch, encode
from agent.core.clock import SystemClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat, Supervisor
from agent.store.database import Database, StoreError
from agent.store.inbox import Inbox, Incoming, Route
from agent.store.outbox import Outbox, Row
from agent.uplink import service
from agent.uplink.attempts import SHORT_MAX
from agent.uplink.link import Link, LinkSettings, Message
from agent.uplink.service import Uplink
from agent.uplink.window import BATCH_MIN, Window
from tests.support import Mosquitto, until

DEVICE = "sh-1"


class Device:
    """The stores and the uplink of an agent, without the rooms that fill them."""

    def __init__(self, folder: Path, url: str, confirm: Literal["backend", "broker"]) -> None:
        self.clock = SystemClock()
        self.health = Health(self.clock)
        self.database = Database(folder / "agent.db", self.clock, self.health)
        self.outbox = Outbox(self.database, self.clock, self.health, max_mb=50)
        self.orders: list[bytes] = []
        route = Route(self._order, lambda tx, message, rejected: lambda: None)
        self.inbox = Inbox(
            self.database, self.clock, self.health, self.outbox, {"order": route}
        )  # fmt: skip
        settings = LinkSettings(
            url, DEVICE, tuple(topics.subscriptions(DEVICE)), lambda: self.uplink.will(),
            retry_max_s=0.5,
        )  # fmt: skip
        self.uplink = Uplink(
            DEVICE, confirm,
            lambda m, u, d: Link(settings, self.clock, on_message=m, on_up=u, on_down=d),
            self.outbox, self.inbox, self.clock, self.health, self._presence,
        )  # fmt: skip
        self._tasks: list[asyncio.Future[None]] = []

    async def open(self, *, online: bool = True) -> None:
        await self.database.open()
        await self.outbox.open()
        beat = partial(Heartbeat, clock=self.clock, health=self.health)
        self._tasks = [
            asyncio.ensure_future(self.outbox.run(beat("outbox"))),
            asyncio.ensure_future(self.inbox.run(beat("inbox"))),
        ]
        if online:
            self.go_online()

    def go_online(self) -> None:
        self._tasks.append(
            asyncio.ensure_future(self.uplink.run(Heartbeat("uplink", self.clock, self.health)))
        )

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.database.close()

    async def _presence(self, state: Any) -> Presence:
        return Presence(
            state=state, bd_seq=1, boot_id="b", agent="0", role="shop", site="s", since=0,
            epoch=self.outbox.epoch, streams=await self.outbox.states(),
        )  # fmt: skip

    def _order(self, tx: sqlite3.Connection, message: Incoming) -> Callable[[], None]:
        if message.payload == b"bad":
            raise Rejected("invalid", "it is bad")
        if message.payload == b"bug":
            raise KeyError("a bug of ours")
        tx.execute("INSERT INTO meta VALUES (?, '')", (message.topic,))
        return lambda: self.orders.append(message.payload)


class BackEnd:
    """A consumer with its own MQTT session."""

    def __init__(self, url: str, *, acks: bool) -> None:
        self.acks = acks
        self.events: dict[tuple[str, int], Any] = {}
        self.raw = 0
        self.batches = 0
        self.arrived: dict[str, list[int]] = {}
        self.states: list[Presence] = []
        self.link = Link(
            LinkSettings(
                url, "backend", tuple(f"edge/v1/+/{b}" for b in ("state", "evt/#", "batch/#")),
                retry_max_s=0.5,
            ),
            SystemClock(), on_message=self._on_message, on_up=lambda _: None,
            on_down=lambda _: None,
        )  # fmt: skip

    def _on_message(self, message: Message) -> None:
        address = topics.parse(message.topic)
        assert address is not None
        if address.branch == "state":
            self.states.append(msgspec.json.decode(message.payload, type=Presence))
        else:
            self._take(address, message)
        self.link.acknowledge(message)

    def _take(self, address: topics.Address, message: Message) -> None:
        if address.branch == "batch":
            self.batches += 1
            events = list(decode_batch(message.payload, message.content_type))
        else:
            events = list(decode_batch(message.payload, None))
        for event in events:
            self.raw += 1
            if (event.stream, event.seq) not in self.events:
                self.arrived.setdefault(event.stream, []).append(event.seq)
            self.events[event.stream, event.seq] = event
        if self.acks:
            last = events[-1]
            topic = topics.ack(address.device, last.stream)
            self.link.publish(topic, encode(Ack(last.epoch, last.seq)))


def position(n: int) -> Position:
    return Position(
        lat=31.0, lon=121.0 + n / 1e4, acc=5.0, speed=6.0, course=90.0, fix_t=n,
        reason="moved", profile="seed", datum="wgs84",
    )  # fmt: skip


def play(
    folder: Path,
    broker: Mosquitto,
    story: Callable[[Device, BackEnd], Awaitable[None]],
    *,
    confirm: Literal["backend", "broker"] = "backend",
    acks: bool = True,
    online: bool = True,
) -> None:
    async def tell() -> None:
        device, backend = Device(folder, broker.url, confirm), BackEnd(broker.url, acks=acks)
        listening = asyncio.ensure_future(backend.link.run())
        await until(lambda: backend.link.up, "the back end is up")
        await device.open(online=online)
        try:
            await story(device, backend)
        finally:
            await device.close()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    asyncio.run(tell())


def test_a_live_event_goes_out_at_once_and_leaves_when_the_back_end_has_it(
    tmp_path: Path, broker: Mosquitto
) -> None:
    async def story(device: Device, backend: BackEnd) -> None:
        await device.outbox.record(Audit(action="a", by="test"))
        await until(lambda: ("critical", 1) in backend.events)
        await until(lambda: device.outbox.acked("critical") == 1)

    play(tmp_path, broker, story)


def test_a_small_message_does_not_wait_for_the_one_before(
    tmp_path: Path, broker: Mosquitto
) -> None:
    async def story(device: Device, _backend: BackEnd) -> None:
        await until(lambda: device.uplink.up_since, "connected")
        assert device.uplink._link is not None
        session = device.uplink._link._session
        assert session is not None
        connection = session._client.socket()
        assert isinstance(connection, socket.socket)
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    play(tmp_path, broker, story)


def test_without_the_back_ends_word_nothing_leaves_the_outbox(
    tmp_path: Path, broker: Mosquitto
) -> None:
    async def story(device: Device, backend: BackEnd) -> None:
        await device.outbox.record(Audit(action="a", by="test"))
        await until(lambda: ("critical", 1) in backend.events)
        assert device.outbox.acked("critical") == 0
        backend.acks = True
        broker.kill()
        broker.start()
        await until(lambda: device.outbox.acked("critical") == 1, "sent again and confirmed")
        assert backend.raw >= 2

    play(tmp_path, broker, story, acks=False)


def test_with_confirm_broker_a_puback_is_enough(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(device: Device, _backend: BackEnd) -> None:
        await device.outbox.record(Audit(action="a", by="test"))
        await until(lambda: device.outbox.acked("critical") == 1)

    play(tmp_path, broker, story, confirm="broker", acks=False)


def test_a_backlog_goes_in_batches_in_order_and_critical_goes_first(
    tmp_path: Path, broker: Mosquitto
) -> None:
    async def story(device: Device, backend: BackEnd) -> None:
        for n in range(3000):
            await device.outbox.record(position(n))
        await device.outbox.flush()
        await device.outbox.record(Audit(action="order", by="test"))
        device.go_online()
        await until(lambda: len(backend.events) == 3001)
        await until(lambda: device.outbox.acked("telemetry") == 3000)
        assert backend.arrived["telemetry"] == list(range(1, 3001))
        assert backend.batches < 200
        assert next(iter(backend.events)) == ("critical", 1)

    play(tmp_path, broker, story, online=False)


def test_a_window_that_has_shrunk_still_sends_batches(
    tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "Window", partial(Window, batch_bytes=BATCH_MIN))

    async def story(device: Device, backend: BackEnd) -> None:
        for n in range(500):
            await device.outbox.record(position(n))
        device.go_online()
        await until(lambda: len(backend.events) == 500, "all arrive")
        assert backend.batches > 3

    play(tmp_path, broker, story, online=False)


def test_a_broker_killed_while_it_drains_loses_nothing(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(device: Device, backend: BackEnd) -> None:
        for n in range(5000):
            await device.outbox.record(position(n))
        device.go_online()
        await until(lambda: len(backend.events) > 200)
        broker.kill()
        await device.outbox.record(Audit(action="while away", by="test"))
        broker.start()
        await until(lambda: len(backend.events) == 5001, "everything arrives")
        assert backend.arrived["telemetry"] == list(range(1, 5001))

    play(tmp_path, broker, story, online=False)


def test_an_order_for_an_offline_device_waits_in_its_session(
    tmp_path: Path, broker: Mosquitto
) -> None:
    async def story(device: Device, backend: BackEnd) -> None:
        await until(lambda: backend.states)
        await device.close()
        for n in range(50):
            backend.link.publish(topics.order(DEVICE, f"o{n}"), b"%d" % n)
        again = Device(tmp_path, broker.url, "backend")
        await again.open()
        await until(lambda: len(again.orders) == 50)
        assert again.orders == [b"%d" % n for n in range(50)]
        await again.close()
        await device.database.open()

    play(tmp_path, broker, story)


def test_a_poison_message_is_set_aside_and_the_rest_goes_on(
    tmp_path: Path, broker: Mosquitto
) -> None:
    async def story(device: Device, backend: BackEnd) -> None:
        await until(lambda: backend.states)
        for n, payload in enumerate((b"1", b"bug", b"bad", b"2")):
            backend.link.publish(topics.order(DEVICE, f"o{n}"), payload)
        await until(lambda: device.orders == [b"1", b"2"])
        kept = await device.database.read(
            lambda c: c.execute("SELECT topic, payload, reason FROM poison").fetchall()
        )
        assert kept == [(topics.order(DEVICE, "o1"), b"bug", "KeyError: 'a bug of ours'")]
        assert any(c.code == "inbox.poison" for c in device.health.conditions())
        await until(lambda: len(backend.events) == 2)
        codes = {str(msgspec.json.decode(e.body)["counts"]) for e in backend.events.values()}
        assert codes == {"{'poison': 1}", "{'invalid': 1}"}

    play(tmp_path, broker, story)


def test_a_device_that_falls_silent_is_announced_as_lost(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(device: Device, backend: BackEnd) -> None:
        await until(lambda: [s.state for s in backend.states] == ["online"])
        assert device.uplink._link is not None
        session = device.uplink._link._session
        assert session is not None
        device._tasks[-1].cancel()
        session._client._sock_close()  # no DISCONNECT on the wire
        await until(lambda: backend.states[-1].state == "lost", "the will")

    play(tmp_path, broker, story)


def test_two_devices_with_one_id_yield_to_each_other_and_say_so(
    tmp_path: Path, broker: Mosquitto
) -> None:
    def said(device: Device) -> bool:
        return "identity.twin" in {c.code for c in device.health.conditions()}

    async def story(device: Device, backend: BackEnd) -> None:
        await until(lambda: device.uplink.up_since, "connected")
        (tmp_path / "other").mkdir()
        other = Device(tmp_path / "other", broker.url, "backend")
        await other.open()
        try:
            await until(lambda: said(device) and said(other), "both say it")
            assert device.uplink._link is not None
            assert device.uplink._link._attempts.short >= SHORT_MAX
        finally:
            await other.close()

    play(tmp_path, broker, story)


def test_a_disk_that_fails_while_the_backlog_is_read_only_delays_it(
    tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(device: Device, backend: BackEnd) -> None:
        fetch, failures = device.outbox.fetch, [StoreError("cannot be read")]

        async def failing(*args: Any, **more: Any) -> list[Row]:
            if failures:
                raise failures.pop()
            return await fetch(*args, **more)

        monkeypatch.setattr(device.outbox, "fetch", failing)
        for n in range(50):
            await device.outbox.record(position(n))
        supervisor = Supervisor(device.clock, device.health)
        running = asyncio.ensure_future(supervisor.run([device.uplink]))
        await until(lambda: device.outbox.acked("telemetry") == 50)
        assert failures == []
        assert backend.arrived["telemetry"] == list(range(1, 51))
        await until(lambda: not list(device.health.conditions()), "the condition ends")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    play(tmp_path, broker, story, online=False)
