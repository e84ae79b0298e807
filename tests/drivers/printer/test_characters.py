"""Every character comes out: as text that another decoder reads back, or as its very picture."""

from __future__ import annotations

import itertools
import random
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.printer import charset, escpos
from drivers.printer.elements import Qr, Run, Text
from drivers.printer.raster import CELL_HEIGHT, CELL_WIDTH, PITCH, Rasterizer, find_fonts
from tests.drivers.printer.strict import read

WIDTH = 576
RASTER = Rasterizer(WIDTH)
CHARSETS = ["gb18030", "gbk", "big5", "shift_jis", "euc_kr", "utf8", "raster"]


def sent(lines, name):
    elements = [Text((Run(line),)) for line in lines]
    return read(escpos.encode(elements, charset=name, draw=RASTER.draw), name)


def gbk_characters():
    """Whatever the two-byte code space 8140-FEFE means, without private use."""
    for lead, trail in itertools.product(range(0x81, 0xFF), range(0x40, 0xFF)):
        try:
            yield bytes([lead, trail]).decode("gbk")
        except UnicodeDecodeError:
            continue


def test_all_of_gbk_is_written_as_text_and_reads_back():
    characters = [ch for ch in gbk_characters() if charset.clean(ch) == ch]
    assert len(characters) > 21_700
    lines = ["".join(characters[n : n + 24]) for n in range(0, len(characters), 24)]
    assert not any(line != line.strip() for line in lines)
    found = sent(lines, "gb18030")
    assert found.lines == lines
    assert not found.pictures


VOCABULARY = {
    "hanzi": "宫保鸡丁麻婆豆腐鱼香肉丝回锅肉扬州炒饭酸辣汤小笼包",
    "traditional": "宮保雞丁滷肉飯蚵仔煎臭豆腐鹹酥雞",
    "rare": "㸆䭔㐱䲠鰆𩽾𩾌𠔻饸饹鮻䱽",
    "kana": "うなぎどんラーメンカツカレーおにぎり",
    "half kana": "ﾗｰﾒﾝｷﾞｮｳｻﾞ",
    "hangul": "김치찌개비빔밥불고기떡볶이",
    "thai": "ข้าวผัดต้มยำกุ้งส้มตำ",
    "arabic": "كباب فلافل حمص شاورما",
    "emoji": "🌶😀🍜🥢🍚🔥",
    "signs": "½¼⅓€¥￥￡℃①②★→※「」『』",
    "latin": "Crème brûlée Jalapeño Smørrebrød Köfte",
    "plain": "Kung Pao Chicken 2pc Spicy-No.1 (L)",
}


def dishes(count=2400):
    """Lines as on menus: words of one or two scripts with sizes and prices."""
    chance = random.Random(2400)
    kinds = sorted(VOCABULARY)
    for n in range(count):
        words = []
        for kind in chance.sample(kinds, chance.choice([1, 1, 2])):
            letters = charset.clusters(VOCABULARY[kind])
            start = chance.randrange(len(letters))
            words.append("".join((letters * 2)[start : start + chance.randint(2, 9)]))
        size = chance.choice(["", " (大)", " 500ml", " ￥38.00", " x2", " ＡＢ１"])
        yield charset.clean(f"{n % 97} {' '.join(words)}{size}")


@pytest.mark.skipif(not find_fonts(), reason="no fonts on this machine")
@pytest.mark.parametrize("name", CHARSETS)
def test_two_thousand_dishes_come_out_in_every_charset(name):
    lines = list(dishes(2400 if name == "gb18030" else 300))
    found = sent(lines, name)
    texts, pictures = iter(found.lines), iter(found.pictures)
    order = [what for what in found.order if what in ("text", "picture")]
    kinds = {"text": 0, "picture": 0}
    fresh = Rasterizer(WIDTH)  # asked for nothing else before
    for line, what in zip(lines, order, strict=True):
        kinds[what] += 1
        if what == "text":
            assert next(texts) == line
        else:
            across, rows, dots = next(pictures)
            expected = fresh.draw(Text((Run(line),)))
            assert (across * 8, rows) == (expected.width, expected.height)
            assert dots == broken_up(expected.rows)
            assert any(dots)
    assert (kinds["picture"] == 0) is (name == "utf8")
    assert (kinds["text"] == 0) is (name == "raster")


def broken_up(dots: bytes) -> bytes:
    """What a picture may not hold: DLE before EOT, ENQ, DC4 has one dot more."""
    out = bytearray(dots)
    for n in range(len(out) - 1):
        if out[n] == 0x10 and out[n + 1] in (0x04, 0x05, 0x14):
            out[n] = 0x30
    return bytes(out)


@pytest.mark.skipif(not find_fonts(), reason="no fonts on this machine")
@pytest.mark.parametrize("text", ["김치찌개", "麻婆豆腐", "Jalapeño", "🌶😀", "½€"])
def test_a_drawn_character_is_the_one_of_the_font(text):
    """Cell by cell against Pillow, with the font that has the character."""
    from PIL import Image, ImageDraw

    row = Image.frombytes("1", (WIDTH, PITCH), RASTER.draw(Text((Run(text),))).rows)
    x = 0
    for ch in text:
        if RASTER._font_of(ch) is None:
            pytest.skip("not all fonts on this machine")
        font = RASTER._font(RASTER._font_of(ch), CELL_HEIGHT - CELL_HEIGHT // 12)
        wide = CELL_WIDTH * charset.columns(ch)
        length = round(font.getlength(ch))
        cell = Image.new("1", (max(wide, length), CELL_HEIGHT), 0)
        base = CELL_HEIGHT - CELL_HEIGHT // 6 - max(0, font.getmetrics()[1] - CELL_HEIGHT // 4)
        left = (cell.width - length) // 2
        ImageDraw.Draw(cell).text((left, base), ch, font=font, fill=255, anchor="ls")
        cell = cell.resize((wide, CELL_HEIGHT), Image.Resampling.NEAREST)
        assert row.crop((x, 0, x + wide, CELL_HEIGHT)).tobytes() == cell.tobytes(), ch
        x += wide


@pytest.mark.skipif(not find_fonts(), reason="no fonts on this machine")
def test_arabic_runs_from_right_to_left_between_other_words():
    mixed = RASTER.draw(Text((Run("1 حم 2"),)))
    by_hand = RASTER.draw(Text((Run("1 م"), Run("ح 2"))))
    assert mixed == by_hand


@pytest.mark.skipif(not find_fonts(), reason="no fonts on this machine")
def test_no_script_of_the_vocabulary_is_drawn_as_boxes():
    if len(find_fonts()) < 3:
        pytest.skip("not all fonts on this machine")
    raster = Rasterizer(WIDTH)
    for letters in VOCABULARY.values():
        for n in range(0, len(letters), 20):
            raster.draw(Text((Run(charset.clean(letters[n : n + 20])),)))
    assert all(
        ord(ch) > 0x1FFFF for ch in raster.missing
    )  # hanzi of the far planes: told, as boxes


ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=150, deadline=None)
@given(ANY, st.sampled_from(CHARSETS))
def test_any_line_is_its_text_or_its_picture(text, name):
    line = charset.clean(text)
    found = sent([line], name)
    if found.pictures:
        assert charset.encode(line, name) is None or name == "raster"
    else:
        shown = "".join(ch for ch in line if unicodedata.category(ch) != "Cc")
        assert found.lines == [shown]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400), st.sampled_from(["left", "center", "right"]), st.integers(1, 16))
def test_a_code_is_drawn_where_the_printer_cannot(text, align, size):
    code = Qr(charset.clean(text), align, size)
    data = escpos.encode([code], charset="gb18030", draw=RASTER.draw, draw_qr=RASTER.qr)
    found = read(data, "gb18030")
    if found.pictures:
        assert not found.codes
        assert {across * 8 for across, _, _ in found.pictures} == {WIDTH}
    else:
        assert found.codes in ([], [code.text])


def test_a_drawn_code_has_the_modules_of_another_encoder_and_a_quiet_zone():
    from qrcode.constants import ERROR_CORRECT_M
    from qrcode.main import QRCode

    bitmap = RASTER.qr(Qr("https://example.com/23", "left", 3))
    assert bitmap is not None
    other = QRCode(error_correction=ERROR_CORRECT_M, border=0)
    other.add_data("https://example.com/23")
    other.make()
    across = bitmap.width // 8

    def dot(x, y):
        return bool(bitmap.rows[y * across + x // 8] >> (7 - x % 8) & 1)

    for y, row in enumerate(other.modules):
        for x, module in enumerate(row):
            assert dot((x + 4) * 3 + 1, (y + 4) * 3 + 1) is bool(module)
    assert not any(dot(x, y) for x in range(12) for y in range(bitmap.height))
