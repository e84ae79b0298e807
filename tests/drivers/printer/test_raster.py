from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.printer.elements import Run, Text
from drivers.printer.raster import PITCH, Rasterizer, find_fonts

if not find_fonts():
    pytest.skip("no fonts on this machine", allow_module_level=True)

RASTER = Rasterizer(384)  # fonts are kept for all tests


@pytest.mark.parametrize("text", ["宫保鸡丁", "한국어", "ข้าว", "😀", "½ €", "abc"])
def test_text_leaves_ink(text):
    bitmap = RASTER.draw(Text((Run(text),)))
    assert (bitmap.width, bitmap.height) == (384, PITCH)
    assert len(bitmap.rows) == 48 * PITCH
    assert any(bitmap.rows)


def test_a_character_that_no_font_has_is_a_box_and_told():
    raster = Rasterizer(384)
    bitmap = raster.draw(Text((Run("\U000e0fff"),)))
    assert any(bitmap.rows)
    assert raster.missing == {"\U000e0fff"}


def test_without_fonts_everything_is_boxes(monkeypatch):
    raster = Rasterizer(384)
    raster._paths = []
    assert any(raster.draw(Text((Run("字"),))).rows)
    assert raster.missing == {"字"}


def test_inverse_is_white_on_black():
    plain = RASTER.draw(Text((Run("  "),)))
    inverse = RASTER.draw(Text((Run("  ", inverse=True),)))
    assert not any(plain.rows)
    assert inverse.rows[:3] == b"\xff\xff\xff"


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.builds(Run, st.text(max_size=12), st.booleans(), st.integers(1, 3), st.integers(1, 3)),
        max_size=3,
    ),
    st.sampled_from(["left", "center", "right"]),
)
def test_any_text_can_be_drawn(runs, align):
    bitmap = RASTER.draw(Text(tuple(runs), align))
    assert len(bitmap.rows) == 48 * bitmap.height
