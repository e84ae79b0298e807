"""Packets come whole out of any pieces, and nothing but MalformedError out of the rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.swarm import packets
from agent.swarm.packets import MalformedError, Packet, Parser


@given(
    st.lists(
        st.tuples(st.text(max_size=40), st.binary(max_size=300), st.integers(1, 65535)), max_size=8
    ),
    st.data(),
)
def test_packets_come_whole_out_of_any_pieces(
    messages: list[tuple[str, bytes, int]], data: st.DataObject
) -> None:
    stream = b"".join(packets.publish(*message) for message in messages)
    parser, found = Parser(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += [packets.published(packet) for packet in parser.feed(stream[:size])]
        stream = stream[size:]
    assert found == messages


@given(st.binary(max_size=400))
def test_anything_else_is_malformed_or_ignored(stream: bytes) -> None:
    try:
        for packet in Parser().feed(stream):
            if packet.kind == packets.PUBLISH:
                packets.published(packet)
            else:
                packets.acknowledged(packet)
    except MalformedError:
        pass


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"\x00\x07", (7, 0)), (b"\x00\x07\x10", (7, 0x10)), (b"\x00\x07\x00\x00", (7, 0))],
)
def test_a_puback_has_an_id_and_perhaps_a_reason(body: bytes, expected: tuple[int, int]) -> None:
    assert packets.acknowledged(Packet(packets.PUBACK, 0, body)) == expected


@pytest.mark.parametrize("stream", [b"\x30\xff\xff\xff\xff\x01", b"\x30\x80\x80\x80\x7f"])
def test_a_length_that_nobody_means_is_refused(stream: bytes) -> None:
    with pytest.raises(MalformedError):
        list(Parser().feed(stream))
