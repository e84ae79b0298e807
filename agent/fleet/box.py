"""What the agent and the updater leave for each other in a folder of the agent's."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")

VERSION = re.compile(r"[0-9][A-Za-z0-9.+-]{0,31}")
READ_MAX = 4096  # bytes
REQUEST, VERDICT = "request.json", "verdict.json"


class Request(msgspec.Struct, frozen=True):
    """By the agent: a release is wanted."""

    id: str
    version: str


class Verdict(msgspec.Struct, frozen=True):
    """By the agent that has proven itself in the slot on trial."""

    request: str
    slot: str


def box_of(store: Path) -> Path:
    return store.parent / "update"


def leave(path: Path, what: msgspec.Struct) -> None:
    beside = path.with_name(f".{path.name}")
    beside.write_bytes(msgspec.json.encode(what))
    beside.rename(path)


def left(path: Path, type_: type[T]) -> T | None:
    """A small file that is one itself, or nothing: who left it may be anybody by then.

    Raises OSError for a link and for what cannot be read.
    """
    with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            return msgspec.json.decode(os.read(descriptor, READ_MAX), type=type_)
        finally:
            os.close(descriptor)
    return None
