"""The retained `state` of a device, which is also its will."""

from __future__ import annotations

from typing import Literal

import msgspec


class StreamState(msgspec.Struct, frozen=True):
    first_unacked: int
    last: int


class Presence(msgspec.Struct, frozen=True, omit_defaults=True):
    """`bd_seq` pairs a birth with its will: a late will cannot mark a live device dead."""

    state: Literal["online", "sleeping", "offline", "lost"]
    bd_seq: int
    boot_id: str
    agent: str
    role: str
    site: str
    since: int  # unix ms
    epoch: str
    streams: dict[str, StreamState] = {}
    open_commands: list[str] = []
