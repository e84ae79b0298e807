"""The way out and in: broker, inbox with who handles what, the warning when things are late."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

from agent import config as configuration
from agent.contract import topics
from agent.contract.presence import Presence
from agent.store.inbox import Inbox, Route
from agent.uplink.lateness import Lateness
from agent.uplink.link import Link, LinkSettings
from agent.uplink.service import Uplink
from agent.wiring.house import House, path
from drivers.base import DriverError


def uplink(
    house: House,
    presence: Callable[[Literal["online", "offline", "lost"]], Awaitable[Presence]],
    born: Callable[[], Awaitable[None]],
) -> None:
    """`presence`: what is said of the device; `born`: what follows on each connection."""
    settings = _settings(house)
    house.inbox = Inbox(
        house.database,
        house.clock,
        house.health,
        house.outbox,
        {
            "order": Route(house.orders.handle, house.orders.refuse),
            "cmd": Route(house.commands.handle, house.commands.refuse),
            "config": Route(house.wished.handle, house.wished.refuse),
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
        born=[born],
    )
    house.lateness = Lateness(
        house.outbox, house.clock, house.health, lambda: house.uplink.up_since is not None
    )


def _settings(house: House) -> LinkSettings:
    uplink, device = house.config.uplink, house.config.device.id
    return LinkSettings(
        url=uplink.url,
        fallbacks=tuple(uplink.fallbacks),
        id_property=uplink.id_property,
        return_after_s=configuration.seconds(uplink.return_after),
        window_s=uplink.reconnect_window_s,
        client_id=device,
        subscriptions=tuple(topics.subscriptions(device)),
        will=lambda: house.uplink.will(),
        keepalive_s=uplink.keepalive_s,
        session_expiry_s=int(configuration.seconds(uplink.session_expiry)),
        retry_max_s=uplink.retry_max_s,
        username=uplink.username,
        password=_secret(uplink.password_file),
        ca=path(uplink.ca),
        cert=path(uplink.cert),
        key=path(uplink.key),
    )


def _telling(house: House, react: Callable[..., None]) -> Callable[..., None]:
    """The page shows at once what became of the link."""

    def told(*arguments: Any) -> None:
        react(*arguments)
        house.changes.notify()

    return told


def _secret(file: str | None) -> str | None:
    """The first line of a file; DriverError when it cannot be read."""
    if file is None:
        return None
    try:
        return Path(file).read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError, UnicodeDecodeError) as error:
        raise DriverError(f"the password in {file} cannot be read: {error}") from error
