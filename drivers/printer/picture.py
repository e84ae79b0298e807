"""Elements -> a PNG of the paper, for people who have no printer at hand."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from typing import Any

from drivers.printer.elements import Align, Bitmap, Cut, Element, Feed, Image, Qr, Run, Text
from drivers.printer.raster import PITCH, Rasterizer

MARGIN = 16  # dots of white around what a printer can reach


def paint(elements: Iterable[Element], width: int, columns: int, font: str | None = None) -> bytes:
    """`width` in dots; as far as a printer's own letters look like those of our fonts."""
    from PIL import Image as Pictures

    raster = Rasterizer(width, font, columns=columns)
    strips = [strip for element in elements for strip in _strips(element, raster, width)]
    height = sum(strip.height for strip in strips)
    paper = Pictures.new("1", (width + 2 * MARGIN, height + 2 * MARGIN), 255)
    y = MARGIN
    for strip in strips:
        paper.paste(strip, (MARGIN, y))
        y += strip.height
    out = io.BytesIO()
    paper.save(out, "PNG", optimize=True)
    return out.getvalue()


def _strips(element: Element, raster: Rasterizer, width: int) -> Iterable[Any]:
    """Pieces of paper, black on white."""
    from PIL import Image as Pictures

    match element:
        case Text():
            yield _inked(raster.draw(element))
        case Qr():
            drawn = raster.qr(element)
            if drawn is None:
                drawn = raster.draw(Text((Run(f"[QR {element.text}]"),)))
            yield _inked(drawn)
        case Image():
            strip = Pictures.new("1", (width, element.height), 255)
            picture = Pictures.open(io.BytesIO(base64.b64decode(element.png)))
            strip.paste(picture, (_left(element.align, width - element.width), 0))
            yield strip
        case Feed():
            yield Pictures.new("1", (width, PITCH * element.lines), 255)
        case Cut():
            yield _inked(raster.draw(Text((Run("- " * (width // 24)),))))


def _inked(bitmap: Bitmap) -> Any:
    from PIL import Image as Pictures
    from PIL import ImageChops

    size = (bitmap.width, bitmap.height)
    return ImageChops.invert(Pictures.frombytes("1", size, bitmap.rows))


def _left(align: Align, room: int) -> int:
    return {"left": 0, "center": max(0, room) // 2, "right": max(0, room)}[align]
