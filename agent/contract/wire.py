"""Bytes <-> messages. Strangers' bytes give a message or `Rejected` with a reason code."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from agent.contract.errors import Rejected
from agent.contract.events import Body, Event

NDJSON = "application/x-ndjson"
NDJSON_ZLIB = "application/x-ndjson+zlib"
MAX_BATCH_BYTES = 4 * 1024 * 1024  # unpacked; more is an attack

T = TypeVar("T")
_encoder = msgspec.json.Encoder()


def encode(message: object) -> bytes:
    return _encoder.encode(message)


def decode(payload: bytes, type_: type[T], *, max_bytes: int) -> T:
    """A checked message; wrong fields are named in the rejection."""
    if len(payload) > max_bytes:
        raise Rejected("too_large", f"{len(payload)} bytes; at most {max_bytes} are read")
    try:
        return msgspec.json.decode(payload, type=type_)
    except msgspec.ValidationError as error:
        raise Rejected("invalid", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("not_json", f"not a JSON document: {error}") from None


def encode_body(body: Body) -> bytes:
    return _encoder.encode(body)


def encode_lines(events: Iterable[Event]) -> bytes:
    """One event a line, the last without an end. Each must carry its `kind`."""
    return _encoder.encode_lines(events)[:-1]


def encode_batch(lines: bytes, *, level: int = 6) -> tuple[bytes, str]:
    """Compressed, and the content type."""
    return zlib.compress(lines, level), NDJSON_ZLIB


def decode_batch(payload: bytes, content_type: str | None) -> Iterator[Event]:
    """The events of a batch, for consumers."""
    for line in unpack(payload, content_type):
        yield decode(line, Event, max_bytes=MAX_BATCH_BYTES)


def unpack(payload: bytes, content_type: str | None) -> list[bytes]:
    """The lines of a batch, an event each."""
    if content_type == NDJSON_ZLIB:
        unzip = zlib.decompressobj()
        try:
            payload = unzip.decompress(payload, MAX_BATCH_BYTES)
        except zlib.error as error:
            raise Rejected("not_zlib", f"batch cannot be unpacked: {error}") from None
        if unzip.unconsumed_tail:
            raise Rejected("too_large", f"batch unpacks to more than {MAX_BATCH_BYTES} bytes")
    return payload.splitlines()
