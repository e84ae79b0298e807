"""What goes into a link and comes out of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from agent.uplink.attempts import NOTHING, Told

RECEIVE_MAXIMUM = 64  # unacknowledged messages that the broker may have under way to us
MAX_PACKET_BYTES = 1024 * 1024  # nothing larger is meant for a device


class LinkDown(Exception):
    """There is no connection right now; the caller keeps what it has."""


@dataclass(frozen=True, slots=True)
class Will:
    """Published by the broker when the connection ends without a good-bye; QoS 1, retained."""

    topic: str
    payload: bytes


class TlsFiles(NamedTuple):
    """PEM files of a connection: whom to trust (none: as the system does), and who we are."""

    ca: Path | None
    cert: Path | None = None
    key: Path | None = None


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
    files: Callable[[], TlsFiles] | None = None  # asked for each connection, instead of those three
    tls_min: Literal["1.2", "1.3"] = "1.3"
    floor: Callable[[], float | None] | None = None  # see Dialler; unix s, None: the clock is right
    group: str | None = None  # who share `shared`: each message goes to one of them
    shared: tuple[str, ...] = ()  # everybody gets everything where the broker cannot share
    receive_maximum: int = RECEIVE_MAXIMUM
    max_packet_bytes: int = MAX_PACKET_BYTES
    fallbacks: tuple[str, ...] = ()  # brokers for the time in which `url` cannot be reached
    return_after_s: float = 600.0  # so long on a fallback, then `url` is looked at again
    window_s: float = 0.0  # see Attempts
    id_property: str | None = None  # a user property of each message that carries the client id


@dataclass(frozen=True, slots=True)
class Connected:
    session_present: bool
    receive_maximum: int  # QoS 1 messages that the broker takes unacknowledged
    sharing: bool = True  # the broker offers shared subscriptions
    told: Told = NOTHING  # what it wishes of those who come back


@dataclass(frozen=True, slots=True)
class Ended:
    """Why a connection is over."""

    reason: str  # for people
    by_broker: bool = False  # it said so, or hung up; not: the line went dead
    taken_over: bool = False  # by another client with the same id
    told: Told = NOTHING
    silent: bool = False  # nobody answered any more: the broker's machine or the way is dead


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
