"""Elements -> bytes -> the virtual printer -> the same elements."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.printer import escpos
from drivers.printer.elements import Beep, Bitmap, Cut, Drawer, Feed, Image, Paper, Qr, Run, Text
from drivers.printer.virtual import VirtualPrinter

GBK = "宫保鸡丁辣汤面ＡＢ，。￥ひカ→※"
DISH = st.text(st.sampled_from(GBK + "abcXYZ 0123456789#-*/"), min_size=1, max_size=20)
SIZES = st.integers(1, 8)
RUNS = st.builds(Run, DISH, st.booleans(), SIZES, SIZES, st.booleans())
ALIGNS = st.sampled_from(["left", "center", "right"])


def _distinct(runs):
    """Neighbours of one style come back as one run."""
    style = [(r.bold, r.width, r.height, r.inverse) for r in runs]
    return all(a != b for a, b in pairwise(style))


LINES = st.builds(Text, st.lists(RUNS, max_size=3).filter(_distinct).map(tuple), ALIGNS)
QRS = st.builds(Qr, DISH.map(str.strip).filter(bool), ALIGNS, st.integers(1, 16))
ELEMENTS = st.lists(st.one_of(LINES, QRS, st.builds(Feed, st.integers(0, 9))), max_size=12)


def no_pictures(line):
    raise AssertionError(line)


def printed(data: bytes, **settings_) -> list[Paper]:
    virtual = VirtualPrinter(**settings_)
    virtual.connect()
    assert virtual.receive(data) == len(data)
    assert not virtual.ignored
    return virtual.paper


@settings(max_examples=60, deadline=None)
@given(ELEMENTS)
def test_what_is_meant_is_what_is_printed(elements):
    data = escpos.encode([*elements, Cut()], charset="gb18030", draw=no_pictures)
    assert printed(data) == [Paper(tuple(elements))]


@pytest.mark.parametrize("charset", ["gb18030", "big5", "shift_jis", "euc_kr", "utf8"])
def test_every_charset_arrives(charset):
    text = {"big5": "宮保雞丁", "shift_jis": "定食カレー", "euc_kr": "김치찌개"}.get(
        charset, "宫保鸡丁"
    )
    data = escpos.encode([Text((Run(text + " x2"),)), Cut()], charset=charset, draw=no_pictures)
    assert printed(data, charset=charset)[0].plain == text + " x2"


def test_two_byte_mode_is_on_only_where_it_is_needed():
    plain = escpos.encode([Text((Run("Tea"),))], charset="gb18030", draw=no_pictures)
    assert escpos.MULTIBYTE_ON not in plain
    both = escpos.encode([Text((Run("茶 Tea"),))], charset="gb18030", draw=no_pictures)
    assert both.count(escpos.MULTIBYTE_ON) == both.count(escpos.MULTIBYTE_OFF) == 1
    assert both.endswith(escpos.MULTIBYTE_OFF)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.integers(1, 400), st.randoms(use_true_random=False))
def test_no_picture_speaks_to_the_printer_in_real_time(across, height, random):
    rows = bytes(
        random.choice([0x10, 0x04, 0x05, 0x14, 0x00, 0xFF]) for _ in range(across * height)
    )
    data = escpos.raster(Bitmap(across * 8, height, rows))
    assert not re.search(rb"\x10[\x04\x05\x14]", data)
    (paper,) = printed(data + escpos.CUT)
    assert sum(e.height for e in paper.elements if isinstance(e, Image)) == height


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(), max_size=900))
def test_no_qr_text_becomes_a_command(text):
    data = escpos.qr(text, 6)
    body = re.sub(rb"\x1d\(k..", b"", data, flags=re.DOTALL)
    assert not set(body) & {0x10, 0x1B, 0x1D}
    assert len(data) < 0x0400 + 100
    printed(data + escpos.CUT)


def test_a_line_that_the_charset_lacks_is_drawn_alone():
    drawn = []

    def draw(line):
        drawn.append(line.plain)
        return Bitmap(16, 2, b"\xff\x00\x00\xff")

    lines = [Text((Run("汤"),)), Text((Run("辣😀"),), "right"), Text((Run("面"),), "right")]
    (paper,) = printed(escpos.encode([*lines, Cut()], charset="gb18030", draw=draw))
    assert drawn == ["辣😀"]
    assert [type(e) for e in paper.elements] == [Text, Image, Text]
    assert paper.elements[2].align == "right"


def test_the_buzzer_sounds():
    data = escpos.encode([Beep(3), Cut()], charset="gb18030", draw=no_pictures)
    assert printed(data)[0].elements == (Beep(3),)


def test_the_drawer_opens():
    data = escpos.encode([Drawer(), Cut()], charset="gb18030", draw=no_pictures)
    assert data.count(b"\x1bp\x00") == 1
    assert printed(data)[0].elements == (Drawer(),)


def test_pictures_cannot_be_sent_as_elements():
    with pytest.raises(TypeError):
        escpos.encode([Image("", 8, 8)], charset="gb18030", draw=no_pictures)
