"""One MQTT 5 session that reconnects by itself; the only module that imports paho.

paho's queue, its back-off and its QoS 2 are not used: each connection gets a fresh paho client that
forgets everything with it, because the outbox is the truth and re-sends what was not confirmed.
Everything happens in the event loop; only connecting (DNS, TCP, TLS) runs in a thread.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.core.clock import Clock

log = logging.getLogger(__name__)
T = TypeVar("T")

CONNECT_S = 10.0  # DNS, TCP and TLS; then again for CONNACK and SUBACK
BACKOFF_MIN_S = 1.0
STEADY_S = 60.0  # a connection that lasts so long is a good one
SHORT_MAX = 3  # so many short ones in a row, and somebody else may be using this id
RECEIVE_MAXIMUM = 64  # unacknowledged messages that the broker may have under way to us
MAX_PACKET_BYTES = 1024 * 1024  # nothing larger is meant for a device
TAKEN_OVER = 0x8E
NO_SHARING = 0x9E  # the broker knows no shared subscriptions


class LinkDown(Exception):
    """There is no connection right now; the caller keeps what it has."""


@dataclass(frozen=True, slots=True)
class Will:
    """Published by the broker when the connection ends without a good-bye; QoS 1, retained."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class LinkSettings:
    url: str  # mqtt:// or mqtts://HOST[:PORT]
    client_id: str
    subscriptions: tuple[str, ...] = ()
    will: Callable[[], Awaitable[Will]] | None = None  # asked anew for each connection
    keepalive_s: int = 30
    session_expiry_s: int = 7 * 86400
    retry_max_s: float = 60.0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    group: str | None = None  # who share `shared`: each message goes to one of them
    shared: tuple[str, ...] = ()  # everybody gets everything where the broker cannot share
    receive_maximum: int = RECEIVE_MAXIMUM
    max_packet_bytes: int = MAX_PACKET_BYTES


@dataclass(frozen=True, slots=True)
class Connected:
    session_present: bool
    receive_maximum: int  # QoS 1 messages that the broker takes unacknowledged
    sharing: bool = True  # the broker offers shared subscriptions


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    content_type: str | None = None
    response_topic: str | None = None
    correlation: bytes | None = None
    _mid: int = 0
    _session: object = None


class Link:
    """`run()` keeps the session; callbacks are called from the event loop and must not wait."""

    def __init__(
        self,
        settings: LinkSettings,
        clock: Clock,
        *,
        on_message: Callable[[Message], None],
        on_up: Callable[[Connected], None],
        on_down: Callable[[str], None],
        seed: int | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._on_message = on_message
        self._on_up = on_up
        self._on_down = on_down
        self._random = random.Random(seed)  # noqa: S311 - jitter, no secret
        self._session: _Session | None = None
        self._short = 0  # connections in a row that ended soon after they were made
        self._since: float | None = None  # monotonic s at which this one was made
        self.up = False

    @property
    def contested(self) -> bool:
        """Whether another client seems to take this session over, because it uses the same id.

        Not every broker says so (mosquitto 2.0 just hangs up), so several short ones count too.
        """
        return self._short >= SHORT_MAX and not self._steady()

    def _steady(self) -> bool:
        return self._since is not None and self._clock.monotonic() - self._since >= STEADY_S

    async def run(self) -> None:
        """Until cancelled; says good-bye then, without the will."""
        limit = BACKOFF_MIN_S
        while True:
            will = await self._settings.will() if self._settings.will else None
            # Known before it is up: with the CONNACK the broker may deliver what waited.
            self._session = session = _Session(self._settings, will, self._on_message)
            try:
                connected = await session.connect()
                connected = await session.subscribe(connected)
                self._since = self._clock.monotonic()
                self.up = True
                self._on_up(connected)
                reason = await session.serve()
            except TimeoutError:
                reason = f"{self._settings.url} did not answer within {CONNECT_S:.0f} s"
            except (OSError, ValueError) as error:
                reason = f"{self._settings.url} cannot be reached: {error}"
            except _Refused as error:
                reason = f"{self._settings.url} refused: {error}"
            finally:
                self.up = False
                self._session = None
                session.close()
            if self._since is not None:
                self._short = 0 if self._steady() else min(self._short + 1, 10)
                if session.taken_over:
                    self._short = max(self._short, SHORT_MAX)
                # Two devices with one id would otherwise throw each other out every second.
                limit = min(BACKOFF_MIN_S * 2**self._short, self._settings.retry_max_s)
                self._since = None
            self._on_down(reason)
            # Full jitter, so that a fleet does not come back in one wave.
            await self._clock.sleep(self._random.uniform(0.1, limit))
            limit = min(limit * 2, self._settings.retry_max_s)

    def reset(self, reason: str) -> None:
        """End this connection and make a new one, so that the broker sends again."""
        if self._session is not None:
            self._session.end(reason)

    def pause(self) -> None:
        """Read nothing more from this connection until `resume()`.

        For brokers that overrun the Receive Maximum, as mosquitto 2.0.11 does when many PUBACKs
        come at once. A pause of twice the keep-alive ends the connection.
        """
        if self._session is not None:
            self._session.pause()

    def resume(self) -> None:
        if self._session is not None:
            self._session.resume()

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        expiry_s: int | None = None,
        content_type: str | None = None,
        correlation: bytes | None = None,
        on_ack: Callable[[int], None] | None = None,
    ) -> None:
        """Hand a message to the connection; `on_ack(reason_code)` when PUBACK came.

        Raises LinkDown; a message whose `on_ack` was not called before `on_down` is unconfirmed.
        """
        if self._session is None or not self._session.accepted:
            raise LinkDown
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if expiry_s is not None:
            properties.MessageExpiryInterval = max(1, expiry_s)
        if content_type is not None:
            properties.ContentType = content_type
        if correlation is not None:
            properties.CorrelationData = correlation
        self._session.publish(topic, payload, qos, retain, properties, on_ack)

    def acknowledge(self, message: Message) -> None:
        """PUBACK; nothing where the connection that brought the message is gone."""
        if self._session is not None and message._session is self._session:  # noqa: SLF001 - ours
            self._session.acknowledge(message._mid, message.qos)  # noqa: SLF001


class _Refused(Exception):
    pass


class _Session:
    """One connection: a paho client and its socket in the event loop."""

    def __init__(
        self, settings: LinkSettings, will: Will | None, on_message: Callable[[Message], None]
    ) -> None:
        self._settings = settings
        self._deliver = on_message
        self._loop = asyncio.get_running_loop()
        self._acks: dict[int, Callable[[int], None]] = {}
        self._ended: asyncio.Future[str] = self._loop.create_future()
        self._connack: asyncio.Future[Connected] = self._loop.create_future()
        self._suback: asyncio.Future[bool] = self._loop.create_future()
        self._may_refuse: int | None = None
        self._fd = -1
        self._writing = False
        self._paused = False
        self._in_callback = False
        self.accepted = False  # by the broker
        self.taken_over = False  # by another client of the same id
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            protocol=paho.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.max_inflight_messages_set(65535)  # the window in flight is the caller's
        client.connect_timeout = CONNECT_S
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_socket_close = lambda *_: self._detach()
        if settings.username is not None:
            client.username_pw_set(settings.username, settings.password)
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=True)

    async def connect(self) -> Connected:
        """Raises OSError, TimeoutError or _Refused."""
        settings = self._settings
        url = urlsplit(settings.url)
        if url.scheme == "mqtts":
            self._client.tls_set_context(_tls(settings))
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = settings.session_expiry_s
        properties.ReceiveMaximum = settings.receive_maximum
        properties.MaximumPacketSize = settings.max_packet_bytes
        connect = partial(
            self._client.connect,
            url.hostname or "",
            url.port or (8883 if url.scheme == "mqtts" else 1883),
            settings.keepalive_s,
            clean_start=False,
            properties=properties,
        )
        await self._loop.run_in_executor(None, connect)
        self._attach()
        async with asyncio.timeout(CONNECT_S):
            return await self._first(self._connack)

    async def subscribe(self, connected: Connected) -> Connected:
        """Says whether the subscriptions that should be shared are."""
        plain, shared = self._settings.subscriptions, self._settings.shared
        together = tuple(f"$share/{self._settings.group}/{topic}" for topic in shared)
        if shared and connected.sharing:
            refused = await self._subscribe((*plain, *together), may_refuse=NO_SHARING)
            if not refused:
                return connected
            connected = replace(connected, sharing=False)
        if plain or shared:
            await self._subscribe((*plain, *shared))
        return connected

    async def _subscribe(self, filters: tuple[str, ...], may_refuse: int | None = None) -> bool:
        """Whether the broker refused one for this reason; any other ends the connection."""
        self._suback = self._loop.create_future()
        self._may_refuse = may_refuse
        options = SubscribeOptions(qos=1)
        self._client.subscribe([(one, options) for one in filters])
        self._flush()
        async with asyncio.timeout(CONNECT_S):
            return await self._first(self._suback)

    async def serve(self) -> str:
        """Until the connection ends; the reason. Cancelled: a good-bye first.

        What a callback of the owner raised comes out here.
        """
        try:
            while not self._ended.done():
                await asyncio.wait([self._ended], timeout=1.0)
                self._client.loop_misc()
                self._flush()
        except asyncio.CancelledError:
            self._client.disconnect()
            self._flush()
            raise
        return self._ended.result()

    def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        retain: bool,  # noqa: FBT001 - MQTT's own parameter
        properties: Properties,
        on_ack: Callable[[int], None] | None,
    ) -> None:
        info = self._client.publish(topic, payload, qos, retain, properties)
        if info.rc != paho.MQTT_ERR_SUCCESS:
            raise LinkDown
        if on_ack is not None:
            self._acks[info.mid] = on_ack
        self._flush()

    def acknowledge(self, mid: int, qos: int) -> None:
        self._client.ack(mid, qos)
        self._flush()

    def pause(self) -> None:
        if self._fd >= 0 and not self._paused:
            self._paused = True
            self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            if self._fd >= 0:
                self._loop.add_reader(self._fd, self._readable)
                self._loop.call_soon(self._readable)  # what TLS has unpacked already

    def close(self) -> None:
        self.end("closed")
        sock = self._client.socket()
        if sock is not None:
            sock.close()

    async def _first(self, wanted: asyncio.Future[T]) -> T:
        either: list[asyncio.Future[Any]] = [wanted, self._ended]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if wanted.done():
            return wanted.result()
        raise _Refused(self._ended.result())

    # --- the socket in the event loop -------------------------------------------------------------

    def _attach(self) -> None:
        sock = self._client.socket()
        if sock is None:
            raise OSError("the connection was closed at once")
        # Else a small message waits up to 40 ms for TCP's acknowledgement of the one before.
        if isinstance(sock, socket.socket):  # paho's type allows for websockets, which we never use
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._fd = sock.fileno()
        self._loop.add_reader(self._fd, self._readable)
        self._flush()

    def _detach(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            self._fd = -1

    def _readable(self) -> None:
        while not self._paused and (sock := self._client.socket()) is not None:
            self._in_callback = True
            try:
                self._client.loop_read()
            except Exception as error:  # noqa: BLE001 - not swallowed: serve() raises it
                self._fail(error)
                return
            finally:
                self._in_callback = False
            # TLS keeps what it has unpacked to itself; the loop would not call again for it.
            if not (isinstance(sock, ssl.SSLSocket) and sock.fileno() >= 0 and sock.pending()):
                break
        self._flush()

    def _flush(self) -> None:
        """Write what paho has queued, now or when the socket takes more.

        Not from within paho's own callbacks: a write that fails there waits for a lock for ever.
        """
        if self._in_callback:
            return  # _readable() flushes afterwards
        if self._client.want_write() and self._client.socket() is not None:
            self._client.loop_write()
        if self._fd < 0:
            return
        if self._client.want_write() and not self._writing:
            self._loop.add_writer(self._fd, self._flush)
            self._writing = True
        elif self._writing and not self._client.want_write():
            self._loop.remove_writer(self._fd)
            self._writing = False

    # --- paho's callbacks -------------------------------------------------------------------------

    def _on_connect(
        self,
        _client: paho.Client,
        _userdata: object,
        flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self.end(str(reason))
        elif not self._connack.done():
            self.accepted = True
            self._connack.set_result(
                Connected(
                    session_present=flags.session_present,
                    receive_maximum=getattr(properties, "ReceiveMaximum", 65535),
                    sharing=bool(getattr(properties, "SharedSubscriptionAvailable", 1)),
                )
            )

    def _on_subscribe(
        self,
        _client: paho.Client,
        _userdata: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        failed = [reason for reason in reasons if reason.is_failure]
        others = [str(reason) for reason in failed if reason.value != self._may_refuse]
        if others:
            self.end(f"subscription not allowed ({others[0]})")
        elif not self._suback.done():
            self._suback.set_result(bool(failed))

    def _on_disconnect(
        self,
        _client: paho.Client,
        _userdata: object,
        _flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.value == TAKEN_OVER:
            self.taken_over = True
            self.end("another device uses this id (session taken over)")
        else:
            self.end(f"connection lost ({reason})")

    def _on_message(self, _client: paho.Client, _userdata: object, got: paho.MQTTMessage) -> None:
        try:
            topic = got.topic
        except UnicodeDecodeError:
            self._client.ack(got.mid, got.qos)  # no topic of ours; nothing to keep
            return
        properties = got.properties
        self._deliver(
            Message(
                topic=topic,
                payload=bytes(got.payload),
                qos=got.qos,
                retain=got.retain,
                content_type=getattr(properties, "ContentType", None),
                response_topic=getattr(properties, "ResponseTopic", None),
                correlation=getattr(properties, "CorrelationData", None),
                _mid=got.mid,
                _session=self,
            )
        )

    def _on_publish(
        self,
        _client: paho.Client,
        _userdata: object,
        mid: int,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        on_ack = self._acks.pop(mid, None)
        if on_ack is not None:
            on_ack(reason.value)

    def _fail(self, error: Exception) -> None:
        self._detach()
        if not self._ended.done():
            self._ended.set_exception(error)

    def end(self, reason: str) -> None:
        self._detach()
        if not self._ended.done():
            self._ended.set_result(reason)


def _tls(settings: LinkSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.cert is not None:
        context.load_cert_chain(settings.cert, settings.key)
    return context
