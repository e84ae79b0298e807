"""The command line: a module a group of commands, which imports what it needs when it runs."""

from __future__ import annotations

import argparse
import importlib
import io
import sys
from collections.abc import Sequence

from agent import __version__
from agent.cli import common
from agent.contract.errors import NotRunning, Rejected
from agent.layers import EXIT_CONFIG, ConfigError
from drivers.errors import DriverError

EXIT_FAILED, EXIT_USAGE = 1, 2


# Module -> its commands, in the order of the help. A call imports the module of its command alone:
# the others cost more than most commands do, and a daemon would keep them in memory.
MODULES = {
    "run": ("run", "demo"),
    "setup": ("setup",),
    "device": ("status", "watch", "doctor"),
    "fleet": ("fleet",),
    "log": ("log",),
    "bundle": ("bundle",),
    "config": ("config",),
    "page": ("page",),
    "queue": ("queue",),
    "shop": ("order", "printer", "alert", "stock", "shop", "sound", "sos"),
    "ticket": ("ticket",),
    "gps": ("gps",),
    "beacon": ("beacon",),
    "simulate": ("sim",),
    "rider": ("duty", "consent"),
    "replay": ("replay",),
    "consume": ("consume",),
    "enroll": ("enroll",),
    "ca": ("ca",),
    "update": ("update",),
    "completion": ("completion",),
    "man": ("man",),
}


def parser(first: str | None = None) -> argparse.ArgumentParser:
    """Of everything; of one module only where `first` is a command."""
    top = argparse.ArgumentParser(
        prog="edge-agent", description="The edge agent of shop and rider."
    )
    top.add_argument("--version", action="version", version=f"edge-agent {__version__}")
    groups = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    home = [module for module, commands in MODULES.items() if first in commands]
    for module in home or MODULES:
        importlib.import_module(f"agent.cli.{module}").add(groups)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0 done, 1 it failed, 2 wrong usage, 78 bad configuration."""
    given = sys.argv[1:] if argv is None else argv
    arguments = parser(given[0] if given else None).parse_args(given)
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
