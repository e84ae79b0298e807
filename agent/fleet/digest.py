"""What went wrong in the program, as a digest: the kind of error and where, never with what values.

Bugs travel to the back end so that many devices with the same one can be counted. The text of an
exception may hold an order, an address, a key; its type and the functions that it came through hold
none. The digest is over types and functions, not over lines, so that it stays the same from one
release to the next.
"""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

FRAMES = 8  # the innermost
EVERY_S = 3600.0  # one bug is told of once in so long; meanwhile it is counted
WAITING = 100
KINDS = 20  # different ones that are told of in that time


class Digest(NamedTuple):
    id: str
    text: str  # ZeroDivisionError at agent/fleet/commands.py:210 _effect < ...


def digest(error: BaseException) -> Digest:
    """Of the first error within groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    places = [(_short(f.filename), f.name, f.lineno) for f in reversed(frames)]
    kind = type(error).__qualname__
    stable = "\n".join([kind, *(f"{file} {name}" for file, name, _ in places)])
    text = " < ".join(f"{file}:{line} {name}" for file, name, line in places) or "no frame"
    return Digest(hashlib.sha256(stable.encode()).hexdigest()[:12], f"{kind} at {text}")


def _short(filename: str) -> str:
    """From the package on: `agent/app.py`, `asyncio/events.py`."""
    return "/".join(Path(filename).parts[-3 if "/agent/" in filename else -2 :])


@dataclass(slots=True)
class Told:
    """Which digests are news; pure, at rising times `t` (monotonic s)."""

    _since: dict[str, float] = field(default_factory=dict)
    _silent: Counter[str] = field(default_factory=Counter)  # not told of yet

    def see(self, found: Digest, t: float) -> int | None:
        """How often it happened since it was told of last; None while it is not to be told."""
        self._since = {key: at for key, at in self._since.items() if t - at < EVERY_S}
        if found.id in self._since or len(self._since) >= KINDS:
            self._silent[found.id] += 1
            if len(self._silent) > KINDS:
                del self._silent[min(self._silent, key=self._silent.__getitem__)]
            return None
        self._since[found.id] = t
        return self._silent.pop(found.id, 0) + 1


class Catcher(logging.Handler):
    """Hears of exceptions that are logged, from any thread; the newest give way when many wait."""

    def __init__(self, news: Callable[[], object]) -> None:
        """`news` is called in the thread that logs."""
        super().__init__(logging.ERROR)
        self._news = news
        self._waiting: deque[Digest] = deque()

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and len(self._waiting) < WAITING:
            self._waiting.append(digest(error))
            self._news()

    def take(self) -> list[Digest]:
        return [self._waiting.popleft() for _ in range(len(self._waiting))]
