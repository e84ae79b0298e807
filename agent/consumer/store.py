"""The port to the database, and its errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Protocol

from agent.consumer.booking import Outcome
from agent.consumer.records import Record
from agent.layers import ConfigError
from drivers.base import DriverError

SCHEMA_VERSION = 1


class Unavailable(DriverError):
    """The database is away, full or busy: nothing of the transaction is stored; try again."""


@dataclass(frozen=True, slots=True)
class Counts:
    devices: int
    holes: int  # numbers awaited: neither stored nor explained
    set_aside: int  # messages, different ones


class Store(Protocol):
    """Used by one thread only, which waits in it."""

    name: str  # for people, without a password

    def apply(self, records: Sequence[Record], now_ms: int) -> Outcome:
        """In one transaction, committed and on disk when this returns; connects when it has to.

        Raises Unavailable, Rejected when a value cannot be kept, and ConfigError when the database
        is not one of ours; of what it raised for, nothing is stored.
        """
        ...

    def counts(self) -> Counts:
        """Raises Unavailable."""
        ...

    def close(self) -> None: ...


def script(*files: str) -> str:
    """These .sql files beside this module."""
    return "".join((resources.files("agent.consumer") / name).read_text("utf-8") for name in files)


def check_version(found: int, make: Callable[[], None], name: str) -> None:
    """0: nothing is there yet."""
    if found == 0:
        make()
    elif found != SCHEMA_VERSION:
        raise ConfigError([f"{name} has tables of version {found}; this is {SCHEMA_VERSION}"])
