"""One line of text a message, for people who watch the wire. Pure."""

from __future__ import annotations

import zlib
from typing import Any

from agent.contract import topics, wire
from agent.contract.errors import Rejected
from agent.contract.events import Event

TEXT_MAX = 140


def line_of(
    topic: str, payload: bytes, now_ms: int, *, up: bool, late: bool = False
) -> dict[str, Any]:
    """`up`: from a device to the back end."""
    short = topic.removeprefix(f"{topics.ROOT}/")
    if "/batch/" in topic:
        text = _batch(payload)
    elif "/evt/" in topic:
        text = _event(payload)
    else:
        text = _plain(payload)
    return {"topic": short, "text": text, "t": now_ms, "up": up, "late": late}


def _plain(payload: bytes) -> str:
    text = payload[: TEXT_MAX * 3].decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "·" for c in text)[:TEXT_MAX]


def _event(payload: bytes) -> str:
    """Its number and body; the rest of the envelope says little to people."""
    try:
        event = wire.decode(payload, Event, max_bytes=wire.MAX_BATCH_BYTES)
    except Rejected:
        return _plain(payload)
    return f"{event.stream} {event.seq}  {_plain(bytes(event.body))}"


def _batch(payload: bytes) -> str:
    unzip = zlib.decompressobj()
    try:
        lines = unzip.decompress(payload, wire.MAX_BATCH_BYTES)
    except zlib.error:
        lines = payload
    events = lines.count(b"\n") + 1
    return f"{events} events, {len(lines)} bytes in {len(payload)}"
