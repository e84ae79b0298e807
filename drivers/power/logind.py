"""systemd-logind on the system D-Bus: whether it lets us reboot, and doing it.

`org.freedesktop.login1.Manager`: `CanReboot() -> s` answers yes, no, challenge or na;
`Reboot(b interactive)`. Who may is polkit's matter (action org.freedesktop.login1.reboot).
Source: https://www.freedesktop.org/software/systemd/man/org.freedesktop.login1.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from drivers.base import DriverError

if TYPE_CHECKING:
    from dbus_fast.aio import MessageBus

DEADLINE_S = 15.0
NAME, PATH = "org.freedesktop.login1", "/org/freedesktop/login1"


async def reboot() -> None:
    """Asks for it; the machine ends some seconds later. DriverError when it may not, or cannot."""
    from dbus_fast import BusType
    from dbus_fast.aio import MessageBus

    try:
        async with asyncio.timeout(DEADLINE_S):
            bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
            try:
                (can,) = await _call(bus, "CanReboot")
                if can != "yes":
                    raise DriverError(
                        f"systemd-logind does not let the agent reboot (it says {can!r}); a rule of"
                        " polkit must allow org.freedesktop.login1.reboot to its user"
                    )
                await _call(bus, "Reboot", "b", [False])
            finally:
                bus.disconnect()
    except (OSError, EOFError) as error:
        raise DriverError(f"the system D-Bus cannot be reached: {error}") from error
    except TimeoutError:
        raise DriverError("systemd-logind does not answer") from None


async def _call(
    bus: MessageBus, member: str, signature: str = "", body: Sequence[Any] = ()
) -> list[Any]:
    from dbus_fast import Message, MessageType

    reply = await bus.call(
        Message(
            destination=NAME,
            path=PATH,
            interface=f"{NAME}.Manager",
            member=member,
            signature=signature,
            body=list(body),
        )
    )
    if reply.message_type is MessageType.ERROR:
        said = " ".join(map(str, reply.body))
        raise DriverError(f"systemd-logind refused {member}: {said}")
    return list(reply.body)
