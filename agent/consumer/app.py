"""Builds the consumer and runs it until a signal."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.consumer.service import Consumer, Status
from agent.consumer.source import Source
from agent.consumer.store import Store
from agent.core.clock import Clock, SystemClock
from agent.layers import ConfigError
from agent.positioning.datum import Datum


@dataclass(frozen=True, slots=True)
class Options:
    to: str
    from_: str = "mqtt://127.0.0.1:1883"
    group: str = "ingest"
    instance: str | None = None
    batch: int = 500
    session_s: int = 30
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    datum: Datum | None = None


def serve(options: Options, report: Callable[[Status], None]) -> None:
    """Returns after SIGTERM or SIGINT. Raises ConfigError."""
    asyncio.run(_serve(options, report))


async def _serve(options: Options, report: Callable[[Status], None]) -> None:
    clock = SystemClock()
    instance = options.instance or f"{socket.gethostname()}-{os.getpid()}"
    store = open_store(options.to, f"{options.group}-{instance}")
    source = _source(options, clock, instance)
    consumer = Consumer(store, source, clock, options.batch, report, options.datum)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, consumer.stop)
    try:
        await consumer.run()
    except ExceptionGroup as group:
        known, others = group.split(ConfigError)
        if known is None or others is not None:
            raise
        raise known.exceptions[0] from None


def open_store(url: str, instance: str = "consume") -> Store:
    """`sqlite:///FILE` or `postgresql://...`; connects later. Raises ConfigError."""
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        from agent.consumer.sqlite import SqliteStore

        return SqliteStore(rest[1:])
    if scheme in ("postgresql", "postgres"):
        from agent.consumer.postgres import PostgresStore

        return PostgresStore(url, application=instance)
    raise ConfigError([f"--to {url}: sqlite:///FILE or postgresql://USER@HOST/DB is wanted"])


def _source(options: Options, clock: Clock, instance: str) -> Source:
    urls = options.from_.split(",")
    schemes = {url.partition("://")[0] for url in urls}
    if schemes <= {"mqtt", "mqtts"}:
        from agent.consumer.mqtt import MqttSource

        return MqttSource(
            urls,
            clock,
            group=options.group,
            instance=instance,
            unacknowledged=2 * options.batch,
            session_s=options.session_s,
            ca=options.ca,
            cert=options.cert,
            key=options.key,
        )
    if schemes <= {"amqp", "amqps"}:
        from agent.consumer.amqp import AmqpSource

        return AmqpSource(
            urls,
            clock,
            queue=f"edge.{options.group}",
            instance=instance,
            unacknowledged=2 * options.batch,
            ca=options.ca,
            cert=options.cert,
            key=options.key,
        )
    raise ConfigError([f"--from {options.from_}: mqtt://HOST[:PORT] or amqp://... is wanted"])
