"""Just enough MQTT 5 for thousands of simulated devices in one process; pure.

A packet is one byte of kind and flags, the length of the rest (7 bits a byte, least first), and the
rest. Strings have two bytes of length before them. Layout: MQTT 5.0, OASIS, sections 2 and 3. The
agent itself speaks through paho; this is for the swarm, where 60 us a message would be the figure.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 9, 13, 14
PINGREQ = b"\xc0\x00"
MAX_LENGTH = 1 << 20  # of a packet that anybody sends a device

_SESSION_EXPIRY, _RECEIVE_MAXIMUM = 0x11, 0x21


class MalformedError(ValueError):
    """What came is not MQTT 5."""


class Packet(NamedTuple):
    kind: int
    flags: int
    body: bytes


class Published(NamedTuple):
    topic: str
    payload: bytes
    id: int | None  # of QoS 1: to be acknowledged


def connect(
    client_id: str, *, keepalive_s: int, session_expiry_s: int, will: tuple[str, bytes]
) -> bytes:
    """Takes up its session if there is one; the will is retained."""
    properties = struct.pack(">BIBH", _SESSION_EXPIRY, session_expiry_s, _RECEIVE_MAXIMUM, 64)
    topic, payload = will
    body = (
        b"\x00\x04MQTT\x05"
        + bytes([0x04 | 0x08 | 0x20])  # a will with QoS 1, retained
        + struct.pack(">HB", keepalive_s, len(properties))
        + properties
        + _text(client_id)
        + b"\x00"
        + _text(topic)
        + struct.pack(">H", len(payload))
        + payload
    )
    return _packet(0x10, body)


def subscribe(id_: int, topics: Sequence[str]) -> bytes:
    wishes = b"".join(_text(topic) + b"\x01" for topic in topics)
    return _packet(0x82, struct.pack(">HB", id_, 0) + wishes)


def publish(topic: str, payload: bytes, id_: int, *, retain: bool = False) -> bytes:
    """QoS 1."""
    head = 0x33 if retain else 0x32
    return _packet(head, _text(topic) + struct.pack(">HB", id_, 0) + payload)


def puback(id_: int) -> bytes:
    return b"\x40\x02" + struct.pack(">H", id_)


def disconnect() -> bytes:
    return b"\xe0\x00"


def accepted(packet: Packet) -> bool:
    """Of a CONNACK."""
    return len(packet.body) >= 2 and packet.body[1] == 0


def acknowledged(packet: Packet) -> tuple[int, int]:
    """Packet id and reason code of a PUBACK or a SUBACK's id."""
    if len(packet.body) < 2:
        raise MalformedError("an acknowledgement without an id")
    code = packet.body[2] if packet.kind == PUBACK and len(packet.body) > 2 else 0
    return int.from_bytes(packet.body[:2]), code


def published(packet: Packet) -> Published:
    body = packet.body
    try:
        size = int.from_bytes(body[:2])
        topic = body[2 : 2 + size].decode()
        at, id_ = 2 + size, None
        if packet.flags & 0x06:
            id_ = int.from_bytes(body[at : at + 2])
            at += 2
        length, at = _length(body, at)
    except (IndexError, UnicodeDecodeError) as error:
        raise MalformedError(str(error)) from None
    return Published(topic, body[at + length :], id_)


class Parser:
    """Bytes as they come -> whole packets."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Packet]:
        self._buffer += data
        place = 0
        try:
            while True:
                try:
                    length, start = _length(self._buffer, place + 1)
                except IndexError:
                    return
                if start + length > len(self._buffer):
                    return
                head = self._buffer[place]
                yield Packet(head >> 4, head & 15, bytes(self._buffer[start : start + length]))
                place = start + length
        finally:
            del self._buffer[:place]


def _packet(head: int, body: bytes) -> bytes:
    size, left = bytearray(), len(body)
    while True:
        left, digit = divmod(left, 128)
        size.append(digit | (128 if left else 0))
        if not left:
            return bytes([head]) + bytes(size) + body


def _length(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """A length and where it ends; IndexError when it is not whole."""
    value = shift = 0
    while True:
        digit = data[at]
        value |= (digit & 127) << shift
        at += 1
        if not digit & 128:
            break
        shift += 7
        if shift > 21:
            raise MalformedError("a length of more than four bytes")
    if value > MAX_LENGTH:
        raise MalformedError(f"a packet of {value} bytes")
    return value, at


def _text(word: str) -> bytes:
    raw = word.encode()
    return struct.pack(">H", len(raw)) + raw
