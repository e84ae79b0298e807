"""How the last life ended, for the next one to tell: in order, by a bug, killed, or without power.

A mark lies beside the database while the agent runs. Who ends in order takes it away; a bug is
written into it on the way out. One that is found at a start is of a life that was cut off: in the
same boot of the machine the process was killed (by the watchdog, for its memory, by hand), in
another one the machine went down with it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Literal

import msgspec

from agent.fleet.digest import digest
from agent.fleet.guard import Guard

How = Literal["bug", "killed", "machine"]


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    boot: str
    since: int  # unix ms
    agent: str  # version
    digest: str = ""
    text: str = ""


class End(msgspec.Struct, frozen=True):
    """Of a life that did not end in order."""

    how: How
    mark: Mark


class LastWords:
    """The mark at `path`; where it cannot be written, nothing is known at the next start."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: Mark | None = None

    def begin(self, boot: str, now_ms: int, agent: str) -> End | None:
        """How the life before this one ended; None when it did in order."""
        found = Guard(self._path).read()
        self._mark = Mark(boot, now_ms, agent)
        self._write(self._mark)
        if found is None:
            return None
        with contextlib.suppress(msgspec.MsgspecError):
            before = msgspec.json.decode(found, type=Mark)
            if before.digest:
                return End("bug", before)
            return End("killed" if before.boot == boot else "machine", before)
        return None

    def crashed(self, error: BaseException) -> None:
        """On the way out."""
        if self._mark is not None:
            found = digest(error)
            self._write(msgspec.structs.replace(self._mark, digest=found.id, text=found.text))

    def end(self) -> None:
        """In order."""
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _write(self, mark: Mark) -> None:
        Guard(self._path).write(msgspec.json.encode(mark).decode())
