"""Memory that a start leaves behind and an idle process does not need. glibc only; elsewhere no-op.

An arena for each thread is worth its memory where threads allocate at the same time. Ours wait.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_M_ARENA_MAX = -8  # malloc.h


def share_one_arena() -> None:
    """Before the first thread."""
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune is not None:
        tune(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Return what is free inside the heap to the kernel."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@contextmanager
def left_out(name: str) -> Iterator[None]:
    """A module that a library imports and never uses here is not loaded meanwhile."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = ModuleType(name)
    try:
        yield
    finally:
        del sys.modules[name]
