"""The file of a roll-out: all that is known of it, so that another operator can take it over."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from agent.contract.errors import Rejected
from agent.operators.rollout import Rollout


class Task(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is brought out: a release, or settings."""

    name: str
    update: str | None = None
    version: int | None = None
    settings: dict[str, Any] | None = None


class _File(msgspec.Struct):
    task: Task
    rollout: Rollout


def read_task(update: str | None, settings: Path | None) -> Task:
    if update is not None:
        return Task(update, update=update)
    assert settings is not None
    try:
        found = json.loads(settings.read_text("utf-8"))
        return Task(f"settings {found['version']}", None, int(found["version"]), found["settings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Rejected("invalid", f"{settings}: give version and settings: {error!r}") from None


def read(path: Path) -> tuple[Task, Rollout]:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise Rejected("no_file", f"{path}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise Rejected("invalid", f"{path} is no roll-out: {error}") from None
    return found.task, found.rollout


def write(path: Path, task: Task, rollout: Rollout) -> None:
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(_File(task, rollout)), indent=1))
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)


def pause_mark(path: Path) -> Path:
    """Set by anybody, while whoever drives the roll-out writes the file itself."""
    return path.with_name(path.name + ".paused")


def mark(path: Path, *, paused: bool) -> None:
    read(path)
    if paused:
        pause_mark(path).touch()
    else:
        pause_mark(path).unlink(missing_ok=True)


@contextmanager
def driven(path: Path) -> Iterator[None]:
    """One driver at a time; Rejected when there is one on this machine."""
    with path.with_name(path.name + ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Rejected("driven", f"{path} is driven by another process here") from None
        yield
