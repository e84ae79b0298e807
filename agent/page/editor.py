"""The file in which a technician's page keeps settings: `conf.d/90-page.toml`, beside the others.

What the page shows of it bears no secrets: they are hidden line by line, and a hidden line that
comes back as it was shown stands for what it hid.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from agent.contract.errors import Rejected
from drivers.base import DriverError

MAX_CHARS = 12_000
NAME = "90-page.toml"
HIDDEN = "(hidden)"
_SECRET = re.compile(r"(?i)^(\s*[\w.\"-]*(?:password|secret|token|pin|private)\w*\"?\s*=\s*)(.+)$")
_FILE = re.compile(r"(?i)_file\"?\s*=")
_USERINFO = re.compile(r"(?<=://)[^/@\s\"']*@")


class Sheet(NamedTuple):
    """`before` is the text that the last change replaced."""

    path: str
    text: str
    before: str | None
    writable: bool


class Editor:
    """Blocks on the disk. `check`: what is wrong with all settings, were this the file's text."""

    def __init__(self, config: Path, check: Callable[[Path, str], list[str]]) -> None:
        self.path = config.absolute().parent / "conf.d" / NAME
        self._check = check

    def look(self) -> Sheet:
        before = self._read(self._backup) if self._backup.exists() else None
        return Sheet(
            str(self.path),
            concealed(self._read(self.path)),
            None if before is None else concealed(before),
            self._writable(),
        )

    def problems(self, text: str) -> list[str]:
        """Empty where it may be written."""
        whole = restored(text, self._read(self.path), self._old())
        if any(HIDDEN in line for line in whole.splitlines()):
            return [f"{HIDDEN} stands for a secret; where its line was changed, write it anew"]
        return self._check(self.path, whole)

    def write(self, text: str) -> None:
        """Whole or not at all; the text before it is kept. Rejected `invalid`, DriverError."""
        if problems := self.problems(text):
            raise Rejected("invalid", "\n".join(problems))
        old = self._read(self.path)
        whole = restored(text, old, self._old())
        try:
            self.path.parent.mkdir(mode=0o750, exist_ok=True)
            _replace(self._backup, old)
            _replace(self.path, whole)
        except OSError as error:
            raise DriverError(
                f"{self.path} cannot be written: {error.strerror}; let the agent's user write"
                f" into {self.path.parent}"
            ) from error

    @property
    def _backup(self) -> Path:
        return self.path.with_suffix(".before")

    def _old(self) -> str:
        return self._read(self._backup)

    def _writable(self) -> bool:
        folder = self.path.parent
        return os.access(folder if folder.exists() else folder.parent, os.W_OK)

    def _read(self, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise DriverError(f"{path} cannot be read: {error}") from error


def concealed(text: str) -> str:
    return "\n".join(map(_concealed, text.split("\n")))


def _concealed(line: str) -> str:
    found = _SECRET.match(line)
    if found and not _FILE.search(found[1]):
        return f'{found[1]}"{HIDDEN}"'
    return _USERINFO.sub(HIDDEN + "@", line)


def restored(text: str, *known: str) -> str:
    """`text` with each line that hides something as it stands in the first of `known` with it."""
    lines: dict[str, str] = {}
    for source in reversed(known):
        lines |= {_concealed(line): line for line in source.split("\n") if _concealed(line) != line}
    return "\n".join(lines.get(line, line) for line in text.split("\n"))


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".new")
    with beside.open("w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o640)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
