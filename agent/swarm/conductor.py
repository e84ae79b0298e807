"""A fleet on one machine: broker, crowds, back end, chaos, and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from agent.contract.errors import Rejected
from agent.core.clock import Clock
from agent.demo.children import die_with_parent
from agent.swarm.backend import BackEnd
from agent.swarm.crowd import Plan
from agent.swarm.ledger import effects

HANDSHAKES_PER_S = 310  # of mutual TLS on two cores, broker and devices together
LOOK_S = 0.05
SETTLE_S = 120.0

BROKER = """\
listener {port} 127.0.0.1
max_queued_messages 0
max_inflight_messages 0
set_tcp_nodelay true
persistence true
persistence_location {folder}/
user {user}
log_dest file {folder}/mosquitto.log
log_type error
log_type warning
"""
TLS = """\
allow_anonymous false
cafile {ca}
certfile {folder}/broker.pem
keyfile {folder}/broker.key
require_certificate true
use_identity_as_username true
tls_version tlsv1.3
"""


class Verdict(msgspec.Struct):
    """What `sim fleet` says at its end; times in seconds."""

    devices: int = 0
    tls: bool = False
    connected_s: float = 0.0  # all, at the start
    reconnected_s: float = 0.0  # all, after the broker was restarted
    attempts_each: float = 0.0  # of those
    online: dict[str, float] = {}  # command to accepted, and to its end: p50, p99 in ms, rate
    commands: int = 0
    ends: dict[str, int] = {}
    open: int = 0  # must be 0
    executed_twice: int = 0  # must be 0
    ended_twice: int = 0  # must be 0
    missing_effects: int = 0  # said to have succeeded, and did not: must be 0
    asked_again: int = 0
    faults: dict[str, int] = {}

    @property
    def good(self) -> bool:
        wrong = self.open + self.executed_twice + self.ended_twice + self.missing_effects
        return wrong == 0


@dataclass(slots=True)
class Worker:
    plan: Plan
    process: asyncio.subprocess.Process | None = None
    said: dict[str, int] = field(default_factory=dict)
    reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.said = {}
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "agent.swarm.worker", msgspec.json.encode(self.plan).decode(),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            preexec_fn=die_with_parent,
        )  # fmt: skip
        self.reading = asyncio.ensure_future(self._read(self.process))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            self.said = json.loads(line)

    async def kill(self) -> None:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        if self.reading is not None:
            await self.reading

    async def cut(self, count: int) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(f"{count}\n".encode())
        await self.process.stdin.drain()


class Conductor:
    """`count` devices in `crowds` processes below `folder`."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        count: int,
        crowds: int,
        tls: bool,
        seed: int,
        port: int,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._tls = tls
        self._port = port
        self._random = random.Random(seed)  # noqa: S311 - a simulation
        self._broker: asyncio.subprocess.Process | None = None
        self.devices = [f"sw-{n:05}" for n in range(count)]
        window = 1.3 * count / HANDSHAKES_PER_S if tls else count / 2000
        self._workers = [
            Worker(
                Plan(
                    f"crowd{n}", str(folder), self.devices[n::crowds], "127.0.0.1", port,
                    window, seed + n, str(folder / "ca.pem") if tls else None,
                )
            )
            for n in range(crowds)
        ]  # fmt: skip
        self._back_end = BackEnd(port, None, clock)
        self.verdict = Verdict(devices=count, tls=tls)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Broker, devices and back end run; everybody is connected."""
        if self._tls:
            self._make_certificates()
        self._write_broker_config()
        await self._start_broker()
        running = asyncio.ensure_future(self._back_end.run())
        try:
            await self._back_end.up.wait()
            began = self._clock.monotonic()
            for worker in self._workers:
                await worker.start()
            await self._all_up()
            self.verdict.connected_s = self._clock.monotonic() - began
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])
            for worker in self._workers:
                if worker.process is not None:
                    await worker.kill()
            if self._broker is not None:
                self._broker.kill()
                await self._broker.wait()

    # --- the parts of a run -----------------------------------------------------------------------

    async def measure_commands(self, count: int, rate: float) -> None:
        """Everybody is online, nothing fails."""
        asked = await self._ask(count, rate, "online")
        await self._settle()
        accepted = sorted(1000 * (a.accepted - a.first) for a in asked if a.accepted is not None)
        ended = sorted(1000 * (a.ended - a.first) for a in asked if a.ended is not None)
        self.verdict.online = {
            "commands": count,
            "rate": rate,
            "accepted_p50_ms": _quantile(accepted, 0.5),
            "accepted_p99_ms": _quantile(accepted, 0.99),
            "ended_p50_ms": _quantile(ended, 0.5),
            "ended_p99_ms": _quantile(ended, 0.99),
        }

    async def measure_reconnect(self) -> None:
        """The broker is stopped and started; until everybody is back."""
        before = sum(worker.said["attempts"] for worker in self._workers)
        await self._stop_broker(signal.SIGTERM)
        while any(worker.said["up"] for worker in self._workers):
            await self._clock.sleep(LOOK_S)
        await self._start_broker()
        began = self._clock.monotonic()
        await self._all_up()
        self.verdict.reconnected_s = self._clock.monotonic() - began
        attempts = sum(worker.said["attempts"] for worker in self._workers) - before
        self.verdict.attempts_each = attempts / len(self.devices)

    async def chaos(self, count: int, rate: float) -> None:
        """Commands while devices are killed, cables cut and the broker restarted."""
        asking = asyncio.ensure_future(self._ask(count, rate, "chaos"))
        faults = {"devices_killed": 0, "cables_cut": 0, "broker_killed": 0, "broker_restarted": 0}
        while not asking.done():
            await self._clock.sleep(self._random.uniform(0.5, 2.0))
            kind = self._random.choices(("kill", "cut", "SIGKILL", "SIGTERM"), (4, 8, 1, 1))[0]
            if kind == "kill":
                worker = self._random.choice(self._workers)
                await worker.kill()
                await worker.start()
                faults["devices_killed"] += len(worker.plan.devices)
            elif kind == "cut":
                number = max(1, len(self.devices) // 100)
                await self._random.choice(self._workers).cut(number)
                faults["cables_cut"] += number
            else:
                await self._stop_broker(signal.Signals[kind])
                await self._start_broker()
                faults["broker_killed" if kind == "SIGKILL" else "broker_restarted"] += 1
        asking.result()
        await self._all_up()
        await self._settle()
        self.verdict.faults = faults

    def judge(self) -> Verdict:
        """What the back end heard against what was done."""
        asked, verdict = self._back_end.asked.values(), self.verdict
        done = effects(self._folder)
        verdict.commands = len(asked)
        for one in asked:
            verdict.ends[one.status or "open"] = verdict.ends.get(one.status or "open", 0) + 1
        verdict.open = len(self._back_end.open)
        verdict.executed_twice = len(done) - len(set(done))
        verdict.ended_twice = self._back_end.twice
        succeeded = {f"{a.device} {a.cmd_id}" for a in asked if a.status == "succeeded"}
        verdict.missing_effects = len(succeeded - set(done))
        verdict.asked_again = sum(one.times - 1 for one in asked)
        return verdict

    # --- helpers ----------------------------------------------------------------------------------

    async def _ask(self, count: int, rate: float, name: str) -> list[Any]:
        """`rate` a second, evenly; those that no broker takes are asked again by the back end."""
        began = self._clock.monotonic()
        for n in range(count):
            due = began + n / rate
            if (ahead := due - self._clock.monotonic()) > 0:
                await self._clock.sleep(ahead)
            elif n % 50 == 0:
                await self._clock.sleep(0)
            self._back_end.ask(self._random.choice(self.devices), f"{name}-{n}")
        return [self._back_end.asked[f"{name}-{n}"] for n in range(count)]

    async def _settle(self) -> None:
        """Until every command has ended, or for so long that one never will."""
        end = self._clock.monotonic() + SETTLE_S
        while self._back_end.open and self._clock.monotonic() < end:
            await self._clock.sleep(LOOK_S)

    async def _all_up(self) -> None:
        end = self._clock.monotonic() + SETTLE_S
        while sum(worker.said.get("up", 0) for worker in self._workers) < len(self.devices):
            if self._clock.monotonic() > end:
                up = sum(worker.said.get("up", 0) for worker in self._workers)
                raise Rejected("not_up", f"{up} of {len(self.devices)} devices connect")
            await self._clock.sleep(LOOK_S)

    def _write_broker_config(self) -> None:
        import getpass

        text = BROKER.format(port=self._port, folder=self._folder, user=getpass.getuser())
        if self._tls:
            text += TLS.format(ca=self._folder / "ca.pem", folder=self._folder)
        else:
            text += "allow_anonymous true\n"
        (self._folder / "mosquitto.conf").write_text(text)

    async def _start_broker(self) -> None:
        binary = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if binary is None:
            raise Rejected("no_mosquitto", "mosquitto is not installed: apt install mosquitto")
        self._broker = await asyncio.create_subprocess_exec(
            binary, "-c", str(self._folder / "mosquitto.conf"), preexec_fn=die_with_parent
        )
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                if self._broker.returncode is not None:
                    raise Rejected("no_mosquitto", "mosquitto does not start") from None
                await self._clock.sleep(0.02)
                continue
            writer.close()
            return

    async def _stop_broker(self, how: signal.Signals) -> None:
        assert self._broker is not None
        self._broker.send_signal(how)
        await self._broker.wait()

    def _make_certificates(self) -> None:
        from agent.fleet import ca_certs

        now = self._clock.wall()
        root = ca_certs.root("swarm", now)
        pem = root.cert.public_bytes(ca_certs.PEM)
        (self._folder / "ca.pem").write_bytes(pem)
        for name in (*self.devices, "backend", "broker"):
            key = ca_certs.new_key()
            hosts = ("localhost",) if name == "broker" else ()
            kind: Any = "server" if hosts else "client"
            made = ca_certs.leaf(root, key.public_key(), name, kind, now, 1, hosts)
            (self._folder / f"{name}.pem").write_bytes(made.public_bytes(ca_certs.PEM))
            (self._folder / f"{name}.key").write_bytes(ca_certs.key_pem(key))
        context = ssl.create_default_context(cafile=str(self._folder / "ca.pem"))
        context.load_cert_chain(self._folder / "backend.pem", self._folder / "backend.key")
        self._back_end.context = context


def _quantile(values: list[float], q: float) -> float:
    return round(values[min(len(values) - 1, int(q * len(values)))], 1) if values else 0.0
