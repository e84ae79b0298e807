"""Three nodes of RabbitMQ 4 by the script that is shipped, and a device that is all outbox."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent.contract import topics
from agent.contract.events import STREAMS, Audit, Body, Fence, Position
from agent.contract.presence import Presence
from agent.core.clock import SystemClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.store.database import Database
from agent.store.inbox import Inbox
from agent.store.outbox import Outbox
from agent.uplink.link import Link, LinkSettings
from agent.uplink.service import Uplink
from tests.agent.consumer.rabbit import SHIPPED

NODES = (1, 2, 3)
START_S = 180.0


class Cluster:
    def __init__(self) -> None:
        self._root = Path(os.environ.get("EDGE_TEST_RABBITMQ_ROOT", "/"))
        if not list(self._root.glob("usr/lib/rabbitmq/lib/rabbitmq_server-4.*")):
            pytest.skip("RabbitMQ 4 is not installed")
        self._folder = Path(tempfile.mkdtemp(prefix="cluster-", dir=self._root / "tmp"))
        shutil.copytree(SHIPPED, self._folder / "shipped")
        self._port = _free_ports()
        try:
            self._do("start")
        except BaseException:
            self.close()
            raise

    def amqp(self, node: int) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self._port + node}/%2f"

    def mqtt(self, node: int) -> str:
        return f"mqtt://127.0.0.1:{self._port + 10 + node}"

    def node_at(self, url: str) -> int:
        return next(node for node in NODES if url == self.mqtt(node))

    def start(self, node: int) -> None:
        self._do("start", str(node))

    def kill(self, node: int) -> None:
        self._do("kill", str(node))

    def freeze(self, node: int) -> None:
        """It says nothing any more, as a machine without power."""
        self._do("freeze", str(node))

    def ctl(self, node: int, *words: str) -> str:
        return self._do("ctl", str(node), "-q", *words)

    def close(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self._do("stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _do(self, *words: str) -> str:
        inside = Path("/") / self._folder.relative_to(self._root)
        become = ["chroot", str(self._root)] if self._root != Path("/") else []
        command = [*become, str(inside / "shipped" / "trial-cluster"), str(inside / "run"), *words]
        done = subprocess.run(
            command,
            env={**os.environ, "PORT": str(self._port)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )
        if done.returncode:
            raise subprocess.CalledProcessError(
                done.returncode, words, done.stdout[-2000:], done.stderr[-2000:]
            )
        return done.stdout


def _free_ports() -> int:
    """The first of 24 that are free, below those that the system gives out."""
    for first in range(20_000 + os.getpid() % 300 * 24, 32_000, 24):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + 24):
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            return first
    raise AssertionError("no free ports")


class Rider:
    """The agent's own outbox and uplink; `confirm` is the back end, as everywhere."""

    def __init__(self, folder: Path, name: str, urls: Sequence[str], **settings: Any) -> None:
        self.name = name
        self.recorded = dict.fromkeys(STREAMS, 0)
        self.clock = SystemClock(trusted=True)
        self._health = Health(self.clock)
        self._database = Database(folder / f"{name}.db", self.clock, self._health)
        self.outbox = Outbox(self._database, self.clock, self._health, max_mb=50)
        self._inbox = Inbox(self._database, self.clock, self._health, self.outbox, {})
        self.settings = LinkSettings(
            urls[0],
            name,
            tuple(topics.subscriptions(name)),
            lambda: self.uplink.will(),
            keepalive_s=5,
            retry_max_s=2.0,
            username="guest",
            password="guest",
            fallbacks=tuple(urls[1:]),
            **settings,
        )
        self.uplink = Uplink(
            name, "backend", self._open, self.outbox, self._inbox, self.clock, self._health,
            self._presence,
        )  # fmt: skip
        self.link: Link | None = None

    async def record(self, number: int) -> None:
        body: Body
        match number % 3:
            case 0:
                body = Audit(action=f"a{number}", by="rider")
            case 1:
                body = Fence(fence=f"f{number}", event="enter", distance_m=1.0)
            case _:
                body = Position(
                    lat=31.2, lon=121.4, acc=5.0, speed=6.0, course=90.0, fix_t=number,
                    reason="moved", profile="seed", datum="wgs84",
                )  # fmt: skip
        stream = ("critical", "state", "telemetry")[number % 3]
        self.recorded[stream] += 1
        assert await self.outbox.record(body) == self.recorded[stream]

    @property
    def up(self) -> bool:
        return self.link is not None and self.link.up

    @property
    def acked(self) -> int:
        return sum(self.outbox.acked(stream) for stream in STREAMS)

    @contextlib.asynccontextmanager
    async def alive(self):
        await self._database.open()
        await self.outbox.open()
        beat = partial(Heartbeat, clock=self.clock, health=self._health)
        services = {"outbox": self.outbox, "inbox": self._inbox, "uplink": self.uplink}
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(s.run(beat(name))) for name, s in services.items()]
            try:
                yield self
            finally:
                for task in tasks:
                    task.cancel()
        await self.outbox.close()
        await self._database.close()

    def _open(self, message, up, down) -> Link:
        self.link = Link(self.settings, self.clock, on_message=message, on_up=up, on_down=down)
        return self.link

    async def _presence(self, state) -> Presence:
        return Presence(
            state=state, bd_seq=1, boot_id="b", agent="0", role="rider", site="s", since=0,
            epoch=self.outbox.epoch, streams=await self.outbox.states(),
        )  # fmt: skip
