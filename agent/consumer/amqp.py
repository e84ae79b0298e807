"""From a RabbitMQ queue, by AMQP 0-9-1; the only module that imports pika.

RabbitMQ's MQTT plugin puts what devices publish on `amq.topic`, and sends them what is published
there. A topic's `/` is a routing key's `.`; RabbitMQ does not tell it from a dot of the topic, so
device ids have none. The queues are made by config/broker/rabbitmq/definitions.json.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pika
from pika.adapters.asyncio_connection import AsyncioConnection

from agent.consumer.source import CONNECTING, Incoming
from agent.core.clock import Clock

log = logging.getLogger(__name__)

EXCHANGE = "amq.topic"  # mqtt.exchange in rabbitmq.conf
PERSISTENT = 2  # delivery mode; becomes QoS 1
HEARTBEAT_S, CONNECT_S, GOODBYE_S = 10, 10, 3.0
BACKOFF_MIN_S, BACKOFF_MAX_S = 1.0, 10.0


class _Receipt(NamedTuple):
    channel: Any
    tag: int


class AmqpSource:
    """`urls`: nodes of one cluster; the next one is tried when a connection ends or fails."""

    def __init__(
        self,
        urls: Sequence[str],
        clock: Clock,
        *,
        queue: str,
        instance: str,
        unacknowledged: int,
        ca: Path | None = None,
        cert: Path | None = None,
        key: Path | None = None,
    ) -> None:
        nodes = ",".join(urlsplit(url).netloc.rpartition("@")[2] for url in urls)
        parts = urlsplit(urls[0])
        self.name = f"{parts.scheme}://{nodes}{parts.path} queue {queue}"
        self.trouble: str | None = CONNECTING
        self._nodes = [_parameters(url, instance, ca, cert, key) for url in urls]
        self._clock = clock
        self._queue = queue
        self._prefetch = min(unacknowledged, 65535)
        self._channel: Any = None
        logging.getLogger("pika").setLevel(logging.CRITICAL)  # we say it, and once

    async def run(self, take: Callable[[Incoming], bool]) -> None:
        limit = BACKOFF_MIN_S
        while True:
            reason = await self._serve(take)
            self._nodes.append(self._nodes.pop(0))
            if self.trouble is None:
                limit = BACKOFF_MIN_S
            if self.trouble in (None, CONNECTING):
                log.warning("%s: %s; trying again", self.name, reason)
            self.trouble = reason
            await self._clock.sleep(random.uniform(0.1, limit))  # noqa: S311 - jitter, no secret
            limit = min(limit * 2, BACKOFF_MAX_S)

    def acknowledge(self, message: Incoming) -> None:
        assert isinstance(message.receipt, _Receipt)
        if message.receipt.channel.is_open:
            message.receipt.channel.basic_ack(message.receipt.tag)

    def publish(self, topic: str, payload: bytes) -> None:
        if self._channel is None or not self._channel.is_open:
            return
        properties = pika.BasicProperties(  # type: ignore[no-untyped-call]
            "application/json", delivery_mode=PERSISTENT
        )
        self._channel.basic_publish(EXCHANGE, topic.replace("/", "."), payload, properties)

    def resume(self) -> None:
        """Nothing: RabbitMQ keeps to the prefetch count."""

    async def _serve(self, take: Callable[[Incoming], bool]) -> str:
        """One connection until it ends; why it did."""
        loop = asyncio.get_running_loop()
        up: asyncio.Future[None] = loop.create_future()
        ended: asyncio.Future[str] = loop.create_future()

        def opened(connection: Any) -> None:
            connection.channel(on_open_callback=partial(self._on_channel, take, up))

        def end(_connection: object, error: BaseException) -> None:
            if not ended.done():
                ended.set_result(_named(error))

        connection = AsyncioConnection(
            self._nodes[0],
            on_open_callback=opened,
            on_open_error_callback=end,
            on_close_callback=end,
            custom_ioloop=loop,
        )
        try:
            either: list[asyncio.Future[Any]] = [up, ended]
            first = asyncio.FIRST_COMPLETED
            await asyncio.wait(either, timeout=2 * CONNECT_S, return_when=first)
            if not up.done() and not ended.done():
                await _close(connection, ended)
                return f"the queue did not answer within {2 * CONNECT_S} s; does it have a leader?"
            if up.done():
                self.trouble = None
                log.info("consuming %s", self.name)
            await asyncio.wait([ended])
        except asyncio.CancelledError:
            await _close(connection, ended)
            raise
        finally:
            self._channel = None
        return ended.result()

    def _on_channel(
        self, take: Callable[[Incoming], bool], up: asyncio.Future[None], channel: Any
    ) -> None:
        self._channel = channel
        channel.add_on_close_callback(_on_channel_closed)
        channel.basic_qos(prefetch_count=self._prefetch)
        channel.basic_consume(
            self._queue, partial(_on_message, take), callback=lambda _: up.set_result(None)
        )


async def _close(connection: Any, ended: asyncio.Future[str]) -> None:
    if connection.is_open:
        connection.close()
        await asyncio.wait([ended], timeout=GOODBYE_S)


def _on_channel_closed(channel: Any, reason: BaseException) -> None:
    if channel.connection.is_open:
        # Such as: no such queue. The connection's end then says this.
        channel.connection.close(320, _named(reason)[:200])


def _on_message(
    take: Callable[[Incoming], bool], channel: Any, method: Any, properties: Any, body: bytes
) -> None:
    topic = method.routing_key.replace(".", "/")
    receipt = _Receipt(channel, method.delivery_tag)
    take(Incoming(topic, body, properties.content_type, receipt))


def _named(error: BaseException) -> str:
    """Libraries say more in repr() than in str()."""
    return repr(error)


def _parameters(
    url: str, instance: str, ca: Path | None, cert: Path | None, key: Path | None
) -> pika.URLParameters:
    parameters = pika.URLParameters(url)
    parameters.heartbeat = HEARTBEAT_S
    parameters.socket_timeout = parameters.stack_timeout = CONNECT_S
    parameters.client_properties = {"connection_name": f"edge-agent consume {instance}"}
    if url.startswith("amqps"):
        context = ssl.create_default_context(cafile=ca)
        if cert is not None:
            context.load_cert_chain(cert, key)
        parameters.ssl_options = pika.SSLOptions(context, parameters.host)
    return parameters
