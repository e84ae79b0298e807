"""Where the store lives while its disk refuses: in memory, until there is room again.

Orders must be served although a card is full, read-only or broken. The database is small, so all
of it moves: whoever asks the store goes on as before, and it moves back when the disk takes it.
What happens meanwhile would not survive a power cut, so it gets a new epoch: no number that the
back end has seen from here can ever be given out again by what is left on the disk.

A file beside the database says that the disk has everything. It is removed on the way out, which a
full disk allows: a life that finds it missing knows that the one before ended in memory (see lost).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from pathlib import Path

LIMIT_BYTES = 48 * 1024 * 1024  # of memory; a longer backlog stays on the disk and waits there

# What the world does to a disk. Anything else that SQLite complains of is a bug of ours.
_DISK = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_PERM,
    }
)


def is_disk(error: sqlite3.Error) -> bool:
    """Whether the disk, and not the statement, is to blame."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and (code & 0xFF) in _DISK


def new_epoch() -> str:
    return uuid.uuid4().hex[:12]


def move_in(disk: sqlite3.Connection, epoch: str) -> sqlite3.Connection | None:
    """A copy in memory under a new epoch; None when it is too large or cannot be read."""
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        (pages,) = disk.execute("PRAGMA page_count").fetchone()
        (size,) = disk.execute("PRAGMA page_size").fetchone()
        if pages * size <= LIMIT_BYTES:
            disk.backup(memory, progress=_give_up)
            memory.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (epoch,))
            return memory
    except Locked:
        pass
    except sqlite3.Error as error:
        if not is_disk(error):
            memory.close()
            raise
    memory.close()
    return None


def move_home(memory: sqlite3.Connection, disk: sqlite3.Connection) -> bool:
    """Write everything back in one transaction; False when the disk still refuses.

    Nobody waits for a lock here: the store has others to serve, and comes back later.
    """
    (patience,) = disk.execute("PRAGMA busy_timeout").fetchone()
    try:
        disk.execute("PRAGMA busy_timeout=0")
        memory.backup(disk, progress=_give_up)
    except sqlite3.Error as error:
        if not is_disk(error):
            raise
        return False
    except Locked:
        return False
    finally:
        disk.execute(f"PRAGMA busy_timeout={patience}")
    return True


class Locked(Exception):
    """Another program holds the database; Python's backup would wait for it without end."""


def _give_up(status: int, _remaining: int, _total: int) -> None:
    if status & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        raise Locked


def mark_home(mark: Path) -> bool:
    """Say that the disk has everything; whether that could be said."""
    if mark.exists():
        return True
    try:
        mark.touch()
        _sync(mark.parent)
    except OSError:
        return False
    return True


def mark_away(mark: Path) -> None:
    """Take it back; on a disk that is read-only it stays."""
    with contextlib.suppress(OSError):
        mark.unlink(missing_ok=True)
        _sync(mark.parent)


def _sync(folder: Path) -> None:
    """A name is on the disk once its folder is."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
