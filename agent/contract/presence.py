"""The retained `state` of a device, which is also its will."""

from __future__ import annotations

from typing import Literal

import msgspec


class StreamState(msgspec.Struct, frozen=True):
    first_unacked: int  # what lies before it, the device has forgotten
    last: int  # the newest seq given out


class Presence(msgspec.Struct, frozen=True, omit_defaults=True):
    """`bd_seq` pairs a birth with its will: a late will cannot mark a live device dead."""

    state: Literal["online", "sleeping", "offline", "lost"]
    bd_seq: int  # rises with each connection; a will carries that of its own
    boot_id: str  # of the machine's boot
    agent: str  # version
    role: str
    site: str
    since: int  # unix ms at which the agent started
    epoch: str
    streams: dict[str, StreamState] = {}
    open_commands: list[str] = []  # accepted and not finished
    duty: Literal["off", "idle", "delivering"] | None = None  # of a rider, who is located so
    boot_nonce: str = ""  # new with each start of the agent; a signed request may name it
    trying: bool = False  # a release that has not proven itself yet
