"""Passwords stand in files of their own, never in the configuration."""

from __future__ import annotations

from pathlib import Path

from drivers.errors import DriverError


def first_line(file: str | None) -> str | None:
    """Of the file; None without one. DriverError when it cannot be read."""
    if file is None:
        return None
    try:
        return Path(file).read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError, UnicodeDecodeError) as error:
        raise DriverError(f"the password in {file} cannot be read: {error}") from error
