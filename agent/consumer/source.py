"""The port to the broker: messages come in and stay the broker's until they are acknowledged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

CONNECTING = "connecting"


@dataclass(frozen=True, slots=True)
class Incoming:
    topic: str
    payload: bytes
    content_type: str | None
    receipt: object  # the source's own


class Source(Protocol):
    """Everything in the event loop; connects again by itself."""

    name: str  # for people, without a password
    trouble: str | None  # why it is not connected; None while it is

    async def run(self, take: Callable[[Incoming], bool]) -> None:
        """Until cancelled; where `take` says that there is no more room, until `resume()`."""
        ...

    def acknowledge(self, message: Incoming) -> None:
        """The message is stored; nothing where its connection is gone, it will come again."""
        ...

    def publish(self, topic: str, payload: bytes) -> None:
        """To a device; dropped without a connection, because the device asks again."""
        ...

    def resume(self) -> None:
        """There is room again."""
        ...
