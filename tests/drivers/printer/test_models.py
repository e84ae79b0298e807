from __future__ import annotations

import pytest

from drivers.printer.models import MODELS, charset_of, known


@pytest.mark.parametrize(
    ("name", "columns"),
    [("TM-T88V", 42), ("EPSON TM-T20II", 48), ("zjiang ZJ-5870", 32), ("tm-l90 ", 48)],
)
def test_a_model_is_known_by_its_name_with_or_without_its_maker(name, columns):
    assert known(name).columns == columns


@pytest.mark.parametrize("name", ["", "EPSON", "TM-T20IIX", "LaserJet"])
def test_what_is_not_known_is_not_guessed(name):
    assert known(name) is None


def test_widths_fit_the_paper():
    assert all((m.columns == 32) == (m.width_mm == 58) for m in MODELS.values())
    assert all(m.dots // m.columns in (12, 13) for m in MODELS.values())


@pytest.mark.parametrize(
    ("language", "charset"),
    [
        ("CHINA GB18030", "gb18030"),
        ("CHINA GB2312", "gbk"),
        ("TAIWAN BIG-5", "big5"),
        ("TAIWAN BIG5 ", "big5"),
        ("KANJI JAPANESE", "shift_jis"),
        ("", None),
        ("PC437", None),
    ],
)
def test_the_printer_says_which_characters_it_has(language, charset):
    assert charset_of(language) == charset
