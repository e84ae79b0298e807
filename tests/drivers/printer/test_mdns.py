"""The question to the printers of the network and what they answer."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.printer import mdns


def name(text: str) -> bytes:
    labels = [label.encode() for label in text.split(".")]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def record(owner: bytes, kind: int, data: bytes) -> bytes:
    return owner + kind.to_bytes(2, "big") + b"\0\1\0\0\0\x78" + len(data).to_bytes(2, "big") + data


def answer(*records: bytes, questions: bytes = b"") -> bytes:
    head = b"\0\0\x84\0" + (1 if questions else 0).to_bytes(2, "big")
    return head + len(records).to_bytes(2, "big") + bytes(4) + questions + b"".join(records)


def texts(*strings: str) -> bytes:
    return b"".join(bytes([len(s)]) + s.encode() for s in strings)


KITCHEN = "TM-T20III Kitchen." + mdns.RAW


def a_printer(port: int = 9100) -> bytes:
    return answer(
        record(name(mdns.RAW), mdns.PTR, name(KITCHEN)),
        record(name(KITCHEN), mdns.SRV, b"\0\0\0\0" + port.to_bytes(2, "big") + name("tm.local")),
        record(name(KITCHEN), mdns.TXT, texts("txtvers=1", "ty=EPSON TM-T20III", "ty=again")),
        record(name("tm.local"), mdns.A, bytes([192, 0, 2, 9])),
    )


def test_the_question_names_every_service():
    asked = mdns.question()
    assert int.from_bytes(asked[4:6], "big") == len(mdns.SERVICES)
    for service in mdns.SERVICES:
        assert name(service) + b"\0\x0c\0\1" in asked


def test_an_answer_tells_address_port_and_model():
    (found,) = mdns.announced(a_printer(9101), "192.0.2.200")
    assert (found.host, found.port, found.name) == ("192.0.2.9", 9101, "TM-T20III Kitchen")
    assert found.model == "EPSON TM-T20III"


def test_without_an_address_the_sender_is_meant():
    message = answer(record(name(mdns.RAW), mdns.PTR, name(KITCHEN)))
    (found,) = mdns.announced(message, "192.0.2.200")
    assert (found.host, found.port, found.model) == ("192.0.2.200", 0, "TM-T20III Kitchen")


def test_names_may_point_back():
    # name() of the service stands at offset 12; the instance is one label and a pointer to it.
    questions = name(mdns.RAW) + b"\0\x0c\0\1"
    instance = b"\x03Bar\xc0\x0c"
    message = answer(record(b"\xc0\x0c", mdns.PTR, instance), questions=questions)
    (found,) = mdns.announced(message, "192.0.2.1")
    assert (found.name, found.service) == ("Bar", mdns.RAW)


def test_services_of_others_are_left_out():
    message = answer(record(name("_http._tcp.local"), mdns.PTR, name("x._http._tcp.local")))
    assert mdns.announced(message, "192.0.2.1") == []


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\0" * 11,
        answer(b"\xc0\x0c" + bytes(10)),  # points at itself
        answer(b"\xc0\xff" + bytes(10)),  # points forward
        answer(b"\x80abc"),
        a_printer()[:-3],
    ],
)
def test_what_is_no_message_is_refused(message):
    with pytest.raises(mdns.NotDns):
        mdns.announced(message, "192.0.2.1")


@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer_or_refused(data):
    with contextlib.suppress(mdns.NotDns):
        mdns.announced(data, "192.0.2.1")


@given(st.lists(st.tuples(st.integers(0, len(a_printer()) - 1), st.integers(0, 255)), max_size=6))
def test_a_damaged_answer_is_an_answer_or_refused(damages):
    message = bytearray(a_printer())
    for at, byte in damages:
        message[at] = byte
    with contextlib.suppress(mdns.NotDns):
        for found in mdns.announced(bytes(message), "192.0.2.1"):
            assert found.host.count(".") == 3
            assert 0 <= found.port <= 65535
