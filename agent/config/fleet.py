"""`[fleet]`: what the back end may ask, and who must sign for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from agent.config.section import Name, Section, says, twice

PUBLIC_KEY = re.compile(r"[A-Za-z0-9_-]{43}=?")  # 32 bytes, base64url


class FleetKey(Section, frozen=True, kw_only=True):
    """Somebody who may sign requests; see docs/fleet-commands.md."""

    kid: Annotated[Name, says("the key's name, which each request carries")]
    key: Annotated[str, says("public Ed25519 key: 32 bytes as base64url; `fleet keygen` makes one")]
    scopes: Annotated[
        list[Literal["order", "ops", "release"]],
        Meta(min_length=1),
        says("what it may sign: `order` what shops do, `ops` the device, `release` its program"),
    ]


class Fleet(Section, frozen=True, kw_only=True):
    """What may be asked of the device from afar. It is set on the device only."""

    require_signed: Annotated[
        bool, says("commands and wished settings only from who signs them by one of `keys`")
    ] = False
    keys: Annotated[list[FleetKey], says("of those who may sign")] = []
    allow_reboot: Annotated[bool, says("`device.reboot` may start the whole machine anew")] = False


class Metrics(Section, frozen=True, kw_only=True):
    """Figures for Prometheus at `/metrics`; off without this section."""

    listen: Annotated[
        str,
        Meta(pattern=r"^(localhost|127\.0\.0\.1|\[::1\]):[0-9]{1,5}$"),
        says("address and port, on loopback: whatever collects them runs on the device"),
    ] = "127.0.0.1:9464"


def wrong_fleet(fleet: Fleet) -> Iterator[str]:
    for kid in twice([key.kid for key in fleet.keys]):
        yield f"fleet.keys.{kid}: two keys have this name"
    for key in fleet.keys:
        if not PUBLIC_KEY.fullmatch(key.key):
            yield f"fleet.keys.{key.kid}.key: is not 32 bytes as base64url (43 characters)"
    if fleet.require_signed and not fleet.keys:
        yield "fleet.require_signed: nobody could sign; add [[fleet.keys]]"
