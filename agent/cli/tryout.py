"""Set-up tries what it is told: the broker, the printers, the loudspeaker, the receiver."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.config import PrinterConfig
from agent.config.whereabouts import PositionConfig
from agent.core.clock import Clock, SystemClock

FIX_WAIT_S = 120.0
LOOK_S = 2.0


def broker(url: str, ca: str | None) -> str | None:
    """Why it cannot be reached; None when it answers."""
    from agent.uplink import words
    from agent.uplink.dial import Dialler
    from agent.uplink.values import LinkSettings

    async def reach() -> None:
        settings = LinkSettings(url, "set-up", ca=Path(ca) if ca else None)
        (await Dialler(settings).dial(url)).close()

    clock = SystemClock()
    try:
        asyncio.run(reach())
    except OSError as error:
        clock_set = clock.quality() != "none"
        return words.network_fault(error, clock.wall(), clock_set=clock_set)
    except ValueError as error:
        return str(error)
    return None


def printer(uri: str, name: str) -> Callable[[int | None], str]:
    """Two test pages; the section that it deserves, by the columns that a person read off the
    ruler. Raises DriverError."""
    from agent.printing import selftest, trial

    config = PrinterConfig(name=name, uri=uri)
    seen = asyncio.run(trial.directly(config, SystemClock()))
    return lambda columns: selftest.proposal(config, seen, columns)


def tone(language: str, device: str = "default") -> None:
    """The chime and a phrase on an ALSA card. Raises DriverError."""
    from agent.alerting.library import Library
    from drivers import catalog

    driver = catalog.load("sound", "alsa")
    clips = Library(language).shipped(["chime", "new_order"])

    async def play() -> None:
        async with driver.open(driver.settings(device=device), SystemClock()) as player:
            await player.play(clips, 0.8)

    asyncio.run(play())


def receivers() -> list[str]:
    """What could be one: gpsd if it answers, then serial devices by their lasting names."""
    import socket

    found = []
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", 2947), LOOK_S).close()
        found.append("gpsd")
    named = [str(path) for path in [Path("/dev/edge/gps")] if path.exists()]
    named += sorted(str(path) for path in Path("/dev/serial/by-id").glob("*"))
    plain = [str(path) for path in (*Path("/dev").glob("ttyACM*"), *Path("/dev").glob("ttyAMA0"))]
    return found + (named or sorted(plain))


def first_fix(receiver: str, show: Any, clock: Clock | None = None) -> bool:
    """Whether a fix came in time; `show(view)` every second. Ctrl-C ends the waiting: False."""
    from agent.cli.gps import _of_receiver

    serial = {} if receiver == "gpsd" else {"device": receiver}
    driver = "gpsd" if receiver == "gpsd" else "serial"
    position = PositionConfig(driver=driver, serial=serial)
    used = clock or SystemClock()

    async def wait() -> bool:
        end = used.monotonic() + FIX_WAIT_S
        async with contextlib.aclosing(_of_receiver(position, used, 1.0)) as views:  # type: ignore[type-var]
            async for view in views:
                show(view)
                if view.fix_age_s is not None and view.fix_age_s < 5:
                    return True
                if used.monotonic() > end:
                    return False
        return False

    try:
        return asyncio.run(wait())
    except KeyboardInterrupt:
        return False
