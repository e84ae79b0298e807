"""The far end of every drain: counts records, acknowledges ours, plays ThingsBoard's cloud.

    python bench/sink.py PORT RECORDS

A bare MQTT 3.1.1 subscriber on a blocking socket, so that it is never what is measured (paho takes
83 us for a message that it receives). It says JSON lines: `ready`, `first`, `done`; times are
CLOCK_MONOTONIC.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import sys
import time
import zlib

FILTERS = (
    "edge/v1/+/evt/+",
    "edge/v1/+/batch/+",
    "raw/+",
    "v1/gateway/telemetry",
    "v1/devices/me/telemetry",
    "v1/devices/me/rpc/request/+",
)
# The most generous answer to ThingsBoard's first question: no limits, a new server's packet size.
LIMITS = (
    b'{"maxPayloadSize":65536,"maxInflightMessages":100,"rateLimits":{"messages":"","telemetry'
    b'Messages":"","telemetryDataPoints":""},"gatewayRateLimits":{}}'
)
KEY = re.compile(rb'"epoch":"([^"]*)","stream":"([^"]*)","seq":(\d+)')


def packet(kind: int, body: bytes) -> bytes:
    size, length = b"", len(body)
    while True:
        length, digit = divmod(length, 128)
        size += bytes([digit | (128 if length else 0)])
        if not length:
            return bytes([kind]) + size + body


def text(word: bytes) -> bytes:
    return struct.pack(">H", len(word)) + word


def publish(topic: bytes, payload: bytes) -> bytes:
    return packet(0x30, text(topic) + payload)


def say(**line: object) -> None:
    print(json.dumps(line), flush=True)


class Sink:
    def __init__(self, port: int, wanted: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.wanted = wanted
        self.records = self.packets = self.bytes = 0
        self.upto: dict[bytes, int] = {}
        self.out = bytearray()
        self.acks: dict[bytes, tuple[bytes, int]] = {}
        self.first: float | None = None
        self.done = False

    def run(self) -> None:
        self.socket.sendall(packet(0x10, text(b"MQTT") + b"\x04\x02\x00\x00" + text(b"sink")))
        wishes = b"".join(text(one.encode()) + b"\x01" for one in FILTERS)
        self.socket.sendall(packet(0x82, b"\x00\x01" + wishes))
        buffer = bytearray()
        while data := self.socket.recv(1 << 18):
            buffer += data
            del buffer[: self.take(buffer)]
            for topic, (epoch, seq) in self.acks.items():
                self.out += publish(topic, b'{"epoch":"%s","seq":%d}' % (epoch, seq))
            self.acks.clear()
            if self.out:
                self.socket.sendall(self.out)
                self.out.clear()
            self.tell()

    def take(self, buffer: bytearray) -> int:
        """Every whole packet; how many bytes they were."""
        place, end = 0, len(buffer)
        view = bytes(buffer)
        while place + 2 <= end:
            size, shift, head = 0, 0, place + 1
            while True:
                if head >= end:
                    return place
                digit = view[head]
                size |= (digit & 127) << shift
                shift, head = shift + 7, head + 1
                if digit < 128:
                    break
            if head + size > end:
                return place
            kind = view[place] >> 4
            if kind == 3:
                self.message(view[place], view[head : head + size])
            elif kind == 9:
                say(event="ready")
            place = head + size
        return place

    def message(self, flags: int, body: bytes) -> None:
        length = body[0] << 8 | body[1]
        topic, rest = body[2 : 2 + length], body[2 + length :]
        if flags & 6:
            self.out += b"\x40\x02" + rest[:2]
            rest = rest[2:]
        if topic.startswith(b"raw/"):
            self.count(1, rest)
        elif topic.startswith(b"edge/"):
            self.ours(topic, rest)
        elif topic.startswith(b"v1/devices/me/rpc/request/"):
            number = topic.rsplit(b"/", 1)[1]
            self.out += publish(b"v1/devices/me/rpc/response/" + number, LIMITS)
        else:
            self.count(rest.count(b'"ts":'), rest)

    def ours(self, topic: bytes, payload: bytes) -> None:
        device, branch = topic.split(b"/")[2:4]
        lines = zlib.decompress(payload) if branch == b"batch" else payload
        found = KEY.search(lines, lines.rfind(b"\n") + 1)
        assert found, lines
        epoch, stream, last = found[1], found[2], int(found[3])
        first = last - lines.count(b"\n")
        old = self.upto.get(stream, 0)
        if stream == b"critical":
            say(event="urgent", t=time.monotonic(), seq=last)
        elif last > old:
            self.count(last - max(old, first - 1), payload)
        self.upto[stream] = max(old, last)
        self.acks[b"edge/v1/%s/ack/%s" % (device, stream)] = (epoch, self.upto[stream])

    def count(self, records: int, payload: bytes) -> None:
        if records and self.first is None:
            self.first = time.monotonic()
            say(event="first", t=self.first, records=records)
        self.records += records
        self.packets += 1
        self.bytes += len(payload)

    def tell(self) -> None:
        if self.records >= self.wanted and not self.done:
            self.done = True
            say(
                event="done",
                t=time.monotonic(),
                records=self.records,
                packets=self.packets,
                bytes=self.bytes,
            )


if __name__ == "__main__":
    Sink(int(sys.argv[1]), int(sys.argv[2])).run()
