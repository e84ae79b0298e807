"""`setup`: from a fresh device to a configuration that works, in either language.

Asked once, tried at once, written at the end in one piece; Ctrl-C writes nothing and the next call
goes on where this one stopped. With `--answers` or flags it asks nobody.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from agent.cli import common
from agent.cli.asking import Stopped, at_terminal
from agent.layers import ConfigError

FLAGS = ("role", "id", "site", "url", "ca", "receiver")
STOPPED = 130


def add(groups: common.Groups) -> None:
    setup = common.command(groups, "setup", "Set a new device up, by questions or a file.", _setup)
    setup.add_argument("--answers", metavar="F.toml", help="answers beforehand; asks nobody")
    setup.add_argument("--role", choices=["shop", "rider"])
    setup.add_argument("--id", metavar="ID", help="this device's name for the back end")
    setup.add_argument("--site", metavar="SITE", help="where it belongs")
    setup.add_argument("--url", metavar="URL", help="the broker, as mqtts://HOST")
    setup.add_argument("--ca", metavar="F", help="PEM file to check the broker by")
    setup.add_argument("--code", metavar="CODE", help="for its certificate: edge-agent ca code")
    setup.add_argument(
        "--printer", action="append", metavar="NAME=URI", help="a ticket printer; again for more"
    )
    setup.add_argument("--receiver", metavar="gpsd|DEVICE", help="a rider's GPS receiver")
    setup.add_argument("--yes", action="store_true", help="ask nobody; replace what is there")


def _setup(arguments: argparse.Namespace) -> int:
    given = _given(arguments)
    unattended = bool(arguments.answers or arguments.yes)
    if not unattended and not at_terminal():
        words = common.words(arguments)
        common.complain(words.say("there is no terminal to ask at: use --answers F.toml or --yes"))
        return 2
    from agent.cli.wizard import Wizard

    wizard = Wizard(
        Path(arguments.config), given, common.language(arguments), unattended, arguments
    )
    try:
        return wizard.run()
    except (KeyboardInterrupt, Stopped):
        wizard.keep()
        return STOPPED


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """Flags over the file; raises ConfigError with all that is wrong."""
    found = _file(arguments.answers) if arguments.answers else {}
    for key in FLAGS:
        if (value := getattr(arguments, key)) is not None:
            found[key] = value
    if arguments.lang:
        found["language"] = arguments.lang
    if arguments.printer:
        found["printers"] = [_printer(text) for text in arguments.printer]
    return found


def _printer(text: str) -> dict[str, str]:
    name, equals, uri = text.partition("=")
    if not equals or "://" not in uri:
        raise ConfigError([f"--printer {text}: write NAME=URI, as kitchen=tcp://192.0.2.9"])
    return {"name": name, "uri": uri}


def _file(name: str) -> dict[str, Any]:
    import tomllib

    from agent.cli.draft import KEYS
    from agent.shapes import hint

    try:
        found = tomllib.loads(Path(name).read_text("utf-8"))
    except OSError as error:
        raise ConfigError([f"{name}: cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{name}: is not TOML: {error}"]) from error
    if unknown := sorted(set(found) - KEYS):
        wrong = [f"{name}: there is no answer {key!r}{hint(key, sorted(KEYS))}" for key in unknown]
        raise ConfigError(wrong)
    return found
