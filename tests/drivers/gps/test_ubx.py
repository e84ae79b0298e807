"""UBX frames: those published in examples, and whatever else may come."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.gps import ubx
from tests.drivers.gps.talker import START, epoch


def raw(text: str) -> bytes:
    return bytes.fromhex(text)


@pytest.mark.parametrize(
    ("ours", "published"),
    [
        (ubx.encode(ubx.MON_VER), "B5 62 0A 04 00 00 0E 34"),
        (ubx.message_rate(ubx.NMEA_GSV, 0), "B5 62 06 01 03 00 F0 03 00 FD 15"),
        (ubx.measurement_rate(1000), "B5 62 06 08 06 00 E8 03 01 00 01 00 01 39"),
        (ubx.measurement_rate(200), "B5 62 06 08 06 00 C8 00 01 00 01 00 DE 6A"),
        (
            ubx.encode(
                ubx.CFG_PRT, raw("01 00 00 00 D0 08 00 00 00 C2 01 00 07 00 03 00 00 00 00 00")
            ),
            "B5 62 06 00 14 00 01 00 00 00 D0 08 00 00 00 C2 01 00 07 00 03 00 00 00 00 00 C0 7E",
        ),
    ],
)
def test_messages_are_those_of_the_published_examples(ours: bytes, published: str) -> None:
    assert ours == raw(published)


def test_another_baud_rate_leaves_the_rest_of_the_port_as_it_was() -> None:
    at_9600 = raw("01 00 00 00 D0 08 00 00 80 25 00 00 07 00 03 00 00 00 00 00")
    said = ubx.port_baud(ubx.Frame(ubx.CFG_PRT, at_9600), 115200)
    assert said == ubx.encode(ubx.CFG_PRT, at_9600[:8] + raw("00 C2 01 00") + at_9600[12:])


@pytest.mark.parametrize("payload", [b"", bytes(20), b"\x03" + bytes(19), b"\x01" + bytes(18)])
def test_a_port_that_is_no_serial_line_has_no_baud_rate(payload: bytes) -> None:
    assert ubx.port_baud(ubx.Frame(ubx.CFG_PRT, payload), 115200) is None


def test_settings_by_key_are_written_to_ram_alone() -> None:
    (frame,) = ubx.Frames().feed(ubx.valset({ubx.GSV_UART1: 0, ubx.UART1_BAUDRATE: 115200}))
    assert frame.kind == ubx.CFG_VALSET
    assert frame.payload == raw("00 01 00 00  C5 00 91 20 00  01 00 52 40 00 C2 01 00")


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (ubx.encode(ubx.ACK, bytes(ubx.CFG_MSG)), True),
        (ubx.encode(ubx.NAK, bytes(ubx.CFG_MSG)), False),
        (ubx.encode(ubx.ACK, bytes(ubx.CFG_PRT)), None),
        (ubx.encode(ubx.NAK, b"\x06"), None),
        (ubx.encode(ubx.CFG_MSG, bytes(ubx.CFG_MSG)), None),
    ],
)
def test_an_answer_is_about_one_message(answer: bytes, wanted: bool | None) -> None:
    (frame,) = ubx.Frames().feed(answer)
    assert ubx.verdict(frame, ubx.CFG_MSG) is wanted


def version(software: str, hardware: str, *extensions: str) -> ubx.Frame:
    parts = [(software, 30), (hardware, 10), *((text, 30) for text in extensions)]
    payload = b"".join(struct.pack(f"{n}s", text.encode()) for text, n in parts)
    return ubx.Frame(ubx.MON_VER, payload)


@pytest.mark.parametrize(
    ("said", "protocol", "model"),
    [
        (
            version("ROM CORE 3.01 (107888)", "00080000", "FWVER=SPG 3.01", "PROTVER=18.00"),
            18.0,
            "u-blox 00080000 ROM CORE 3.01 (107888)",
        ),
        (
            version("ROM SPG 5.10 (7b202e)", "000A0000", "PROTVER=34.10", "MOD=MAX-M10S"),
            34.1,
            "u-blox MAX-M10S ROM SPG 5.10 (7b202e)",
        ),
        (
            version("1.00 (59842)", "00070000", "PROTVER 14.00"),
            14.0,
            "u-blox 00070000 1.00 (59842)",
        ),
        (version("7.03 (45969)", "00040007"), 0.0, "u-blox 00040007 7.03 (45969)"),
        (version("\x1b[2J\xff", "\n"), 0.0, "u-blox ? ?[2J\ufffd\ufffd"),
        (ubx.Frame(ubx.MON_VER, b""), 0.0, "u-blox  "),
    ],
)
def test_who_it_is_and_what_it_understands(said: ubx.Frame, protocol: float, model: str) -> None:
    assert ubx.protocol(said) == protocol
    assert ubx.model(said) == model


def test_frames_are_found_between_sentences_and_behind_false_starts() -> None:
    ack = ubx.encode(ubx.ACK, bytes(ubx.CFG_MSG))
    broken = ack[:-1] + b"\x00"
    stream = epoch(START, 31.0, 121.0) + ack + b"\xb5\x62\xff\xff\xff\xff" + broken + ack
    assert len(ubx.Frames().feed(stream)) == 2


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.builds(
                ubx.encode,
                st.tuples(st.integers(0, 255), st.integers(0, 255)),
                st.binary(max_size=60),
            ),
            st.just(ubx.SYNC),
        ),
        max_size=10,
    ),
    st.integers(1, 50),
)
@settings(max_examples=150, deadline=None)
def test_any_bytes_give_whole_frames_or_nothing(parts: list[bytes], step: int) -> None:
    stream, frames = b"".join(parts), ubx.Frames()
    cut = [stream[n : n + step] for n in range(0, len(stream), step)]
    found = [frame for piece in cut for frame in frames.feed(piece)]
    assert found == ubx.Frames().feed(stream)  # however the bytes are cut
    for frame in found:
        assert ubx.encode(*frame) in stream
        ubx.protocol(frame)
        assert ubx.model(frame).isprintable()
        ubx.port_baud(frame, 115200)
    assert len(frames._tail) <= ubx.PAYLOAD_MAX + 8 + step
