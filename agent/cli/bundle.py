"""`bundle`: one file for a support engineer."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import common
from agent.contract.errors import NotRunning, Rejected
from agent.layers import ConfigError

if TYPE_CHECKING:
    from agent.bundle import Told

ASK_S = 10.0


def add(groups: common.Groups) -> None:
    added = common.command(groups, "bundle", "One file for support, without secrets.", _bundle)
    added.add_argument("--out", metavar="F.tar.gz", help="default: edge-agent-DEVICE-TIME.tar.gz")


def _bundle(arguments: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from agent.bundle import collect
    from agent.core.clock import SystemClock

    words, clock = common.words(arguments), SystemClock()
    config, problems = None, []
    try:
        config = common.load(arguments).config
    except ConfigError as error:  # it is then what support must see
        problems = error.problems
    data = collect(
        config,
        clock,
        config_file=Path(arguments.config),
        problems=problems,
        told=_told(arguments),
    )
    stamp = datetime.fromtimestamp(clock.wall(), UTC).strftime("%Y%m%d-%H%M%S")
    name = config.device.id if config else "broken"
    path = Path(arguments.out or f"edge-agent-{name}-{stamp}.tar.gz")
    _write(path, data)
    size = max(1, len(data) >> 10)
    print(words.say("{path}: {size} KB, without secrets; send it to support", path=path, size=size))
    return 0


def _told(arguments: argparse.Namespace) -> Told:
    from agent.bundle import Told

    try:
        status = common.ask(arguments, "status", timeout_s=ASK_S)
        log = common.ask(arguments, "log.tail", timeout_s=ASK_S, limit=500)
    except (NotRunning, Rejected, ConfigError) as error:
        return Told(trouble=str(error))
    return Told(status, log["lines"])


def _write(path: Path, data: bytes) -> None:
    """For who made it; DriverError where it cannot be."""
    from drivers.errors import DriverError

    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(number, "wb") as file:  # noqa: PTH123 - of a descriptor
            file.write(data)
    except OSError as error:
        raise DriverError(f"{path} cannot be written: {error.strerror}") from error
