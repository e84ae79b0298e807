"""One agent a store: two would give the same numbers to different events."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from agent.store.database import StoreError


@contextlib.contextmanager
def only_one(store: Path) -> Iterator[None]:
    """Held until the process ends, however it does. StoreError when another agent holds it."""
    path = store.with_suffix(".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError:
        yield  # full or read-only: the store itself says so, or goes on in memory
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreError(
            f"another agent runs with {store}; stop it first: systemctl stop edge-agent"
        ) from None
    else:
        yield
    finally:
        os.close(lock)
