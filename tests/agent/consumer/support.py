"""A private PostgreSQL, and messages as devices send them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import zlib
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from agent.contract import topics
from agent.contract.commands import Ack
from agent.contract.events import Event
from agent.contract.presence import Presence, StreamState
from agent.contract.wire import NDJSON_ZLIB, encode
from agent.core.clock import SystemClock
from agent.uplink.link import Link, LinkDown, LinkSettings, Message
from tests.support import wait

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


class Postgres:
    """A cluster of our own in a folder of its own, on a Unix socket only."""

    def __init__(self) -> None:
        if not PROGRAMS:
            pytest.skip("PostgreSQL is not installed")
        # Short, because a socket's path may only have 107 bytes; not below a folder of root's.
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        # The server refuses to run as root.
        self._user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres")
        self._data = self.folder / "data"
        self._numbers = itertools.count()
        self._server: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-A", "trust", "-E", "UTF8", "--locale=C", "-N", "-D", self._data)
        self.start()

    def start(self) -> None:
        options = {"listen_addresses": "", "unix_socket_directories": self.folder}
        arguments = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        self._server = subprocess.Popen(
            self._command("postgres", "-D", self._data, *arguments),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )
        wait(self._answers, "PostgreSQL answers")

    def kill(self) -> None:
        """As a power cut would: no shutdown, what is not in its log is gone."""
        assert self._server is not None
        main = int((self._data / "postmaster.pid").read_text().split()[0])
        os.kill(main, signal.SIGQUIT)  # "immediate": its children are left no time either
        self._server.wait()
        self._server = None

    def database(self) -> str:
        """The address of a new one."""
        name = f"test{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql://{self._user}@/{name}?host={self.folder}"

    def close(self) -> None:
        if self._server is not None:
            self.kill()
        shutil.rmtree(self.folder)

    def _answers(self) -> bool:
        assert self._server is not None
        assert self._server.poll() is None, "PostgreSQL ended"
        try:
            psycopg.connect(self.url("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, *command: str | Path) -> None:
        subprocess.run(self._command(*command), check=True, stdout=subprocess.DEVNULL, cwd="/")

    def _command(self, program: str, *rest: str | Path) -> list[str | Path]:
        become = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        return [*become, PROGRAMS[-1] / program, *rest]


def event(
    seq: int, *, stream: str = "critical", epoch: str = "e1", kind: str = "", body: str = "{}"
) -> bytes:
    """As it travels; with its kind where it is a line of a batch."""
    made = Event(epoch, stream, seq, 1000 + seq, "ntp", msgspec.Raw(body.encode()))
    return encode(msgspec.structs.replace(made, kind=kind) if kind else made)


def batch(*lines: bytes) -> bytes:
    return b"\n".join(lines)


def gap(first: int, last: int, **options: str) -> bytes:
    body = f'{{"from":{first},"to":{last},"reason":"evicted"}}'
    return event(last, kind="gap", body=body, **options)


def presence(
    state: str = "online",
    bd_seq: int = 1,
    *,
    epoch: str = "e1",
    since: int = 1,
    more: int = 9,
    **streams: int,
) -> bytes:
    """`critical=7`: its first unacknowledged; `more` follow it."""
    told = {name: StreamState(first, first + more) for name, first in streams.items()}
    return encode(
        Presence(state, bd_seq, "boot", "1.0", "shop", "site", since, epoch, streams=told)
    )


def rows(database: str, sql: str) -> list[tuple[Any, ...]]:
    """Read beside the store, as others would."""
    if database.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection:
            return connection.execute(sql).fetchall()
    with psycopg.connect(database) as connection:
        return connection.execute(sql.encode()).fetchall()


class Device:
    """Sends its events one by one and in batches; again what is not acknowledged in a second."""

    def __init__(self, url: str, name: str, count: int) -> None:
        self.name = name
        self.acked = 0
        self.acks: list[int] = []
        self.wrong: list[int] = []
        self.topics: set[str] = set()
        self._count = count
        self._allowed = count // 4
        self._sent = 0
        self._clock = SystemClock()
        self._settings = LinkSettings(
            url,
            name,
            (topics.ack(name, "+"),),
            retry_max_s=0.5,
            username="guest",
            password="guest",
        )
        self._link = Link(
            self._settings,
            self._clock,
            on_message=self._on_message,
            on_up=lambda _: self._announce("online"),
            on_down=lambda _: None,
        )

    def allow(self, share: float) -> None:
        self._allowed = max(self._allowed, min(self._count, int(share * self._count)))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._link.run())
            try:
                await self._send()
            finally:
                with contextlib.suppress(LinkDown):
                    self._announce("offline")

    async def _send(self) -> None:
        moved, before = self._clock.monotonic(), 0
        while True:
            await asyncio.sleep(0.02)
            now = self._clock.monotonic()
            if self.acked > before:
                moved, before = now, self.acked
            elif now - moved > 1.0:
                self._sent, moved = self.acked, now
            self._sent = max(self._sent, self.acked)
            if self._link.up and self._sent < self._allowed:
                with contextlib.suppress(LinkDown):
                    self._publish(self._sent + 1)

    def _publish(self, first: int) -> None:
        if first % 3:
            self._link.publish(topics.event(self.name, f"kind{first % 7}"), event(first))
            self._sent = first
            return
        last = min(first + 7, self._allowed)
        lines = batch(*(event(seq, kind="order") for seq in range(first, last + 1)))
        self._link.publish(
            topics.batch(self.name, "critical"), zlib.compress(lines), content_type=NDJSON_ZLIB
        )
        self._sent = last

    def _announce(self, state: str) -> None:
        self._sent = self.acked
        self._link.publish(
            topics.state(self.name), presence(state, critical=self.acked + 1, more=-1), retain=True
        )

    def _on_message(self, message: Message) -> None:
        self.topics.add(message.topic)
        upto = msgspec.json.decode(message.payload, type=Ack).seq
        self.acks.append(upto)
        if upto > self._allowed:
            self.wrong.append(upto)
        self.acked = max(self.acked, upto)
        self._link.acknowledge(message)
