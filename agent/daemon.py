"""`edge-agent run`: the process around the app - configuration, signals, restarts."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from agent import config as configuration
from agent.app import App
from agent.config import Loaded
from agent.contract.commands import Desired
from agent.core import logs, memory
from agent.core.clock import SystemClock
from agent.core.notify import Notifier
from agent.core.tail import Tail
from agent.fleet import desired
from agent.fleet.crash import LastWords
from agent.layers import ConfigError
from agent.page.editor import Editor

log = logging.getLogger(__name__)

SETTLED_S = 10.0  # after the start; what that needed is free by then


def main(arguments: argparse.Namespace) -> int:
    """`edge-agent run`: the exit status; replaces itself by a new process for a restart."""
    memory.share_one_arena()
    tail = Tail()
    logs.setup(arguments.log_level, tail)
    path = Path(arguments.config).absolute()
    load = partial(configuration.load, path, overrides=arguments.set)
    local = load()
    store = Path(local.config.store.path)
    clock = SystemClock(trusted=local.config.device.clock == "trusted")
    words = LastWords(store.with_name(store.name + ".life"))
    wished = desired.begin(store, clock)
    loaded, left_out = _with(load, wished.in_force, local)
    if left_out and wished.trial is not None:
        wished = desired.leave_out(store, left_out)
        loaded, left_out = _with(load, wished.in_force, local)
    app = App(
        loaded.config,
        clock,
        Notifier(),
        wished=wished,
        left_out=left_out,
        problems=lambda settings: _problems(load, desired=settings),
        origin=loaded.origin,
        tail=tail,
        last=words,
        editor=Editor(path, lambda file, text: _problems(load, instead={file: text})),
    )
    try:
        asyncio.run(_run(app, load))
    except BaseException as error:
        words.crashed(error)
        raise
    words.end()
    desired.end(store)
    if app.restart:
        log.info("restarting with the new configuration")
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves
    return 0


async def _run(app: App, load: Callable[..., Loaded]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, app.stop.set)

    def reload() -> None:
        try:
            load()
        except ConfigError as error:
            log.error("configuration not reloaded: %s", "; ".join(error.problems))  # noqa: TRY400
        else:
            app.again()

    loop.add_signal_handler(signal.SIGHUP, reload)
    loop.call_later(SETTLED_S, memory.give_back)
    await app.run()


def _with(load: Callable[..., Loaded], wished: Desired | None, local: Loaded) -> tuple[Loaded, str]:
    """What is in force, and why the wish is not part of it.

    The local file may have changed since the wish was checked: then it goes first.
    """
    if wished is None:
        return local, ""
    try:
        return load(desired=wished.settings), ""
    except ConfigError as error:
        why = "it does not fit the device's own file: " + "; ".join(error.problems)
        log.error("desired configuration left out: %s", why)  # noqa: TRY400
        return local, why


def _problems(load: Callable[..., Loaded], **layers: Any) -> list[str]:
    """With these layers instead of those in force."""
    try:
        load(**layers)
    except ConfigError as error:
        return error.problems
    return []
