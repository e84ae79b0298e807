"""PMTK and PAIR: the published sentences, and whatever else may come."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.gps import mtk


@pytest.mark.parametrize(
    ("body", "published"),
    [
        (mtk.WHO_PMTK, "$PMTK605*31"),
        (mtk.PMTK_QUIET, "$PMTK314,0,1,0,1,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0*29"),
        (mtk.PMTK_1_HZ, "$PMTK220,1000*1F"),
        (mtk.pmtk_baud(115200), "$PMTK251,115200*1F"),
        (mtk.pmtk_baud(38400), "$PMTK251,38400*27"),
        (mtk.pmtk_baud(9600), "$PMTK251,9600*17"),
        (mtk.WHO_PAIR, "$PAIR020*38"),
        (mtk.PAIR_QUIET, "$PAIR062,3,0*3D"),
        (mtk.PAIR_1_HZ, "$PAIR050,1000*12"),
    ],
)
def test_commands_are_those_of_the_published_examples(body: str, published: str) -> None:
    assert mtk.encode(body) == published.encode() + b"\r\n"


@pytest.mark.parametrize(
    ("line", "of", "wanted"),
    [
        (b"$PMTK001,314,3*36\r\n", mtk.PMTK_QUIET, True),
        (b"$PMTK001,220,3*30\r\n", mtk.PMTK_1_HZ, True),
        (mtk.encode("PMTK001,314,2"), mtk.PMTK_QUIET, False),
        (mtk.encode("PMTK001,314,1"), mtk.PMTK_QUIET, False),
        (b"$PMTK001,314,3*36\r\n", mtk.PMTK_1_HZ, None),
        (mtk.encode("PAIR001,062,0"), mtk.PAIR_QUIET, True),
        (mtk.encode("PAIR001,062,3"), mtk.PAIR_QUIET, False),
        (mtk.encode("PAIR001,062,1"), mtk.PAIR_QUIET, None),  # the result comes later
        (mtk.encode("PAIR001,062"), mtk.PAIR_QUIET, None),
    ],
)
def test_an_answer_is_about_one_command(line: bytes, of: str, wanted: bool | None) -> None:
    (answer,) = mtk.Answers().feed(line)
    assert mtk.verdict(answer, of) is wanted


def test_who_it_is() -> None:
    (answer,) = mtk.Answers().feed(b"$PMTK705,AXN_2.31_3339_13101700,5632,PA6H,1.0*6B\r\n")
    assert answer.name == mtk.PMTK_RELEASE
    assert mtk.model(answer) == "PMTK AXN_2.31_3339_13101700 5632 PA6H"


@pytest.mark.parametrize(
    "line",
    [
        b"$PMTK001,314,3*37\r\n",
        b"$PMTK001,314,3\r\n",
        b"$PMTK001,\x1b[2J*00\r\n",
        b"$GPRMC,061050.00,V*00\r\n",
        b"x" * 2000 + b"\n",
    ],
)
def test_what_is_no_answer_is_none(line: bytes) -> None:
    assert not mtk.Answers().feed(line)


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.builds(
                lambda number, rest: mtk.encode(f"PMTK{number:03d},{rest}"),
                st.integers(0, 999),
                st.text(
                    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="*$")
                ),
            ),
        )
    ),
    st.integers(1, 50),
)
@settings(max_examples=150, deadline=None)
def test_any_bytes_give_printable_answers_or_nothing(parts: list[bytes], step: int) -> None:
    stream, answers = b"".join(parts), mtk.Answers()
    for n in range(0, len(stream), step):
        for answer in answers.feed(stream[n : n + step]):
            assert mtk.model(answer).isprintable()
            mtk.verdict(answer, mtk.PMTK_QUIET)
    assert len(answers._tail) <= mtk.LINE_MAX
