"""The command line: a module a group of commands, which imports what it needs when it runs."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence

from agent import __version__
from agent.cli import common, run
from agent.contract.errors import NotRunning, Rejected
from agent.layers import EXIT_CONFIG, ConfigError
from drivers.errors import DriverError

EXIT_FAILED, EXIT_USAGE = 1, 2


def parser(*, alone: bool = False) -> argparse.ArgumentParser:
    """`alone`: of `run` and `demo` only; a daemon keeps no command line in memory."""
    top = argparse.ArgumentParser(
        prog="edge-agent", description="The edge agent of shop and rider."
    )
    top.add_argument("--version", action="version", version=f"edge-agent {__version__}")
    groups = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run.add(groups)
    if not alone:
        _others(groups)
    return top


def _others(groups: common.Groups) -> None:
    from agent.cli import (
        beacon,
        bundle,
        ca,
        completion,
        config,
        consume,
        device,
        enroll,
        fleet,
        gps,
        log,
        man,
        page,
        queue,
        replay,
        rider,
        setup,
        shop,
        ticket,
        update,
    )

    for module in (
        setup,
        device,
        fleet,
        log,
        bundle,
        config,
        page,
        queue,
        shop,
        ticket,
        gps,
        beacon,
        rider,
        replay,
        consume,
        enroll,
        ca,
        update,
        completion,
        man,
    ):
        module.add(groups)


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0 done, 1 it failed, 2 wrong usage, 78 bad configuration."""
    given = sys.argv[1:] if argv is None else argv
    arguments = parser(alone=given[:1] == ["run"]).parse_args(given)
    for stream in (sys.stdout, sys.stderr):  # a character that it lacks is no reason to fail
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status: int = arguments.run(arguments)
    except ConfigError as error:
        words = common.words(arguments)
        lines = (f"  {common.plain(words.of(problem))}" for problem in error.problems)
        common.complain(words.say("the configuration has problems:"), *lines)
        return EXIT_CONFIG
    except (Rejected, DriverError, NotRunning) as error:
        common.complain(common.plain(common.words(arguments).of(str(error))))
        return EXIT_FAILED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe had enough
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130
    return status
