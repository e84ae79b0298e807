"""One MQTT 5 connection: a paho client and its socket in the event loop; nobody else imports paho.

paho's queue, its back-off and its QoS 2 are not used: each connection gets a fresh client that
forgets everything with it, because the outbox is the truth and re-sends what was not confirmed.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from agent.core import memory

with memory.left_out("urllib.request"):  # for proxies that we have none of; it costs 1.2 MB
    import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.uplink import words
from agent.uplink.values import Connected, Ended, LinkDown, LinkSettings, Message, Will

T = TypeVar("T")

ANSWER_S = 10.0  # for CONNACK, and again for SUBACK
NO_SHARING = 0x9E  # the broker knows no shared subscriptions
_CONNACK = 0x20  # first byte of the first packet that a broker sends
_KEEP_ALIVE = 0x8D  # what paho calls it when the broker does not answer a ping


class Refused(Exception):
    """There was an answer, but no session."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended.reason)
        self.ended = ended


class _Client(paho.Client):
    """On a socket that is connected already; keeps what went wrong with it."""

    def __init__(self, client_id: str, sock: socket.socket) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=paho.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self._made = sock
        self.fault: OSError | None = None

    def _create_socket(self) -> socket.socket:
        return self._made

    def _sock_recv(self, bufsize: int) -> bytes:
        try:
            return super()._sock_recv(bufsize)
        except BlockingIOError:
            raise
        except OSError as error:
            self.fault = error
            raise


class Session:
    """`url` is where `sock` is connected to."""

    def __init__(
        self,
        settings: LinkSettings,
        url: str,
        sock: socket.socket,
        will: Will | None,
        on_message: Callable[[Message], None],
    ) -> None:
        self._settings = settings
        self._url = url
        self._deliver = on_message
        self._loop = asyncio.get_running_loop()
        self._acks: dict[int, Callable[[int], None]] = {}
        self._ended: asyncio.Future[Ended] = self._loop.create_future()
        self._connack: asyncio.Future[Connected] = self._loop.create_future()
        self._suback: asyncio.Future[bool] = self._loop.create_future()
        self._may_refuse: int | None = None
        self._fd = -1
        self._writing = False
        self._paused = False
        self._in_callback = False
        self._bug: Exception | None = None  # what a callback of the owner raised
        self.accepted = False  # by the broker
        self.progressed = False  # it took something of ours
        self._client = client = _Client(settings.client_id, sock)
        client.max_inflight_messages_set(65535)  # the window in flight is the caller's
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_socket_close = lambda *_: self._detach()
        if settings.username is not None:
            client.username_pw_set(settings.username, settings.password)
        if will is not None:
            properties = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]
            self._identify(properties)
            client.will_set(will.topic, will.payload, qos=1, retain=True, properties=properties)

    async def connect(self) -> Connected:
        """Raises TimeoutError or Refused."""
        settings = self._settings
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = settings.session_expiry_s
        properties.ReceiveMaximum = settings.receive_maximum
        properties.MaximumPacketSize = settings.max_packet_bytes
        self._client.connect(
            "connected-already", keepalive=settings.keepalive_s, clean_start=False,
            properties=properties,
        )  # fmt: skip
        self._attach()
        async with asyncio.timeout(ANSWER_S):
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
        async with asyncio.timeout(ANSWER_S):
            return await self._first(self._suback)

    async def serve(self) -> Ended:
        """Until the connection ends. Cancelled: a good-bye first.

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
        *,
        qos: int = 1,
        retain: bool = False,
        expiry_s: int | None = None,
        content_type: str | None = None,
        correlation: bytes | None = None,
        on_ack: Callable[[int], None] | None = None,
    ) -> None:
        """Raises LinkDown."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if expiry_s is not None:
            properties.MessageExpiryInterval = max(1, expiry_s)
        if content_type is not None:
            properties.ContentType = content_type
        if correlation is not None:
            properties.CorrelationData = correlation
        self._identify(properties)
        info = self._client.publish(topic, payload, qos, retain, properties)
        if info.rc != paho.MQTT_ERR_SUCCESS:
            raise LinkDown
        if on_ack is not None:
            self._acks[info.mid] = on_ack
        self._flush()

    def _identify(self, properties: Properties) -> None:
        if self._settings.id_property is not None:
            properties.UserProperty = (self._settings.id_property, self._settings.client_id)

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

    def leave(self, ended: Ended) -> None:
        """End it with a good-bye, so that the broker says nothing in our name."""
        self.end(ended)
        self._client.disconnect()
        if self._client.want_write() and self._client.socket() is not None:
            self._client.loop_write()

    def close(self) -> None:
        self.end(Ended("closed"))
        sock = self._client.socket()
        if sock is not None:
            sock.close()

    async def _first(self, wanted: asyncio.Future[T]) -> T:
        either: list[asyncio.Future[Any]] = [wanted, self._ended]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if wanted.done():
            return wanted.result()
        raise Refused(self._ended.result())

    # --- the socket in the event loop -------------------------------------------------------------

    def _attach(self) -> None:
        sock = self._client.socket()
        if sock is None:
            raise OSError("the connection was closed at once")
        self._fd = sock.fileno()
        self._loop.add_reader(self._fd, self._readable)
        self._flush()

    def _detach(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            self._fd = -1

    def _readable(self) -> None:
        if not self.accepted and not self._speaks_mqtt():
            return
        while not self._paused and (sock := self._client.socket()) is not None:
            self._in_callback = True
            try:
                self._client.loop_read()
            except Exception as error:  # noqa: BLE001 - paho raises anything at bytes that are none
                if error is self._bug:
                    self._fail(error)  # serve() raises it
                else:
                    self.end(Ended(f"{words.NO_MQTT} ({error})"))
                return
            finally:
                self._in_callback = False
            # TLS keeps what it has unpacked to itself; the loop would not call again for it.
            if not (isinstance(sock, ssl.SSLSocket) and sock.fileno() >= 0 and sock.pending()):
                break
        self._flush()

    def _speaks_mqtt(self) -> bool:
        """Whether the first byte is a broker's; TLS has checked who it is already."""
        sock = self._client.socket()
        if isinstance(sock, ssl.SSLSocket) or not isinstance(sock, socket.socket):
            return True
        try:
            first = sock.recv(1, socket.MSG_PEEK)
        except OSError:
            return True  # paho meets it again
        if first and first[0] != _CONNACK:
            self.end(Ended(words.NO_MQTT))
            return False
        return True

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
            self.end(self._said(reason, properties))
        elif not self._connack.done():
            self.accepted = True
            self._connack.set_result(
                Connected(
                    session_present=flags.session_present,
                    receive_maximum=getattr(properties, "ReceiveMaximum", 65535),
                    sharing=bool(getattr(properties, "SharedSubscriptionAvailable", 1)),
                    told=self._said(reason, properties).told,
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
            self.end(Ended(f"subscription not allowed ({others[0]})", by_broker=True))
        elif not self._suback.done():
            self._suback.set_result(bool(failed))

    def _on_disconnect(
        self,
        _client: paho.Client,
        _userdata: object,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        fault = self._client.fault
        if flags.is_disconnect_packet_from_server:
            self.end(self._said(reason, properties))
        elif isinstance(fault, ssl.SSLError):
            self.end(Ended(words.network_fault(fault, 0.0, clock_set=True)))
        elif reason.value == _KEEP_ALIVE or isinstance(fault, TimeoutError):
            self.end(Ended(words.DEAD, silent=True))
        else:
            what = fault.strerror if fault is not None else "it hung up without a word"
            self.end(Ended(f"connection lost ({what})", by_broker=True))

    def _said(self, reason: ReasonCode, properties: Properties | None) -> Ended:
        """What the broker said in a CONNACK or DISCONNECT."""
        code: int = reason.value
        return Ended(
            words.cause(code, str(reason), getattr(properties, "ReasonString", None)),
            by_broker=True,
            taken_over=code == words.TAKEN_OVER,
            told=words.told(
                code,
                self._url,
                getattr(properties, "ServerReference", None),
                getattr(properties, "UserProperty", ()),
            ),
        )

    def _on_message(self, _client: paho.Client, _userdata: object, got: paho.MQTTMessage) -> None:
        try:
            topic = got.topic
        except UnicodeDecodeError:
            self._client.ack(got.mid, got.qos)  # no topic of ours; nothing to keep
            return
        properties = got.properties
        message = Message(
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
        self._tell(lambda: self._deliver(message))

    def _on_publish(
        self,
        _client: paho.Client,
        _userdata: object,
        mid: int,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self.progressed = self.progressed or not reason.is_failure
        on_ack = self._acks.pop(mid, None)
        if on_ack is not None:
            self._tell(lambda: on_ack(reason.value))

    def _tell(self, owner: Callable[[], None]) -> None:
        """Call the owner back; what it raises is a bug, and not the broker's."""
        try:
            owner()
        except Exception as error:
            self._bug = error
            raise

    def _fail(self, error: Exception) -> None:
        self._detach()
        if not self._ended.done():
            self._ended.set_exception(error)

    def end(self, ended: Ended) -> None:
        self._detach()
        if not self._ended.done():
            self._ended.set_result(ended)
