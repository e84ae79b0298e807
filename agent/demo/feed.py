"""What happened lately, for pages that read at their own pace. Pure.

Each kind keeps its newest items only. A reader has a cursor; what it was too slow for is skipped,
never queued, so a stalled browser costs nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

KEPT = {"wire": 80, "trail": 3000, "orders": 2500, "tickets": 14, "notes": 8}


@dataclass(slots=True)
class _Tape:
    items: deque[Any]
    total: int = 0


@dataclass(slots=True)
class Feed:
    _tapes: dict[str, _Tape] = field(
        default_factory=lambda: {name: _Tape(deque(maxlen=n)) for name, n in KEPT.items()}
    )

    def add(self, kind: str, item: Any) -> None:
        tape = self._tapes[kind]
        tape.items.append(item)
        tape.total += 1

    def total(self, kind: str) -> int:
        """How many there ever were."""
        return self._tapes[kind].total

    def since(self, cursor: dict[str, int]) -> dict[str, list[Any]]:
        """What is newer than the cursor, by kind; moves the cursor on."""
        new = {}
        for kind, tape in self._tapes.items():
            count = min(tape.total - cursor.get(kind, 0), len(tape.items))
            cursor[kind] = tape.total
            if count:
                new[kind] = list(tape.items)[-count:]
        return new
