"""Which template a name stands for: sent from afar, else the shop's own file, else ours.

Each is checked whole before it is used. What turns out to be no template (a file edited badly, one
that was sent to an older version) is told in `problems` and the next best is used: a shop prints.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from agent.printing.template import Template, TemplateError, parse

_PACKAGE = Path(__file__).parents[1]
# In an installed wheel the configuration lies inside the package, in a checkout beside it.
OURS = next(
    folder / "tickets"
    for folder in (_PACKAGE / "_config", _PACKAGE.parent / "config")
    if folder.is_dir()
)
DEFAULT = "kitchen"
SUFFIX = ".ticket"
MAX_SENT = 32

_KEY = "ticket."
_ALL = "SELECT substr(key, 8), value FROM meta WHERE key GLOB 'ticket.*'"
_PUT = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
_DELETE = "DELETE FROM meta WHERE key = ?"


def stored(tx: sqlite3.Connection) -> dict[str, str]:
    """Name -> text of those that were sent from afar."""
    return dict(tx.execute(_ALL).fetchall())


def put(tx: sqlite3.Connection, name: str, text: str) -> None:
    tx.execute(_PUT, (_KEY + name, text))


def delete(tx: sqlite3.Connection, name: str) -> None:
    tx.execute(_DELETE, (_KEY + name,))


class Templates:
    """`folder` is the shop's own; `sent` is what `stored()` found."""

    def __init__(self, folder: Path | None = None, sent: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._sent = dict(sent or {})
        self._parsed: dict[str, Template] = {}
        self.problems: dict[str, list[str]] = {}  # where -> what is wrong there

    def get(self, name: str) -> Template:
        """The template to print by; ours where the wished one is none."""
        if name not in self._parsed:
            self._parsed[name] = self._find(name)
        return self._parsed[name]

    def text(self, name: str) -> tuple[str, str] | None:
        """The text and where it is from; None when there is none of this name."""
        return next(self._texts(name), None)

    def names(self) -> list[str]:
        folders = [folder for folder in (OURS, self._folder) if folder is not None]
        files = {path.stem for folder in folders for path in folder.glob(f"*{SUFFIX}")}
        return sorted(files | set(self._sent))

    def replace(self, name: str, text: str | None) -> None:
        """Sent from afar and good; None: as if none had been sent."""
        if text is None:
            self._sent.pop(name, None)
        else:
            self._sent[name] = text
        self._parsed.clear()
        self.problems.clear()

    def _find(self, name: str) -> Template:
        for text, origin in self._texts(name):
            try:
                return parse(text)
            except TemplateError as error:
                self.problems[origin] = error.problems
        self.problems[name] = [f"no template {name!r} is usable; `{DEFAULT}` is used"]
        return parse((OURS / f"{DEFAULT}{SUFFIX}").read_text("utf-8"))

    def _texts(self, name: str) -> Iterator[tuple[str, str]]:
        if name in self._sent:
            yield self._sent[name], f"{name}, sent"
        for folder in (self._folder, OURS):
            path = None if folder is None else folder / f"{name}{SUFFIX}"
            if path is None or not path.is_file():
                continue
            try:
                yield path.read_text("utf-8"), str(path)
            except (OSError, UnicodeDecodeError) as error:
                self.problems[str(path)] = [f"cannot be read: {error}"]
