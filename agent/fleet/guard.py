"""A few bytes beside the database, so that a database that was put back is noticed.

A copy of yesterday's database knows less than happened: which requests were carried out, how far
the audit chain had come. Its file does not show that; a second one, which is not part of it, does.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


class Guard:
    """One line of text at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str | None:
        """None when there is none, or it cannot be read."""
        try:
            return self._path.read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError):
            return None

    def write(self, text: str) -> bool:
        """Whole or not at all, and on the disk when this returns True."""
        new = self._path.with_name(self._path.name + ".new")
        try:
            with new.open("w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError:
            with contextlib.suppress(OSError):
                new.unlink()
            return False
        return True
