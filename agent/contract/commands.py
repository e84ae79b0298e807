"""What the back end asks of a device, and the acknowledgements that let it forget."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from agent.contract.orders import Millis

MAX_BYTES = 64 * 1024


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """Payload of `cmd/{name}/{cmd_id}`."""

    params: dict[str, Any] = {}
    iat: Millis | None = None
    exp: Millis | None = None  # unix ms; later it is answered `rejected`, reason `expired`
    kid: str | None = None  # signed: whose key; then `req` has the rest, see docs/fleet-commands.md
    req: str | None = None  # signed: JSON in a text, exactly what was signed
    sig: str | None = None  # signed: Ed25519, base64url


class Ack(msgspec.Struct, frozen=True):
    """All events of the stream up to `seq` are stored by the back end."""

    epoch: str
    seq: Annotated[int, Meta(ge=0)]


class Desired(msgspec.Struct, frozen=True):
    version: int
    settings: dict[str, Any] = {}


class Reported(msgspec.Struct, frozen=True, omit_defaults=True):
    version: int | None  # of what was wished last
    applied: bool
    settings: dict[str, Any]  # those in force
    error: str | None = None
    # waiting: for the broker, to be applied; trying: at this moment; the rest says how it ended.
    state: Literal["waiting", "trying", "in_force", "refused", "rolled_back"] | None = None
    in_force: int | None = None  # version; 0: the device's own file only
    overridden: list[str] = []  # wished, and set otherwise on the device
