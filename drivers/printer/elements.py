"""What stands on a ticket, line by line.

The layout of a ticket makes elements, `escpos.encode` turns them into bytes, and the virtual
printer turns bytes back into elements: one vocabulary for what is meant and what was printed.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Align = Literal["left", "center", "right"]


class Run(msgspec.Struct, frozen=True):
    """Text in one style; `width` and `height` are multiples (1-8) of the normal character."""

    text: str
    bold: bool = False
    width: int = 1
    height: int = 1
    inverse: bool = False


class Text(msgspec.Struct, frozen=True, tag="text"):
    """One printed line."""

    runs: tuple[Run, ...]
    align: Align = "left"

    @property
    def plain(self) -> str:
        return "".join(run.text for run in self.runs)


class Qr(msgspec.Struct, frozen=True, tag="qr"):
    text: str
    align: Align = "center"
    size: int = 6  # dots a module, 1-16


class Feed(msgspec.Struct, frozen=True, tag="feed"):
    lines: int = 1


class Cut(msgspec.Struct, frozen=True, tag="cut"):
    """The paper is fed to the knife and cut; it ends a ticket."""


class Beep(msgspec.Struct, frozen=True, tag="beep"):
    times: int = 2


class Drawer(msgspec.Struct, frozen=True, tag="drawer"):
    """The cash drawer behind the printer is opened."""


class Image(msgspec.Struct, frozen=True, tag="image"):
    """A printed picture, as the virtual printer saw it."""

    png: str  # base64
    width: int  # dots
    height: int
    align: Align = "left"


Element = Text | Qr | Feed | Cut | Beep | Drawer | Image


class Paper(msgspec.Struct, frozen=True):
    """A piece of paper that came out; `cut` is false for what still hangs in the printer."""

    elements: tuple[Element, ...]
    cut: bool = True

    @property
    def plain(self) -> str:
        """Its text, a line each; for tests and logs."""
        return "\n".join(e.plain for e in self.elements if isinstance(e, Text))


class Bitmap(msgspec.Struct, frozen=True):
    """One bit a dot, 1 = black, most significant bit left, rows padded to whole bytes."""

    width: int
    height: int
    rows: bytes
