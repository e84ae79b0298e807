"""`status`, `watch` and `doctor`: how the device is."""

from __future__ import annotations

import argparse

from agent.cli import common


def add(groups: common.Groups) -> None:
    common.reading(common.command(groups, "status", "How the running agent is.", _status))
    watch = common.command(groups, "watch", "The same and the orders, live on one screen.", _watch)
    watch.add_argument("--every", type=_pause, default=1.0, metavar="SECONDS")
    watch.add_argument("--count", type=int, metavar="N", help="end after so many; else Ctrl-C")
    doctor = common.command(groups, "doctor", "Check this device and say what to do.", _doctor)
    common.reading(doctor).add_argument(
        "--only", action="append", default=[], metavar="CHECK", help="these checks; comma or again"
    )
    doctor.add_argument("--fix", action="store_true", help="set right what is safe to set right")
    doctor.add_argument("--yes", action="store_true", help="with --fix: do not ask")


def _pause(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0.1 to 3600")
    return seconds


def _status(arguments: argparse.Namespace) -> int:
    from agent.cli.view import text

    return common.show(
        arguments,
        common.ask(arguments, "status"),
        lambda status: text(status, common.words(arguments)),
    )


def _watch(arguments: argparse.Namespace) -> int:
    from agent.cli.watch import main

    return main(arguments)


def _doctor(arguments: argparse.Namespace) -> int:
    from agent.cli.doctor import main

    return main(arguments)
