"""`gps watch`: what the receiver says, and what the agent makes of it, as it happens."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli import common
from agent.contract.errors import NotRunning, Rejected
from agent.contract.local import socket_path
from drivers.errors import DriverError

if TYPE_CHECKING:
    from agent.config import Config, PositionConfig
    from agent.positioning.profiles import Profile
    from agent.positioning.watching import View

HOME, END_OF_LINE, END_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
RETRY_S = 2.0
SHARED = ("gpsd",)  # drivers whose receiver several may read at once


def add(groups: common.Groups) -> None:
    sub = common.group(groups, "gps", "The GPS receiver.")
    watch = common.command(sub, "watch", "What the receiver says, and what is made of it.", _watch)
    common.reading(watch)
    watch.add_argument("--every", type=_period, default=1.0, metavar="SECONDS")
    watch.add_argument("--count", type=int, default=0, metavar="N", help="end after so many views")


def _period(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError("must be 0.1 to 3600 seconds")
    return value


def _watch(arguments: argparse.Namespace) -> int:
    config = common.load(arguments).config
    position = config.position
    if position is None:
        common.complain("there is no [position] in this configuration; a shop has no receiver")
        return 1
    import asyncio

    asyncio.run(_show(arguments, config, position))
    return 0


async def _show(arguments: argparse.Namespace, config: Config, position: PositionConfig) -> None:
    from agent.positioning.watching import per_second

    before: View | None = None
    shown = 0
    async for view, source in _views(arguments, config, position):
        rates = per_second(before, view) if before is not None else {}
        before = view
        if arguments.json:
            line = json.dumps(_plain(view) | {"source": source, "per_second": rates})
            print(line, flush=True)
        elif common.is_terminal():
            lines = screen(view, rates, source).splitlines()
            print(
                HOME, *(f"{line}{END_OF_LINE}\n" for line in lines), END_OF_SCREEN, sep="", end=""
            )
            sys.stdout.flush()
        else:
            print(one_line(view, rates), flush=True)
        shown += 1
        if shown == arguments.count:
            return


def _plain(view: View) -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(view)
    return plain


async def _views(
    arguments: argparse.Namespace, config: Config, position: PositionConfig
) -> AsyncIterator[tuple[View, str]]:
    """From a receiver that can be shared; else from the running agent; else from the receiver."""
    from agent.core.clock import SystemClock

    clock = SystemClock(trusted=config.device.clock == "trusted")
    path = socket_path(Path(config.store.path))
    if position.driver not in SHARED:
        asked = False
        try:
            while True:
                yield await _of_daemon(path), "the running agent"
                asked = True
                await clock.sleep(arguments.every)
        except NotRunning:
            if asked:
                raise
    async for view in _of_receiver(position, clock, arguments.every):
        yield view, f"driver {position.driver}, read here"


async def _of_daemon(path: Path) -> View:
    import msgspec

    from agent import control
    from agent.positioning.watching import View

    try:
        return msgspec.convert(await control.ask(path, "gps.view"), View)
    except Rejected as rejected:
        raise DriverError(f"the running agent cannot show its receiver: {rejected}") from rejected


async def _of_receiver(position: PositionConfig, clock: Any, every: float) -> AsyncIterator[View]:
    """The policies of the daemon, on a receiver of our own; it is opened again when it goes."""
    import asyncio

    from agent.positioning.watching import Watching

    watching = Watching(_profile(position))
    trouble: list[DriverError] = []
    feeding = asyncio.ensure_future(_feed(position, clock, watching, trouble))
    try:
        while True:
            await clock.sleep(every)
            if feeding.done():
                await feeding  # what it died of is raised
                return
            gone = str(trouble[-1]) if trouble and watching.receiver is None else None
            yield watching.view(clock.monotonic(), clock.wall(), gone)
    finally:
        feeding.cancel()
        await asyncio.wait([feeding])


async def _feed(
    position: PositionConfig, clock: Any, watching: Any, trouble: list[DriverError]
) -> None:
    """Until a recording ends."""
    from agent import config as configuration
    from agent.positioning.reporting import Reporting
    from agent.positioning.tracker import Tracker
    from drivers import catalog

    driver = catalog.load("gps", position.driver)
    settings = configuration.driver_settings("gps", position)
    tracker, reporting = Tracker(), Reporting(watching.profile)
    while True:
        try:
            async with driver.open(settings, clock) as receiver:
                watching.receiver = receiver
                async for fix in receiver.fixes():
                    watching.fix = fix
                    estimate = tracker.react(fix)
                    watching.dropped = dict(tracker.rejected)
                    if estimate is not None:
                        watching.estimate = estimate
                        report = reporting.react(estimate)
                        if report is not None:
                            watching.told(report)
                return
        except DriverError as error:
            trouble[:] = [error]
        finally:
            watching.receiver = None
        await clock.sleep(RETRY_S)


def _profile(position: PositionConfig) -> Profile:
    from agent.positioning.profiles import profile

    return profile(
        position.profile,
        max_error_m=position.max_error_m,
        moving_s=position.moving_s,
        still_s=position.still_s,
    )


# --- as text --------------------------------------------------------------------------------------


def _n(value: float | None, unit: str = "", digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}{unit}"


def screen(view: View, rates: dict[str, float], source: str) -> str:
    """A page of at most 14 lines, 80 columns wide where texts allow it."""
    used = "-" if view.used is None else str(view.used)
    seen = "-" if view.in_view is None else str(view.in_view)
    model = f"  {view.model}" if view.model else ""
    rows = [
        ("receiver", f"{view.where or '-'}{model}" if view.open else "not open"),
        ("line", f"{_n(view.baud, ' baud', 0)}  {', '.join(view.asked)}"),
        ("fix", f"{view.mode}, {_n(view.fix_age_s, ' s old')}  hdop {_n(view.hdop, '', 2)}"),
        ("satellites", f"{used} used, {seen} in view"),
        ("position", f"{_n(view.lat, '', 7)} {_n(view.lon, '', 7)}"),
        ("accuracy", f"{_n(view.acc_m, ' m')} (68 %, filter)  receiver {_n(view.sigma_m, ' m')}"),
        (
            "motion",
            f"{_n(view.speed, ' m/s')}  course {_n(view.course, ' deg', 0)}  {_moves(view)}",
        ),
        ("a second", "  ".join(f"{kind} {n:g}" for kind, n in rates.items() if n) or "-"),
        ("rejected", ", ".join(f"{n} {cause}" for cause, n in view.rejected.items()) or "-"),
        ("messages", f"{view.messages}, the last {_last(view)}"),
        ("report", view.why),
    ]
    lines = [f"gps watch: {source}", ""]
    lines += [f"{name:<11}{text}" for name, text in rows]
    return "\n".join(common.plain(line) for line in lines)


def _moves(view: View) -> str:
    if view.moving is None:
        return "-"
    return f"{'moving' if view.moving else 'standing'}, fix {view.verdict}"


def _last(view: View) -> str:
    if view.last_reason is None:
        return "-"
    return f"{view.last_reason} {_n(view.last_age_s, ' s ago', 0)}"


def one_line(view: View, rates: dict[str, float]) -> str:
    parts = [
        view.mode if view.open else "not open",
        f"age {_n(view.fix_age_s, ' s')}",
        f"{_n(view.lat, '', 6)} {_n(view.lon, '', 6)}",
        f"acc {_n(view.acc_m, ' m')}",
        f"sat {view.used if view.used is not None else '-'}",
        f"{_n(view.speed, ' m/s')}",
        f"{sum(rates.values()):.0f}/s",
        view.why,
    ]
    return common.plain("  ".join(parts))
