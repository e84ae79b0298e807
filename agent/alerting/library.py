"""Where the clips lie: the shop's own recordings first, else the ones that ship."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

SHIPPED = Path(__file__).parent / "prompts"


class Library:
    """A shop's folder holds files by the names of ours: `new_order.wav`, `chime.wav`, `7.wav`."""

    def __init__(self, language: str, own: Path | None = None) -> None:
        self._shipped = (SHIPPED / language, SHIPPED)
        self._own = own

    def shipped(self, names: Sequence[str]) -> list[Path]:
        """The files for these names, leaving out what there is no file for."""
        return _find(names, self._shipped)

    def preferred(self, names: Sequence[str]) -> list[Path]:
        """The same, with the shop's own where it has one."""
        return _find(names, (self._own, *self._shipped) if self._own else self._shipped)


def _find(names: Sequence[str], folders: Sequence[Path]) -> list[Path]:
    found = []
    for name in names:
        paths = (folder / f"{name}.wav" for folder in folders)
        found += [path for path in paths if path.is_file()][:1]
    return found
