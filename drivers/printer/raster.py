"""Lines that the printer has no characters for, drawn as pictures.

Every character is drawn into the cells that `charset.columns` counts for it (12 dots a column, 24
dots high, times the run's multiples), so that a drawn line stands in the same columns as a written
one. Fonts are asked in turn; a character that none has is drawn as a box and told in `missing`.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

from drivers.printer import charset
from drivers.printer.elements import Bitmap, Qr, Run, Text
from drivers.printer.escpos import qr_data

CELL_WIDTH = 12  # dots of font A, and half of a Chinese character
CELL_HEIGHT = 24
PITCH = 30  # dots from line to line, as ESC 3 sets it

# Coverage measured: MicroHei has GB2312 and hangul, Unifont nearly all of the first plane (Thai,
# Arabic, Extension A), Unifont Upper the emoji.
FONTS = (
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/opentype/unifont/unifont.otf",
    "/usr/share/fonts/truetype/unifont/unifont.ttf",
    "/usr/share/fonts/opentype/unifont/unifont_upper.otf",
    "/usr/share/fonts/truetype/unifont/unifont_upper.ttf",
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
)
FACES = {"wqy-microhei.ttc": 1}  # the face of the collection with Latin letters of one width
NOWHERE = "\U0010ffff"  # no character: what a font draws for it is its sign for "missing"


def _seen(clusters: list[str]) -> list[str]:
    """In the order in which they stand on paper: stretches of Arabic or Hebrew run leftwards.

    A plain reading of Unicode's bidirectional algorithm (UAX 9) for lines of one direction with
    words of the other; letters are not joined.
    """
    out: list[str] = []
    stretch: list[str] = []
    for cluster in clusters:
        kind = unicodedata.bidirectional(cluster[0])
        if kind in ("R", "AL") or (stretch and kind in ("WS", "NSM", "CS", "ON")):
            stretch.append(cluster)
            continue
        out += _leftwards(stretch)
        stretch = []
        out.append(cluster)
    return out + _leftwards(stretch)


def _leftwards(stretch: list[str]) -> list[str]:
    """What ends it without a direction of its own (a blank, a bracket) stays where it is."""
    end = len(stretch)
    while end and unicodedata.bidirectional(stretch[end - 1][0]) not in ("R", "AL"):
        end -= 1
    return stretch[:end][::-1] + stretch[end:]


def find_fonts(first: str | None = None) -> list[Path]:
    """The fonts of this machine in the order they are asked; `first` before the known ones."""
    names = ([first] if first else []) + list(FONTS)
    return [path for path in map(Path, names) if path.is_file()]


class Rasterizer:
    """Draws lines for one width of paper; loads Pillow and fonts when the first line comes."""

    def __init__(
        self, width_dots: int, font: str | None = None, *, columns: int | None = None
    ) -> None:
        """`columns` of the printer's own characters: with 42 on 576 dots they are 13 dots wide."""
        self._width = width_dots
        self._cell_width = width_dots // columns if columns else CELL_WIDTH
        self._font_name = font
        self._paths: list[Path] | None = None
        self._fonts: dict[tuple[Path, int], Any] = {}
        self._choice: dict[str, Path | None] = {}
        self.missing: set[str] = set()

    def draw(self, line: Text) -> Bitmap:
        """The line across the whole paper; what does not fit is cut off at the right."""
        from PIL import Image

        height = max((CELL_HEIGHT * run.height for run in line.runs), default=CELL_HEIGHT)
        picture = Image.new("1", (self._width, height + PITCH - CELL_HEIGHT), 0)
        used = sum(charset.columns(run.text) * run.width for run in line.runs) * self._cell_width
        room = max(0, self._width - used)
        x = {"left": 0, "center": room // 2, "right": room}[line.align]
        for run in line.runs:
            top = height - CELL_HEIGHT * run.height  # printers put all sizes on one base line
            x = self._run(picture, run, x, top)
        return Bitmap(self._width, picture.height, picture.tobytes())

    def qr(self, code: Qr) -> Bitmap | None:
        """The code across the whole paper, with its quiet zone; None when it does not fit."""
        from PIL import Image
        from qrcode.constants import ERROR_CORRECT_M
        from qrcode.exceptions import DataOverflowError
        from qrcode.main import QRCode

        made: Any = QRCode(error_correction=ERROR_CORRECT_M, border=4)
        made.add_data(qr_data(code.text))
        try:
            made.make(fit=True)
        except (DataOverflowError, ValueError):
            return None
        modules = made.get_matrix()
        size = min(code.size, self._width // len(modules))
        if size < 2:
            return None
        side = len(modules)
        small = Image.new("1", (side, side), 0)
        small.putdata([255 * bool(dot) for row in modules for dot in row])
        large = small.resize((side * size, side * size), Image.Resampling.NEAREST)
        picture = Image.new("1", (self._width, large.height), 0)
        room = self._width - large.width
        picture.paste(large, ({"left": 0, "center": room // 2, "right": room}[code.align], 0))
        return Bitmap(self._width, picture.height, picture.tobytes())

    def _run(self, picture: Any, run: Run, x: int, top: int) -> int:
        for cluster in _seen(charset.clusters(run.text)):
            cell = self._cell(cluster, run)
            picture.paste(cell, (x, top))
            x += cell.width
        return x

    def _cell(self, cluster: str, run: Run) -> Any:
        """One character in its cells, upright or inverse."""
        from PIL import Image, ImageChops, ImageDraw

        size = CELL_HEIGHT * run.height
        wide = self._cell_width * charset.columns(cluster) * run.height  # before it is stretched
        path = self._font_of(cluster[0])
        if path is None:
            cell = Image.new("1", (max(1, wide), size), 0)
            if not cluster.isspace():
                self.missing.add(cluster[0])
                ImageDraw.Draw(cell).rectangle((1, size // 8, wide - 2, size - 3), outline=255)
        else:
            cell = self._glyph(path, cluster, wide, size, bold=run.bold)
        stretched = max(1, self._cell_width * charset.columns(cluster) * run.width)
        if cell.width != stretched:
            cell = cell.resize((stretched, size), Image.Resampling.NEAREST)
        return ImageChops.invert(cell) if run.inverse else cell

    def _glyph(self, path: Path, cluster: str, wide: int, size: int, *, bold: bool) -> Any:
        """A character `wide` dots wide, wider where the font insists."""
        from PIL import Image, ImageDraw

        font = self._font(path, size - size // 12)
        length = round(font.getlength(cluster))
        cell = Image.new("1", (max(1, wide, length), size), 0)
        left = (cell.width - length) // 2
        baseline = size - size // 6 - max(0, font.getmetrics()[1] - size // 4)
        pen = ImageDraw.Draw(cell)
        for shift in range(1 + bold * size // CELL_HEIGHT):
            pen.text((left + shift, baseline), cluster, font=font, fill=255, anchor="ls")
        return cell

    def _font_of(self, ch: str) -> Path | None:
        if self._paths is None:
            self._paths = find_fonts(self._font_name)
        if ch not in self._choice:
            self._choice[ch] = next((p for p in self._paths if self._has(p, ch)), None)
        return self._choice[ch]

    def _has(self, path: Path, ch: str) -> bool:
        """Whether the font's drawing of `ch` differs from its drawing of nothing at all."""
        font = self._font(path, CELL_HEIGHT)
        drawn = font.getmask(ch, mode="1")
        blank = font.getmask(NOWHERE, mode="1")
        return (drawn.size, bytes(drawn)) != (blank.size, bytes(blank))

    def _font(self, path: Path, size: int) -> Any:
        from PIL import ImageFont

        key = (path, size)
        if key not in self._fonts:
            self._fonts[key] = ImageFont.truetype(
                str(path),
                size,
                index=FACES.get(path.name, 0),
                layout_engine=ImageFont.Layout.BASIC,
            )
        return self._fonts[key]
