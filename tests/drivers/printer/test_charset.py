from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.printer import charset
from drivers.printer.charset import CODECS


@pytest.mark.parametrize(
    ("text", "name", "data"),
    [
        ("Tea x2", "gb18030", b"Tea x2"),
        ("￥38.00", "gb18030", b"\xa3\xa438.00"),
        ("宫保鸡丁", "gbk", "宫保鸡丁".encode("gbk")),
        ("ひらがな", "gb18030", "ひらがな".encode("gbk")),
        ("宫保雞丁", "big5", None),  # 宫 is simplified
        ("宮保雞丁", "big5", "宮保雞丁".encode("big5")),
        ("김치", "euc_kr", "김치".encode("euc_kr")),
        ("ﾗｰﾒﾝ", "shift_jis", None),  # half-width: one high byte
        ("한국어", "gb18030", None),
        ("辣😀", "gb18030", None),
        ("€5", "gb18030", None),
        ("辣😀", "utf8", "辣😀".encode()),
        ("plain", "raster", b"plain"),
        ("字", "raster", None),
    ],
)
def test_a_charset_writes_a_line_or_leaves_it_to_the_picture(text, name, data):
    assert charset.encode(text, name) == data


def test_signs_that_order_data_carry_are_replaced():
    assert charset.clean("¥38 – €2\u00a0ok") == "￥38 — EUR 2 ok"


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(), max_size=60), st.sampled_from(sorted(CODECS)))
def test_no_text_becomes_a_command(text, name):
    data = charset.encode(text, name)
    assert data is None or not set(data) & {*range(0x20), 0x7F}


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(), max_size=60))
def test_clean_text_has_no_controls_and_stays_clean(text):
    cleaned = charset.clean(text)
    assert not {"\x1b", "\x1d", "\x10", "\n", "\x9b", "\u202e"} & set(cleaned)
    assert charset.clean(cleaned) == cleaned
    cleaned.encode()


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=40))
def test_two_byte_characters_take_two_columns(text):
    data = charset.encode(text, "gb18030")
    assert data is None or charset.columns(text) == len(data)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40))
def test_clusters_lose_nothing(text):
    assert "".join(charset.clusters(text)) == text
