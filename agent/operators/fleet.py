"""A fleet as its broker shows it: who is there, what is asked of whom, and what came of it.

Nothing is stored here. Presence is retained and so complete a moment after connecting; the outcome
of a command comes as the device's own events, live or in a batch of what it had to keep.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from agent.contract import topics
from agent.contract.commands import Command, Desired, Reported
from agent.contract.errors import Rejected
from agent.contract.events import CommandEvent, Event, Update
from agent.contract.presence import Presence
from agent.contract.wire import MAX_BATCH_BYTES, decode, decode_batch, encode
from agent.core.clock import Clock
from agent.uplink.link import Connected, Link, LinkDown, LinkSettings, Message

QUIET_S = 1.0  # no retained message for so long: all are here
CONNECT_S = 20.0
IN_FLIGHT = 32
FAILURE = 0x80  # MQTT reason codes from here on
FINAL = frozenset({"succeeded", "failed", "rejected", "timed_out", "unknown"})

Sign = Callable[
    [str, str, str, dict[str, Any]], bytes
]  # device, command, id, parameters -> payload


class Signer(Protocol):
    """Makes the payloads for devices that ask for a signature."""

    def command(self, device: str, name: str, cmd_id: str, params: dict[str, Any]) -> bytes: ...

    def config(self, device: str, version: int, settings: dict[str, Any]) -> bytes: ...


@dataclass(slots=True)
class Outcome:
    """Of one command on one device; `status` is as the device said it, or what we know."""

    device: str
    cmd_id: str
    status: str = "sent"  # then the device's words
    reason: str | None = None
    result: Any = None

    @property
    def over(self) -> bool:
        return self.status in FINAL


@dataclass(slots=True)
class Fleet:
    """`listen`: called after each message that changed something here."""

    settings: LinkSettings
    clock: Clock
    signer: Signer | None = None
    listen: Callable[[], None] = lambda: None
    devices: dict[str, Presence] = field(default_factory=dict)
    reported: dict[str, Reported] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)  # by command id
    updates: dict[str, tuple[str, Update]] = field(default_factory=dict)  # request -> device, last
    trouble: str | None = None
    _heard: float = 0.0
    _up: asyncio.Event = field(default_factory=asyncio.Event)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(IN_FLIGHT))
    _waiting: set[asyncio.Future[int]] = field(default_factory=set)
    _link: Link = field(init=False)

    def __post_init__(self) -> None:
        self._link = Link(
            self.settings,
            self.clock,
            on_message=self._on_message,
            on_up=self._on_up,
            on_down=self._on_down,
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Connected, with everybody's presence; Rejected when no broker takes us."""
        running = asyncio.ensure_future(self._link.run())
        try:
            end = self.clock.monotonic() + CONNECT_S
            while not self._up.is_set():
                if self.clock.monotonic() >= end:
                    raise Rejected("no_broker", self.trouble or f"{self.settings.url} is silent")
                await self.clock.sleep(0.02)
            while self.clock.monotonic() - self._heard < QUIET_S:
                await self.clock.sleep(0.05)
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])

    async def command(
        self, device: str, name: str, params: dict[str, Any], *, expiry_s: int
    ) -> Outcome:
        """Sent; the broker has it. What comes of it stands in the outcome, sooner or later."""
        outcome = Outcome(device, secrets.token_hex(8))
        self.outcomes[outcome.cmd_id] = outcome
        if self.signer is not None:
            payload = self.signer.command(device, name, outcome.cmd_id, params)
        else:
            expires = int((self.clock.wall() + expiry_s) * 1000)
            payload = encode(Command(params=params, exp=expires))
        topic = topics.command(device, name, outcome.cmd_id)
        await self._publish(topic, payload, expiry_s=expiry_s)
        return outcome

    async def wish(self, device: str, version: int, settings: dict[str, Any]) -> None:
        """A configuration; the broker keeps it for a device that is away."""
        if self.signer is not None:
            payload = self.signer.config(device, version, settings)
        else:
            payload = encode(Desired(version, settings))
        await self._publish(topics.desired(device), payload, retain=True)

    async def finish(self, outcomes: Sequence[Outcome], timeout_s: float) -> bool:
        """Wait until all are over; whether they are."""
        end = self.clock.monotonic() + timeout_s
        while not all(outcome.over for outcome in outcomes):
            if self.clock.monotonic() >= end:
                return False
            await self.clock.sleep(0.05)
        return True

    async def _publish(
        self, topic: str, payload: bytes, *, expiry_s: int | None = None, retain: bool = False
    ) -> None:
        """Until the broker has it, over as many connections as that takes."""
        async with self._slots:
            while True:
                await self._up.wait()
                code = await self._once(topic, payload, expiry_s, retain=retain)
                if code is None:
                    await self.clock.sleep(0.1)
                elif code >= FAILURE:
                    raise Rejected("refused", f"the broker refused {topic}: {code:#x}")
                else:
                    return

    async def _once(
        self, topic: str, payload: bytes, expiry_s: int | None, *, retain: bool
    ) -> int | None:
        """PUBACK's reason code; None when the connection ended before."""
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def answered(code: int) -> None:
            if not done.done():
                done.set_result(code)

        try:
            self._link.publish(topic, payload, retain=retain, expiry_s=expiry_s, on_ack=answered)
        except LinkDown:
            return None
        self._waiting.add(done)
        try:
            return await done
        except ConnectionError:
            return None
        finally:
            self._waiting.discard(done)

    # --- what comes -------------------------------------------------------------------------------

    def _on_up(self, _connected: Connected) -> None:
        self.trouble = None
        self._heard = self.clock.monotonic()
        self._up.set()

    def _on_down(self, reason: str) -> None:
        self.trouble = reason
        self._up.clear()
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(ConnectionError(reason))

    def _on_message(self, message: Message) -> None:
        self._link.acknowledge(message)
        address = topics.parse(message.topic)
        if address is None:
            return
        self._heard = self.clock.monotonic()
        try:
            if address.branch == "state":
                self._on_state(address.device, message.payload)
            elif address.branch == "config":
                self._on_reported(address.device, message.payload)
            elif address.branch == "batch":
                for event in decode_batch(message.payload, message.content_type):
                    self._on_event(address.device, str(event.kind), event)
            elif address.branch == "evt":
                event = decode(message.payload, Event, max_bytes=MAX_BATCH_BYTES)
                self._on_event(address.device, address.rest[0], event)
        except Rejected:
            return  # a stranger's bytes; consumers set them aside
        self.listen()

    def _on_state(self, device: str, payload: bytes) -> None:
        if not payload:
            self.devices.pop(device, None)
            return
        presence = decode(payload, Presence, max_bytes=MAX_BATCH_BYTES)
        known = self.devices.get(device)
        if known is None or known.epoch != presence.epoch or presence.bd_seq >= known.bd_seq:
            self.devices[device] = presence

    def _on_reported(self, device: str, payload: bytes) -> None:
        if payload:
            self.reported[device] = decode(payload, Reported, max_bytes=MAX_BATCH_BYTES)

    def _on_event(self, device: str, kind: str, event: Event) -> None:
        if kind == "command":
            said = decode(bytes(event.body), CommandEvent, max_bytes=MAX_BATCH_BYTES)
            outcome = self.outcomes.get(said.cmd_id)
            if outcome is not None and outcome.device == device and not outcome.over:
                outcome.status, outcome.reason = said.status, said.reason_code
                outcome.result = said.result
        elif kind == "update":
            update = decode(bytes(event.body), Update, max_bytes=MAX_BATCH_BYTES)
            self.updates[update.request] = (device, update)


def subscriptions(devices: Iterable[str] = ("+",)) -> tuple[str, ...]:
    """For who looks at these devices, and asks things of them."""
    return tuple(
        topic
        for device in devices
        for topic in (
            topics.state(device),
            topics.reported(device),
            topics.event(device, "command"),
            topics.event(device, "update"),
            topics.batch(device, "critical"),
        )
    )


def matches(presence: Presence, device: str, conditions: dict[str, str]) -> bool:
    """Whether each `field: pattern` holds; `id` is the device, the rest as in its state."""
    from fnmatch import fnmatchcase

    found = {"id": device, **msgspec.to_builtins(presence)}
    return all(fnmatchcase(str(found.get(key, "")), glob) for key, glob in conditions.items())
