"""The way out and in: broker, inbox with who handles what, what is late, releases."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from agent import config as configuration
from agent.contract import topics
from agent.contract.presence import Presence
from agent.passwords import first_line
from agent.store.inbox import Inbox, Route
from agent.uplink.lateness import Lateness
from agent.uplink.link import Link, LinkSettings
from agent.uplink.service import Uplink
from agent.wiring.house import House, path

if TYPE_CHECKING:
    from agent.fleet.identity_service import IdentityService

BLAMED = ("service.", "stuck.")  # conditions


def uplink(
    house: House,
    presence: Callable[[Literal["online", "offline", "lost"]], Awaitable[Presence]],
    born: Callable[[], Awaitable[None]],
) -> None:
    """`presence`: what is said of the device; `born`: what follows on each connection."""
    house.identity = identity = _identity(house)
    settings = _settings(house, identity)
    house.inbox = Inbox(
        house.database,
        house.clock,
        house.health,
        house.outbox,
        {
            "order": Route(house.orders.handle, house.orders.refuse),
            "cmd": Route(house.commands.handle, house.commands.refuse),
            "config": Route(house.wished.handle, house.wished.refuse),
            **({"enroll": Route(identity.handle, identity.refuse)} if identity else {}),
        },
    )
    house.uplink = Uplink(
        house.config.device.id,
        house.config.uplink.confirm,
        lambda message, up, down: Link(
            settings,
            house.clock,
            on_message=message,
            on_up=_telling(house, up),
            on_down=_telling(house, down),
        ),
        house.outbox,
        house.inbox,
        house.clock,
        house.health,
        presence,
        born=[born, identity.connected] if identity else [born],
    )
    if identity is not None:
        house.rooms.append(identity)
    house.lateness = Lateness(
        house.outbox, house.clock, house.health, lambda: house.uplink.up_since is not None
    )


def update(house: House) -> None:
    section = house.config.update
    if section is None:
        return
    from agent.fleet.box import box_of
    from agent.fleet.slots import Slots
    from agent.fleet.update_service import UpdateService

    def troubles() -> set[str]:
        """Paper and covers are people's; what cannot be opened at all may be the release's."""
        return {
            condition.code
            for condition in house.health.conditions()
            if condition.code.startswith(BLAMED)
            or (condition.severity == "critical" and not condition.code.startswith("printer."))
        }

    house.update = UpdateService(
        Slots(Path(section.slots), Path(section.state)),
        box_of(Path(house.config.store.path)),
        house.database,
        house.clock,
        troubles,
        house.outbox,
        lambda seq: house.outbox.acked("critical") >= seq,
        lambda: house.uplink.announce(),
    )
    house.rooms.append(house.update)


def _identity(house: House) -> IdentityService | None:
    """None where the configuration names a certificate, a password, or no TLS."""
    uplink = house.config.uplink
    if not uplink.url.startswith("mqtts:"):
        return None  # and nothing of it is loaded
    from agent.fleet.identity import hardware, looked_after
    from agent.fleet.identity_service import IdentityService

    identity = looked_after(house.config)
    if identity is None:
        return None
    return IdentityService(
        device=house.config.device.id,
        identity=identity,
        hardware=hardware(),
        clock=house.clock,
        health=house.health,
        recorder=house.outbox,
        send=lambda *request: house.uplink.reply(*request),
        switch=lambda files: house.uplink.switch(files),
        up_since=lambda: house.uplink.up_since,
    )


def _settings(house: House, identity: IdentityService | None) -> LinkSettings:
    uplink, device = house.config.uplink, house.config.device.id
    return LinkSettings(
        url=uplink.url,
        fallbacks=tuple(uplink.fallbacks),
        id_property=uplink.id_property,
        return_after_s=configuration.seconds(uplink.return_after),
        window_s=uplink.reconnect_window_s,
        client_id=device,
        subscriptions=tuple(topics.subscriptions(device, enrolled=identity is not None)),
        will=lambda: house.uplink.will(),
        keepalive_s=uplink.keepalive_s,
        session_expiry_s=int(configuration.seconds(uplink.session_expiry)),
        retry_max_s=uplink.retry_max_s,
        username=uplink.username,
        password=first_line(uplink.password_file),
        ca=path(uplink.ca),
        cert=path(uplink.cert),
        key=path(uplink.key),
        tls_min=uplink.tls_min,
        files=None if identity is None else lambda: identity.identity.in_use(path(uplink.ca)),
        floor=None if identity is None else identity.floor,
    )


def _telling(house: House, react: Callable[..., None]) -> Callable[..., None]:
    """The page shows at once what became of the link."""

    def told(*arguments: Any) -> None:
        react(*arguments)
        house.changes.notify()

    return told
