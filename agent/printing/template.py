"""How a ticket is arranged, as data: text with a small layout language. Pure.

    # a comment
    [center huge bold] {number}        words with fields, behind marks in brackets
    ===                                a rule across the paper; also --- and ...
    for item                           once for each dish
      [tall bold] {name} >> [large many] x{qty}      left and right
      for option
        [hang]    - {name}             the words before the field hang out
      end
      [hang bold]   ※ {note}
    end
    if bill                            when there is anything to say of it
      [banner] 收现金 {cash_due}
    end

A line whose fields are all empty is left out. Banners (duplicate, backup, changed, void), what
changed and the cut are no matter of a template: they always stand first. What a cook must read
cannot be left out either: ESSENTIAL fields must stand where nothing but themselves can hide them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from agent.printing.sheet import Look
from drivers.printer.charset import columns

MAX_BYTES = 8192
MAX_LINES = 200
MAX_DEPTH = 6
MAX_WORDS = 160  # columns of the fixed words of one line

# loop -> the fields within it and the loops within it; "" is the ticket itself.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "": (
        *("number", "display_id", "platform", "service", "due", "table", "guests", "pickup_code"),
        *("note", "allergens", "cutlery", "pieces", "station", "total", "cash_due", "change_for"),
        *("paid", "customer", "address", "courier", "invoice", "qr", "order_id", "placed"),
        *("printed", "copy", "attempt"),
    ),
    "item": ("name", "qty", "price", "note", "allergens", "dish_station"),
    "option": ("name", "price"),
    "fee": ("name", "amount"),
    "discount": ("name", "amount"),
    "extra": ("name", "text"),
    "footer": ("text", "qr"),
}
LOOPS: Mapping[str, tuple[str, ...]] = {
    "": ("item", "fee", "discount", "extra", "footer"),
    "item": ("option",),
}
FLAGS = ("bill", "people")  # of the ticket; only for `if`
ESSENTIAL: Mapping[tuple[str, ...], tuple[str, ...]] = {
    (): ("number", "due", "note", "allergens", "order_id"),
    ("item",): ("name", "qty", "note", "allergens"),
    ("item", "option"): ("name",),
}
_LOOKS: Mapping[str, dict[str, object]] = {
    "left": {"align": "left"},
    "center": {"align": "center"},
    "right": {"align": "right"},
    "bold": {"bold": True},
    "inverse": {"inverse": True},
    "tall": {"height": 2},
    "wide": {"width": 2},
    "large": {"grow": 2},
    "huge": {"grow": 4},
}
_WAYS = ("banner", "hang", "pack", "qr", "many", "small")
_RULES = {"===": "=", "---": "-", "...": "."}
_FIELD = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Part:
    """Words with fields: literals and names in turn, beginning and ending with a literal."""

    pieces: tuple[str, ...]
    look: Look
    ways: frozenset[str]

    @property
    def fields(self) -> tuple[str, ...]:
        return self.pieces[1::2]

    def fill(self, words: Mapping[str, str]) -> str | None:
        """The words; None when it has fields and all of them are empty."""
        pieces = self.pieces
        if len(pieces) == 1:
            return pieces[0]
        if len(pieces) == 3:  # nearly all of them
            found = words[pieces[1]]
            return f"{pieces[0]}{found}{pieces[2]}" if found else None
        several = [words[name] for name in self.fields]
        if not any(several):
            return None
        texts = list(pieces)
        texts[1::2] = several
        return "".join(texts)


@dataclass(frozen=True, slots=True)
class Words:
    left: Part
    right: Part | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    sign: str


@dataclass(frozen=True, slots=True)
class If:
    field: str
    body: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class For:
    loop: str
    body: tuple[Node, ...]


Node = Words | Rule | If | For
Template = tuple[Node, ...]


class TemplateError(Exception):
    """Every problem of a template, by line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)


def parse(text: str) -> Template:
    """A template that can be printed; TemplateError with everything that is wrong with it."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES or text.count("\n") >= MAX_LINES:
        raise TemplateError([f"longer than {MAX_BYTES} bytes or {MAX_LINES} lines"])
    parser = _Parser(text)
    nodes = parser.block(())
    problems = parser.problems or list(_missing(nodes))
    if problems:
        raise TemplateError(problems)
    return nodes


class _Parser:
    def __init__(self, text: str) -> None:
        self.problems: list[str] = []
        lines = enumerate(text.splitlines(), 1)
        self._lines = [(n, line.strip()) for n, line in lines if line.strip()]
        self._lines = [(n, line) for n, line in self._lines if not line.startswith("#")]
        self._at = 0

    def block(self, loops: tuple[str, ...], opened: int = 0, depth: int = 0) -> tuple[Node, ...]:
        """The nodes up to `end`, or to the end of the text."""
        nodes: list[Node] = []
        while self._at < len(self._lines):
            n, line = self._lines[self._at]
            self._at += 1
            first, _, rest = line.partition(" ")
            if line == "end" and depth:
                return tuple(nodes)
            if first in ("if", "for"):
                if node := self._nested(n, first, rest.strip(), loops, depth):
                    nodes.append(node)
            elif line in _RULES:
                nodes.append(Rule(_RULES[line]))
            elif node := self._words(n, line, loops):
                nodes.append(node)
        if depth:
            self._complain(opened, "has no `end`")
        return tuple(nodes)

    def _nested(
        self, n: int, what: str, name: str, loops: tuple[str, ...], depth: int
    ) -> Node | None:
        within = loops[-1] if loops else ""
        known = LOOPS.get(within, ()) if what == "for" else _fields(loops)
        if name not in known:
            self._complain(n, f"there is no {name!r} here{_hint(name, known)}")
            loops = (*loops, name) if what == "for" and name in FIELDS else loops
            self.block(loops, n, depth + 1)
            return None
        if depth >= MAX_DEPTH:
            self._complain(n, f"nested deeper than {MAX_DEPTH}")
            self._at = len(self._lines)
            return None
        if what == "for":
            return For(name, self.block((*loops, name), n, depth + 1))
        return If(name, self.block(loops, n, depth + 1))

    def _words(self, n: int, line: str, loops: tuple[str, ...]) -> Words | None:
        if not line.isprintable() or line == "end":
            what = "`end` of nothing" if line == "end" else "holds a control character"
            self._complain(n, what)
            return None
        left, arrow, right = line.partition(">>")
        first = self._part(n, left, loops)
        second = self._part(n, right, loops) if arrow else None
        if second is not None and first.ways - {"hang"}:
            self._complain(n, "only `hang` and a look may stand left of >>")
        return Words(first, second)

    def _part(self, n: int, text: str, loops: tuple[str, ...]) -> Part:
        marks: list[str] = []
        text = text.rstrip()
        if text.lstrip().startswith("["):
            inner, bracket, text = text.lstrip()[1:].partition("]")
            marks = inner.split()
            text = text.removeprefix(" ")
            if not bracket:
                self._complain(n, "a mark has no closing ]")
        else:
            text = text.lstrip()
        look, ways = Look(), set()
        for mark in marks:
            if mark in _WAYS:
                ways.add(mark)
            elif mark in _LOOKS:
                look = replace(look, **_LOOKS[mark])  # type: ignore[arg-type]  # of Look's own names
            else:
                self._complain(n, f"there is no mark {mark!r}{_hint(mark, [*_LOOKS, *_WAYS])}")
        pieces = _FIELD.split(text)
        known = _fields(loops)
        for name in pieces[1::2]:
            if name not in known or name in FLAGS:
                self._complain(n, f"there is no field {{{name}}} here{_hint(name, known)}")
        literals = "".join(pieces[::2])
        if "{" in literals or "}" in literals:
            self._complain(n, "a { without its }, or the other way round")
        if columns(literals) > MAX_WORDS:
            self._complain(n, f"more than {MAX_WORDS} columns of fixed words")
        if "many" in ways and (not loops or loops[-1] != "item"):
            self._complain(n, "`many` is of a dish: it belongs into `for item`")
        if "qr" in ways and len(pieces) != 3:
            self._complain(n, "`qr` is of one field")
        return Part(tuple(pieces), look, frozenset(ways))

    def _complain(self, n: int, what: str) -> None:
        self.problems.append(f"line {n}: {what}")


def _fields(loops: tuple[str, ...]) -> list[str]:
    """Everything that can be named within these loops."""
    return [name for loop in (*loops, "") for name in FIELDS[loop]] + list(FLAGS)


def _missing(nodes: Template) -> Iterator[str]:
    """Essential fields that a ticket could lack."""
    found = set(_certain(nodes, (), frozenset()))
    lacking = [
        f"{{{name}}}" + (f" in `for {' / '.join(loops)}`" if loops else "")
        for loops, names in ESSENTIAL.items()
        for name in names
        if (loops, name) not in found
    ]
    if lacking:
        yield (
            f"missing: {', '.join(lacking)}. No ticket may be without, so they must not stand in an"
            " `if` of something else, nor only in a QR code"
        )


def _certain(
    nodes: Template, loops: tuple[str, ...], hidden_by: frozenset[str]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is printed whenever there is anything to print."""
    for node in nodes:
        match node:
            case Words(left, right):
                for part in (left, right):
                    if part is not None and "qr" not in part.ways:
                        yield from (
                            (loops, name)
                            for name in part.fields
                            if hidden_by <= {name} and name in FIELDS[loops[-1] if loops else ""]
                        )
            case If(field, body):
                yield from _certain(body, loops, hidden_by | {field})
            case For(loop, body):
                if not hidden_by:
                    yield from _certain(body, (*loops, loop), hidden_by)


def _hint(word: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches  # for who made a mistake

    close = get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"
