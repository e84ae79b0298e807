"""Text onto paper: wrapped by columns, a Chinese character takes two. Collects elements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from drivers.printer.charset import clean, clusters, columns
from drivers.printer.elements import Align, Element, Qr, Run, Text

NO_START = frozenset("。，、！？：；）》」』】”’…·,.!?:;)]}%")
FIRST_OF_ASIA = "\u1100"  # before, a wide letter (é, Ж) is part of a word as any other
LINES_MAX = 160  # of one piece of text; the longest note of a valid order fits on 58 mm


@dataclass(frozen=True, slots=True)
class Look:
    """How a piece of text is printed; `width` and `height` are multiples of a character."""

    width: int = 1
    height: int = 1
    bold: bool = False
    inverse: bool = False
    align: Align = "left"
    grow: int = 1  # as large as it fits on one line, up to so many times

    def fit(self, text: str, room: int) -> Look:
        """Of the size at which `text` fits into `room` columns, never below its own height."""
        if self.grow == 1:
            return self
        size = max(1, min(self.grow, room // max(1, columns(text))))
        return replace(self, width=size, height=max(2, size), grow=1)


class Sheet:
    """Knows how wide the paper is, in columns. What it is given may be hostile: it is cleaned."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.elements: list[Element] = []

    def write(self, text: str, look: Look, *, bullet: str = "") -> None:
        """Wrapped text, the later lines under the first; `bullet` stands before that."""
        text = clean(text)
        look = look.fit(bullet + text, self.width)
        indent = columns(bullet)
        for line in wrap(text, max(2, self.width // look.width - indent)):
            run = Run(line, look.bold, look.width, look.height, look.inverse)
            lead = (Run(bullet, look.bold, look.width, look.height),) if bullet else ()
            self.elements.append(Text((*lead, run), look.align))
            bullet = " " * indent

    def pair(self, left: str, look: Look, right: str, side: Look, *, bullet: str = "") -> None:
        """`left` wrapped, `right` at the right end of its first line, or below where it is long."""
        right = f" {clean(right)} " if side.inverse else clean(right)
        side = side.fit(right, self.width)
        taken = columns(right) * side.width
        indent = columns(bullet)
        room = (self.width - taken - 1) // look.width - indent
        if room < 8:
            self.write(left, look, bullet=bullet)
            self.write(right, replace(side, align="right"))
            return
        tail = Run(right, side.bold, side.width, side.height, side.inverse)
        for n, line in enumerate(wrap(clean(left), room)):
            words = bullet + line
            runs: tuple[Run, ...] = (Run(words, look.bold, look.width, look.height, look.inverse),)
            if n == 0:
                gap = self.width - columns(words) * look.width - taken
                runs += (Run(" " * gap, height=look.height), tail)
            self.elements.append(Text(runs))
            bullet = " " * indent

    def banner(self, text: str) -> None:
        """White on black across the paper, as large as it fits."""
        text = clean(text)
        size = 2 if columns(text) * 2 <= self.width else 1
        room = self.width // size
        for line in wrap(text, room):
            left = (room - columns(line)) // 2
            padded = " " * left + line + " " * (room - left - columns(line))
            self.elements.append(Text((Run(padded, True, size, 2, True),)))

    def tagged(self, label: str, text: str) -> None:
        """A label in white on black, and what it is about."""
        self.elements.append(
            Text((Run(f" {label} ", True, 1, 2, True), Run(f" {text}", True, 1, 2)))
        )

    def rule(self, sign: str = "-") -> None:
        self.elements.append(Text((Run(sign * self.width),)))

    def blank(self) -> None:
        self.elements.append(Text(()))

    def pack(self, facts: Sequence[str], look: Look) -> None:
        """Facts on as few lines as they fit."""
        for line in _filled([clean(fact) for fact in facts], self.width // look.width):
            self.write(line, look)

    def qr(self, text: str, size: int, align: Align) -> None:
        if clean(text):
            self.elements.append(Qr(clean(text), align, size))


def wrap(text: str, room: int) -> list[str]:
    """Lines of at most `room` columns, broken at spaces where a word fits, or anywhere."""
    if columns(text) <= room:
        return [text.rstrip()]
    lines: list[str] = []
    line, used = "", 0
    for word in _words(text):
        size = columns(word)
        if used and used + size > room:
            lines.append(line.rstrip())
            line, used = "", 0
            word = word.lstrip()  # noqa: PLW2901 - the blank that the break replaced
            size = columns(word)
        if size > room:
            *whole, word = _chop(word, room)  # noqa: PLW2901 - its rest starts the next line
            lines += whole
            size = columns(word)
        line += word
        used += size
    if line.strip() or not lines:
        lines.append(line.rstrip())
    if len(lines) > LINES_MAX:
        lines = [*lines[: LINES_MAX - 1], "..."]
    return lines


def _words(text: str) -> Iterator[str]:
    """Pieces that stay together: a word with the blank before it; a Chinese character with the
    punctuation behind it, which must not begin a line."""
    word, alone = "", False
    for ch in clusters(text):
        before, alone = alone, ch >= FIRST_OF_ASIA and columns(ch) > 1
        if word and ch not in NO_START and (before or alone or ch == " "):
            yield word
            word = ""
        word += ch
    if word:
        yield word


def _chop(word: str, room: int) -> list[str]:
    pieces, piece = [], ""
    for ch in clusters(word):
        if piece and columns(piece) + columns(ch) > room:
            pieces.append(piece)
            piece = ""
        piece += ch
    return [*pieces, piece]


def _filled(facts: Sequence[str], width: int) -> Iterable[str]:
    line = ""
    for fact in facts:
        longer = f"{line}  {fact}" if line else fact
        if line and columns(longer) > width:
            yield line
            longer = fact
        line = longer
    if line:
        yield line
