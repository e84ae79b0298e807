"""`[device]`, `[store]`, `[uplink]`, `[update]`: who it is, where things wait, what it reaches."""

from __future__ import annotations

from datetime import tzinfo
from typing import Annotated, Literal

from msgspec import Meta

from agent.config.section import Duration, Positive, Section, says
from agent.contract import topics
from agent.contract.local import STORE_DEFAULT


class Device(Section, frozen=True, kw_only=True):
    """Who this device is."""

    id: Annotated[
        str,
        Meta(pattern=topics.DEVICE_ID.pattern),
        says("its name for the back end: one level of every topic, the MQTT client id; no dots"),
    ]
    site: Annotated[str, says("where it belongs; the back end sees it in `state`")] = ""
    clock: Annotated[
        Literal["kernel", "trusted"],
        says("`trusted` where something outside keeps the time, as for a container"),
    ] = "kernel"
    timezone: Annotated[
        str | None,
        says("of the times on tickets, e.g. `Asia/Shanghai`; none: as the system has it"),
    ] = None
    language: Annotated[
        Literal["zh", "en"] | None,
        says("in which the command line speaks to people; none: as the terminal is set (LANG)"),
    ] = None

    @property
    def zone(self) -> tzinfo | None:
        if self.timezone is None:
            return None
        from zoneinfo import ZoneInfo

        return ZoneInfo(self.timezone)


class Store(Section, frozen=True, kw_only=True):
    """Where everything waits until the back end has it."""

    path: Annotated[str, says("the database; the control socket lies beside it")] = STORE_DEFAULT
    max_mb: Annotated[
        float,
        Meta(ge=1),
        says("beyond it the oldest telemetry, then state, gives way; orders, prints and SOS never"),
    ] = 200.0
    keep_telemetry: Annotated[
        Duration, says("positions, health, errors that waited longer are given up; a gap says so")
    ] = "72h"
    keep_state: Annotated[
        Duration, says("the same for fences, arrivals and what staff set; orders never expire")
    ] = "30d"


class Uplink(Section, frozen=True, kw_only=True):
    """The way to the broker."""

    url: Annotated[
        str, Meta(pattern=r"^mqtts?://[^/\s]+$"), says("mqtt:// or mqtts://HOST[:PORT]; MQTT 5")
    ] = "mqtt://127.0.0.1:1883"
    fallbacks: Annotated[
        list[Annotated[str, Meta(pattern=r"^mqtts?://[^/\s]+$")]],
        Meta(max_length=4),
        says("other brokers, in this order, for the time in which `url` cannot be reached"),
    ] = []
    return_after: Annotated[
        Duration, says("so often, from another broker, `url` is looked at, and returned to")
    ] = "10m"
    reconnect_window_s: Annotated[
        float,
        Meta(ge=0, le=3600),
        says("when a broker ends the connection, come back at any time within so many seconds"),
    ] = 0.0
    id_property: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,32}$")] | None,
        says("an MQTT user property of this name carries the id, for brokers that spread devices"),
    ] = None
    confirm: Annotated[
        Literal["backend", "broker"],
        says("who must have an event before it is forgotten here: `backend` waits for its `ack`"),
    ] = "backend"
    keepalive_s: Annotated[
        int, Meta(ge=5, le=3600), says("MQTT keep-alive: how soon either side notices a dead line")
    ] = 30
    session_expiry: Annotated[
        Duration, says("so long the broker keeps orders and commands for an absent device")
    ] = "7d"
    username: Annotated[str | None, says("for brokers that want one")] = None
    password_file: Annotated[
        str | None, says("file with the password in its first line; none is kept in here")
    ] = None
    ca: Annotated[
        str | None,
        says("PEM file to check the broker by; none: what enrolment brought, else the system's"),
    ] = None
    cert: Annotated[
        str | None,
        says("PEM file with this device's certificate; none: what `edge-agent enroll` brought"),
    ] = None
    key: Annotated[str | None, says("PEM file with its private key; likewise")] = None
    tls_min: Annotated[
        Literal["1.2", "1.3"], says("of mqtts://; 1.2 for a broker that has nothing newer")
    ] = "1.3"
    enroll_url: Annotated[
        Annotated[str, Meta(pattern=r"^mqtts?://[^/\s]+$")] | None,
        says("broker for `edge-agent enroll`, where it is another than `url`"),
    ] = None
    enroll_ca: Annotated[str | None, says("PEM file to check that one by")] = None
    enroll_username: Annotated[
        str | None, says("account there that may do nothing but ask for a certificate")
    ] = None
    enroll_password_file: Annotated[
        str | None, says("file with its password in the first line")
    ] = None
    retry_max_s: Annotated[Positive, says("longest pause between two attempts to connect")] = 60.0


class Update(Section, frozen=True, kw_only=True):
    """Where releases come from; without this section they come by hand. See docs/updates.md."""

    url: Annotated[
        str, Meta(pattern=r"^https?://[^\s]+$"), says("of the repository: metadata/ and targets/")
    ]
    root: Annotated[
        str, says("the repository's first root of trust, installed with the device")
    ] = "/etc/edge-agent/update-root.json"
    deadline: Annotated[
        Duration, says("by then a new release has proven itself, or the one before comes back")
    ] = "60s"
    state: Annotated[str, says("the updater's own folder")] = "/var/lib/edge-agent-update"
    slots: Annotated[str, says("has slots/ and current")] = "/opt/edge-agent"


def wrong_timezone(name: str | None) -> list[str]:
    if name is None:
        return []
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        found = "`timedatectl list-timezones` lists them (package tzdata)"
        return [f"device.timezone: no time zone {name!r} here; {found}"]
    return []
