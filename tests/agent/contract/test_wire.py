"""Bytes of strangers give messages or rejections, never anything else."""

from __future__ import annotations

import contextlib
import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.contract import topics
from agent.contract.commands import Ack, Command
from agent.contract.errors import Rejected
from agent.contract.events import BODIES, Event, Gap
from agent.contract.orders import Order
from agent.contract.wire import (
    MAX_BATCH_BYTES,
    NDJSON_ZLIB,
    decode,
    decode_batch,
    encode,
    encode_batch,
    encode_body,
    encode_lines,
)

EVENTS = [
    Event("e", "state", n, 1, "ntp", msgspec.Raw(b'{"n":"\\n"}'), kind="fence") for n in range(5)
]


def test_a_batch_comes_back_as_it_went() -> None:
    payload, content_type = encode_batch(encode_lines(EVENTS))
    assert [e.seq for e in decode_batch(payload, content_type)] == [0, 1, 2, 3, 4]
    assert len(payload) < sum(len(encode(event)) for event in EVENTS)


def test_a_batch_that_unpacks_without_end_is_refused() -> None:
    bomb = zlib.compress(b"\n" * (MAX_BATCH_BYTES + 10))
    with pytest.raises(Rejected, match="unpacks"):
        list(decode_batch(bomb, NDJSON_ZLIB))


@given(st.binary(max_size=200), st.sampled_from([NDJSON_ZLIB, None]))
def test_any_bytes_as_a_batch(payload: bytes, content_type: str | None) -> None:
    with contextlib.suppress(Rejected):
        list(decode_batch(payload, content_type))


@given(st.binary(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_any_bytes_as_a_message(payload: object) -> None:
    data = payload if isinstance(payload, bytes) else encode(payload)
    for type_ in (Order, Ack, Command):
        with contextlib.suppress(Rejected):
            decode(data, type_, max_bytes=1000)


def test_a_gap_speaks_of_from_and_to() -> None:
    assert encode_body(Gap(first=3, last=9, reason="evicted")) == (
        b'{"from":3,"to":9,"reason":"evicted"}'
    )


def test_every_body_has_its_kind_and_stream() -> None:
    assert set(BODIES) == {
        "position",
        "scan",
        "fence",
        "arrival",
        "order",
        "print",
        "alert",
        "sos",
        "shop",
        "stock",
        "health",
        "command",
        "config",
        "update",
        "audit",
        "error",
        "gap",
    }


@pytest.mark.parametrize(
    ("sent", "rest"),
    [
        ("cmd/order.accept/c1", ("order.accept", "c1")),
        ("order/A.17", ("A.17",)),
        ("evt/position", ("position",)),
    ],
)
def test_what_rabbitmq_makes_of_a_dot_is_read_as_the_dot(sent: str, rest: tuple[str, ...]) -> None:
    for topic in (sent, sent.replace(".", "/")):
        assert topics.parse(f"edge/v1/sh-1/{topic}") == ("sh-1", sent.partition("/")[0], rest)


@given(st.text(max_size=60))
def test_any_topic_is_taken_apart_or_refused(topic: str) -> None:
    address = topics.parse(topic)
    assert address is None or topic.startswith("edge/v1/")
