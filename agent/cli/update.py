"""`edge-agent update`: ask for a release, serve the request, publish releases."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli import common
from agent.contract.errors import Rejected

if TYPE_CHECKING:
    from agent.config import Config
    from agent.fleet.publishing import Repository

AGENT_USER = "edge-agent"
RESTART = "systemctl --no-block restart edge-agent.service"


def add(groups: common.Groups) -> None:
    update = common.group(groups, "update", "Releases: ask for one, see what became of it.")
    start = common.command(update, "start", "Ask for a release.", _start)
    start.add_argument("version")
    common.reading(common.command(update, "status", "The slots and the last update.", _status))
    run = common.command(update, "run", "Serve a request; systemd starts it.", _run)
    run.add_argument("--user", default=AGENT_USER, help="whom the agent runs as; '' for yourself")
    run.add_argument("--restart", default=RESTART, metavar="COMMAND", help="restarts the agent")
    _add_publishing(update)


def _add_publishing(update: common.Groups) -> None:
    publish = common.group(update, "publish", "Releases as their publisher makes them.")
    init = common.command(publish, "init", "New keys and an empty repository.", _init)
    add_ = common.command(publish, "add", "Sign a release and add it.", _add)
    withdraw = common.command(publish, "withdraw", "Offer a release no longer.", _withdraw)
    refresh = common.command(publish, "refresh", "Say again that this is the newest.", _refresh)
    for one in (init, add_, withdraw, refresh):
        one.add_argument("repository", type=Path, help="folder that a web server serves")
        one.add_argument("--keys", type=Path, required=True, metavar="FOLDER", help="private keys")
    for one in (add_, withdraw):
        one.add_argument("version")
    add_.add_argument(
        "--wheels",
        action="append",
        required=True,
        metavar="PLATFORM=FOLDER",
        help="e.g. cp311-aarch64=wheels/pi; all that this platform needs; may be given again",
    )


# --- on a device ----------------------------------------------------------------------------------


def _start(arguments: argparse.Namespace) -> int:
    print(common.ask(arguments, "update.start", version=arguments.version)["request"])
    return 0


def _status(arguments: argparse.Namespace) -> int:
    return common.show(arguments, common.ask(arguments, "update.status"), _as_text)


def _as_text(status: dict[str, Any]) -> str:
    rows: list[list[object]] = [[key, value or "none"] for key, value in status.items()]
    return common.table(rows, ["update", ""])


def _run(arguments: argparse.Namespace) -> int:
    from threading import Event

    from agent.config import seconds
    from agent.core.clock import SystemClock
    from agent.fleet.box import box_of
    from agent.fleet.releases import Releases
    from agent.fleet.slots import Slots
    from agent.fleet.updating import Machine, Updating

    config = common.load(arguments).config
    if (section := config.update) is None:
        raise Rejected("no_update", "[update] is not set; say where releases come from")
    state = Path(section.state)
    clock = SystemClock(trusted=config.device.clock == "trusted")
    updating = Updating(
        Slots(Path(section.slots), state),
        Releases(section.url, Path(section.root), state),
        Machine(
            restart=lambda: _restart(arguments.restart.split()),
            reachable=lambda: _reachable(config),
            clock_is_set=lambda: clock.quality() != "none",
            monotonic=clock.monotonic,
            sleep=lambda seconds: bool(Event().wait(seconds)),
        ),
        box=box_of(Path(config.store.path)),
        config=Path(arguments.config),
        user=arguments.user or None,
        deadline_s=seconds(section.deadline),
    )
    result = updating.run()
    if result is None:
        print("nothing was asked for")
        return 0
    print(f"{result.version} {result.outcome}{': ' if result.reason else ''}{result.reason}")
    return 0 if result.outcome == "kept" else 1


def _restart(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - root's own
    if done.returncode != 0:  # the launcher counts starts, and the deadline goes on
        common.complain(f"{' '.join(command)}: {done.stderr.strip()}")


def _reachable(config: Config) -> bool:
    """Does a broker's port answer, through TLS where it is used? No MQTT: that would end the
    agent's own connection."""
    import asyncio

    from agent.fleet.identity import tls_files
    from agent.uplink.dial import Dialler
    from agent.uplink.values import LinkSettings

    uplink = config.uplink
    settings = LinkSettings(
        uplink.url, config.device.id, files=lambda: tls_files(config), tls_min=uplink.tls_min
    )

    async def dial() -> bool:
        for url in (uplink.url, *uplink.fallbacks):
            try:
                (await Dialler(settings).dial(url)).close()
            except OSError:
                continue
            return True
        return False

    return asyncio.run(dial())


# --- at the publisher's ---------------------------------------------------------------------------


def _repository(arguments: argparse.Namespace) -> Repository:
    from datetime import UTC, datetime

    from agent.core.clock import SystemClock
    from agent.fleet.publishing import Repository

    now = datetime.fromtimestamp(SystemClock().wall(), UTC)
    return Repository(arguments.repository, arguments.keys, now)


def _init(arguments: argparse.Namespace) -> int:
    trusted = _repository(arguments).init()
    print(f"devices have to trust {trusted}: install it as [update] root on each of them")
    return 0


def _add(arguments: argparse.Namespace) -> int:
    wheels = {}
    for given in arguments.wheels:
        platform, equals, folder = given.partition("=")
        if not equals:
            raise Rejected("invalid", f"--wheels {given}: write PLATFORM=FOLDER")
        wheels[platform] = sorted(Path(folder).glob("*.whl"))
    _repository(arguments).add(arguments.version, wheels)
    print(f"release {arguments.version} is offered")
    return 0


def _withdraw(arguments: argparse.Namespace) -> int:
    _repository(arguments).withdraw(arguments.version)
    return 0


def _refresh(arguments: argparse.Namespace) -> int:
    _repository(arguments).refresh()
    return 0
