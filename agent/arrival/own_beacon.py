"""The device's own beacon: a key that is made here once, and an identifier that follows the clock.

A wrong clock would send an identifier that nobody recognises, or one that could be recorded now and
played in another quarter of an hour: while nobody has set it, nothing is sent.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

from agent.arrival.rotating import EPOCH_S, KEY_BYTES, epoch_of, identifier, new_key
from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from drivers.base import BeaconSender, DriverError

NO_CLOCK = "beacon.clock"
LOOK_S = 5.0  # the clock may be set, or jump, at any time

OpenSender = Callable[[], AbstractAsyncContextManager[BeaconSender]]


def key_path(store: Path) -> Path:
    return store.with_name("beacon.key")


def load_key(path: Path) -> bytes:
    """The device's key, made when there is none; DriverError when it cannot be read or kept."""
    try:
        try:
            text = path.read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            return _make(path)
    except OSError as error:
        raise DriverError(f"the beacon's key {path}: {error.strerror or error}") from error
    if not re.fullmatch(f"[0-9a-f]{{{2 * KEY_BYTES}}}", text):
        raise DriverError(
            f"the beacon's key {path} is damaged; delete it: a new one is made, and the back end"
            " has to ask for it (command beacon.key)"
        )
    return bytes.fromhex(text)


def _make(path: Path) -> bytes:
    """On the disk, whole, before anybody hears of it."""
    key = new_key()
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(file, key.hex().encode() + b"\n")
        os.fsync(file)
    finally:
        os.close(file)
    new.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return key


class OwnBeacon:
    """Sends while it runs."""

    name = "beacon"

    def __init__(
        self, *, clock: Clock, health: Health, open_sender: OpenSender, key_file: Path
    ) -> None:
        self._clock = clock
        self._health = health
        self._open = open_sender
        self._key_file = key_file

    def key(self) -> bytes:
        return load_key(self._key_file)

    async def run(self, heartbeat: Heartbeat) -> None:
        """DriverError when the radio is gone."""
        key = self.key()
        async with AsyncExitStack() as stack:
            sender = await heartbeat.idle(stack.enter_async_context(self._open()))
            heartbeat.well()
            async with asyncio.TaskGroup() as group:
                group.create_task(sender.broken(), name="radio")
                await self._follow_the_clock(sender, key, heartbeat)

    async def _follow_the_clock(
        self, sender: BeaconSender, key: bytes, heartbeat: Heartbeat
    ) -> None:
        sent: int | None = None
        while True:
            wall = self._clock.wall()
            epoch = None if self._clock.quality() == "none" else epoch_of(wall)
            if epoch is None:
                self._health.set(
                    NO_CLOCK,
                    "nobody has set this device's clock yet, so its own beacon is silent; it needs"
                    " a network with NTP, or GPS",
                )
            else:
                self._health.clear(NO_CLOCK)
            if epoch != sent:
                if epoch is None:
                    await heartbeat.idle(sender.withdraw())
                else:
                    await heartbeat.idle(sender.send(identifier(key, epoch)))
                sent = epoch
            await heartbeat.idle(self._clock.sleep(min(LOOK_S, EPOCH_S - wall % EPOCH_S)))

    async def rest(self) -> None:
        """It is not to send."""
        self._health.clear(NO_CLOCK)
