from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import Satellite
from drivers.gps.nmea import Assembler
from drivers.gps.sky import FRESH_S, LINES, MOST, Last, Sky, of_gpsd


def sentence(text: str) -> bytes:
    checksum = 0
    for byte in text.encode():
        checksum ^= byte
    return f"${text}*{checksum:02X}\r\n".encode()


def feed(assembler: Assembler, *texts: str, t: float = 0.0) -> None:
    list(assembler.feed(b"".join(map(sentence, texts)), t))


def test_satellites_are_drawn_from_the_sentences_of_each_system() -> None:
    assembler = Assembler()
    feed(
        assembler,
        "GPGSV,2,1,05,03,65,111,42,04,15,270,,06,01,010,00,13,06,292,19",
        "GPGSV,2,2,05,22,42,067,38",
        "BDGSV,1,1,01,11,30,180,33,1",
    )
    assert assembler.sky.satellites(1.0) == (
        Satellite("GP 3", 65, 111, 42),
        Satellite("GP 4", 15, 270, None),
        Satellite("GP 6", 1, 10, 0),
        Satellite("GP 13", 6, 292, 19),
        Satellite("GP 22", 42, 67, 38),
        Satellite("BD 11", 30, 180, 33),
    )
    assert assembler.sky.satellites(FRESH_S + 1) == ()


def test_the_last_lines_are_kept_as_they_came_even_broken_ones() -> None:
    assembler = Assembler()
    list(assembler.feed(b"$GPGGA,oops*00\r\n\x1b[31mred\xff\r\n", 0.0))
    assert assembler.last.lines() == ("$GPGGA,oops*00", "?[31mred\ufffd")
    feed(assembler, *["GPTXT,x"] * 50)
    assert len(assembler.last.lines()) == LINES


def test_gpsd_says_which_are_used() -> None:
    seen = [
        {"PRN": 5, "el": 44.0, "az": 359.6, "ss": 41.0, "used": True},
        {"PRN": 6, "ss": 12.0, "used": False},
    ]
    assert of_gpsd(seen) == (Satellite("5", 44, 0, 41.0, True),)


@given(st.lists(st.lists(st.text(max_size=6), min_size=1, max_size=24), max_size=60))
def test_any_fields_are_satellites_or_nothing(sentences: list[list[str]]) -> None:
    sky = Sky()
    for fields in sentences:
        sky.hear(fields, 0.0)
    found = sky.satellites(0.0)
    assert len(found) <= MOST
    assert all(0 <= one.elevation <= 90 and 0 <= one.azimuth < 360 for one in found)


@given(st.binary(max_size=600))
def test_any_line_is_printable(line: bytes) -> None:
    last = Last()
    last.hear(line)
    assert all(text.isprintable() for text in last.lines())


@pytest.mark.parametrize(
    "text", ["GPGSV", "GPGSV,1,1", "GPGSV,1,1,04,,,,,", "GPGSV,1,1,01,5,x,y,z"]
)
def test_half_a_sentence_draws_nothing(text: str) -> None:
    assembler = Assembler()
    feed(assembler, text)
    assert assembler.sky.satellites(0.0) == ()
