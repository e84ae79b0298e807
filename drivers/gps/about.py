"""What a receiver shows beyond its fixes: for people who look, never for a decision."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

TEXT_MAX = 80


@dataclass(slots=True)
class About:
    """None, or empty, where it is not known. Texts are printable."""

    where: str = ""  # device or address
    model: str | None = None
    baud: int | None = None
    set: tuple[str, ...] = ()  # what the driver has asked the receiver to do
    in_view: int | None = None  # satellites, used or not
    heard: Counter[str] = field(default_factory=Counter)  # sentences or reports, by type


def printable(text: str) -> str:
    """A stranger's text without control bytes, and no longer than TEXT_MAX."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:TEXT_MAX])
