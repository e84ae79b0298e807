"""Hundreds of simulated devices in one process, with one file for what they keep.

Commands of all devices that come within a tick are committed together:

    tick n    accepted + running, its event; commit; PUBACK; then the effect
    tick n+1  succeeded, its event; commit; the events go out

The order of each device's life is that of a real one, decided by the same table
(`agent/fleet/lifecycle.py`); only the waiting for the disk is shared.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from agent.contract.events import CommandEvent, Event
from agent.contract.wire import encode
from agent.core.clock import Clock
from agent.fleet.lifecycle import Found, after_restart
from agent.swarm.device import KEEPALIVE_S, Device
from agent.swarm.ledger import Ledger, Row
from agent.uplink.attempts import Attempts

TICK_S = 0.004
COMMANDS = frozenset({"ping"})
CONNECT_S = 30.0
RETRY_MAX_S = 30.0


class Plan(msgspec.Struct, frozen=True):
    """What a worker is told, as JSON on its command line."""

    name: str
    folder: str
    devices: list[str]
    host: str
    port: int
    window_s: float  # over which devices come back when the broker ended the connection
    seed: int
    ca: str | None = None  # with it, NAME.pem and NAME.key beside it are each device's


@dataclass(slots=True)
class Taken:
    device: Device
    cmd_id: str
    name: str
    packet_id: int | None


class Crowd:
    def __init__(self, plan: Plan, clock: Clock) -> None:
        self._plan = plan
        self._clock = clock
        self._ledger = Ledger(Path(plan.folder), plan.name)
        self._random = random.Random(plan.seed)  # noqa: S311 - a simulation
        self.epoch = f"swarm-{plan.name}"
        self.boot_id = clock.boot_id
        self._taken: list[Taken] = []
        self._executed: list[Taken] = []
        self._acked: dict[str, int] = {}
        self._births: dict[str, int] = {}
        self._work = asyncio.Event()
        known = self._ledger.devices()
        self.devices = {
            name: Device(name, self, *known.get(name, (0, 0)), self._ledger.waiting(name))
            for name in plan.devices
        }
        self._ended: dict[str, asyncio.Event] = {name: asyncio.Event() for name in plan.devices}
        self.attempts = self.sessions = 0

    async def run(self) -> None:
        self._take_up()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._tick())
                group.create_task(self._ping())
                for device in self.devices.values():
                    group.create_task(self._keep(device))
        finally:
            self._ledger.close()

    # --- connections ------------------------------------------------------------------------------

    async def _keep(self, device: Device) -> None:
        """One device's connection, made again as the agent makes its own."""
        attempts = Attempts((self._plan.host,), RETRY_MAX_S, self._random.uniform)
        attempts.window_s = self._plan.window_s
        context = self._context(device.name)
        pause = self._random.uniform(0, self._plan.window_s)
        ended = self._ended[device.name]
        while True:
            await self._clock.sleep(pause)
            self.attempts += 1
            ended.clear()
            began = self._clock.monotonic()
            try:
                async with asyncio.timeout(CONNECT_S):
                    await asyncio.get_running_loop().create_connection(
                        lambda: device, self._plan.host, self._plan.port, ssl=context,
                        server_hostname="localhost" if context else None,
                    )  # fmt: skip
            except OSError:
                pause = attempts.failed(by_broker=True)
                continue
            await ended.wait()
            lasted = self._clock.monotonic() - began
            pause = attempts.ended(lasted, progressed=True, by_broker=True)

    def _context(self, name: str) -> ssl.SSLContext | None:
        if self._plan.ca is None:
            return None
        folder = Path(self._plan.ca).parent
        context = ssl.create_default_context(cafile=self._plan.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        return context

    def is_up(self, device: Device) -> None:
        self.sessions += 1
        self._births[device.name] = device.bd_seq
        self._work.set()

    def is_down(self, device: Device) -> None:
        self._ended[device.name].set()

    def cut(self, count: int) -> None:
        """As many cables as that, chosen anew."""
        up = [device for device in self.devices.values() if device.up]
        for device in self._random.sample(up, min(count, len(up))):
            device.cut()

    async def _ping(self) -> None:
        while True:
            await self._clock.sleep(KEEPALIVE_S / 2)
            for device in self.devices.values():
                if device.up:
                    device.ping()

    # --- commands ---------------------------------------------------------------------------------

    def take(self, device: Device, cmd_id: str, name: str, packet_id: int | None) -> None:
        self._taken.append(Taken(device, cmd_id, name, packet_id))
        self._work.set()

    def acknowledge(self, device: Device, seq: int) -> None:
        self._acked[device.name] = max(seq, self._acked.get(device.name, 0))
        self._work.set()

    def _take_up(self) -> None:
        """What an earlier process left open, decided as the agent decides it."""
        statuses, rows = [], []
        for name, cmd_id, status in self._ledger.open_commands():
            device = self.devices[name]
            found = Found("running" if status == "running" else "accepted", 1, self.boot_id)
            verdict = after_restart(found, "once", self.boot_id)
            statuses.append((name, cmd_id, verdict.status))
            rows.append(self._event(device, cmd_id, verdict.status, verdict.reason))
        self._ledger.commit(statuses, rows, [])
        for row in rows:
            self.devices[row.device].send(row)

    async def _tick(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            await self._clock.sleep(TICK_S)
            self._once()

    def _once(self) -> None:
        executed, self._executed = self._executed, []
        taken, self._taken = self._taken, []
        acked, self._acked = list(self._acked.items()), {}
        births, self._births = list(self._births.items()), {}
        statuses: list[tuple[str, str, str]] = []
        rows: list[Row] = []
        for done in executed:
            statuses.append((done.device.name, done.cmd_id, "succeeded"))
            rows.append(self._event(done.device, done.cmd_id, "succeeded"))
        fresh = self._fresh(taken)
        for new in fresh:
            good = new.name in COMMANDS
            statuses.append((new.device.name, new.cmd_id, "running" if good else "rejected"))
            told = ("accepted", None) if good else ("rejected", "unknown_command")
            rows.append(self._event(new.device, new.cmd_id, *told))
        self._ledger.commit(statuses, rows, acked, births)
        for row in rows:
            self.devices[row.device].send(row)
        for one in taken:
            if one.packet_id is not None:
                one.device.puback(one.packet_id)
        for new in fresh:
            if new.name in COMMANDS:
                self._ledger.effect(new.device.name, new.cmd_id)
                self._executed.append(new)
                self._work.set()

    def _fresh(self, taken: Sequence[Taken]) -> list[Taken]:
        """Those that were never seen; a repeated one is only acknowledged."""
        seen: set[tuple[str, str]] = set()
        fresh = []
        for one in taken:
            key = (one.device.name, one.cmd_id)
            if key not in seen and not self._ledger.known(*key):
                fresh.append(one)
            seen.add(key)
        return fresh

    def _event(self, device: Device, cmd_id: str, status: Any, reason: str | None = None) -> Row:
        body = CommandEvent(cmd_id=cmd_id, name="ping", status=status, reason_code=reason)
        t = int(self._clock.wall() * 1000)
        raw = msgspec.Raw(encode(body))
        return device.event(lambda seq: encode(Event(self.epoch, "critical", seq, t, "ntp", raw)))
