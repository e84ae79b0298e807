"""From an MQTT 5 broker, in a group whose members share the messages where the broker can.

With a shared subscription the messages of one device go to different instances; order is kept in
the store. The session outlives a restart but not much more: what the broker keeps for an instance
that is gone, it gives to nobody else, and the devices send it again to those who are there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from agent.consumer.source import CONNECTING, Incoming
from agent.contract.topics import ROOT
from agent.core.clock import Clock
from agent.uplink.link import Connected, Link, LinkDown, LinkSettings, Message

log = logging.getLogger(__name__)

MAX_PACKET_BYTES = 8 * 1024 * 1024  # more than is read, so that what is too large can be set aside


class MqttSource:
    """`urls`: the broker and others for when it is away; user and password are the first one's."""

    def __init__(
        self,
        urls: Sequence[str],
        clock: Clock,
        *,
        group: str,
        instance: str,
        unacknowledged: int,
        session_s: int,
        ca: Path | None = None,
        cert: Path | None = None,
        key: Path | None = None,
    ) -> None:
        parts = urlsplit(urls[0])
        first, *others = (_without_user(url) for url in urls)
        self.name = ",".join((first, *others))
        self.trouble: str | None = CONNECTING
        self._sharing = True
        self._settings = LinkSettings(
            url=first,
            fallbacks=tuple(others),
            client_id=f"{group}-{instance}",
            # Presence is retained, and retained messages do not come through shared subscriptions.
            subscriptions=(f"{ROOT}/+/state",),
            group=group,
            shared=(f"{ROOT}/+/evt/#", f"{ROOT}/+/batch/#"),
            receive_maximum=min(unacknowledged, 65535),
            max_packet_bytes=MAX_PACKET_BYTES,
            session_expiry_s=session_s,
            retry_max_s=10.0,
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            ca=ca,
            cert=cert,
            key=key,
        )
        self._clock = clock
        self._take: Callable[[Incoming], bool] = lambda _: False
        self._link = Link(
            self._settings,
            clock,
            on_message=self._on_message,
            on_up=self._on_up,
            on_down=self._on_down,
        )

    async def run(self, take: Callable[[Incoming], bool]) -> None:
        self._take = take
        await self._link.run()

    def acknowledge(self, message: Incoming) -> None:
        assert isinstance(message.receipt, Message)
        self._link.acknowledge(message.receipt)

    def publish(self, topic: str, payload: bytes) -> None:
        try:
            self._link.publish(topic, payload)
        except LinkDown:
            log.debug("an acknowledgement was not sent: the broker is away")

    def resume(self) -> None:
        self._link.resume()

    def _on_message(self, message: Message) -> None:
        if not self._take(Incoming(message.topic, message.payload, message.content_type, message)):
            self._link.pause()

    def _on_up(self, connected: Connected) -> None:
        self.trouble = None
        log.info("connected to %s as %s", self.name, self._settings.client_id)
        if self._sharing and not connected.sharing:
            log.warning("%s cannot share: every instance gets every message", self.name)
        self._sharing = connected.sharing

    def _on_down(self, reason: str) -> None:
        if self.trouble in (None, CONNECTING):
            log.warning("%s; trying again", reason)
        self.trouble = reason


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
