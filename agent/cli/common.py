"""What the groups of commands share: the options, the configuration, the running agent, output."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import layers
from agent.contract.errors import NotRunning
from agent.contract.local import LINE_MAX, STORE_DEFAULT, request, result_of, socket_path
from agent.layers import ConfigError

if TYPE_CHECKING:
    from agent.config import Loaded
    from agent.words import Language, Words

DEFAULT_CONFIG = "/etc/edge-agent/config.toml"
Groups = Any  # argparse's own type for it is private


def command(
    groups: Groups, name: str, help_: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """A command with the options that every command has."""
    added: argparse.ArgumentParser = groups.add_parser(name, help=help_, description=help_)
    added.add_argument("--config", default=DEFAULT_CONFIG, metavar="F", help="configuration file")
    added.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting"
    )
    added.add_argument(
        "--lang", choices=["zh", "en"], help="language; else device.language, else as LANG says"
    )
    added.set_defaults(run=run)
    return added


def group(groups: Groups, name: str, help_: str) -> Groups:
    """A command that only has sub-commands."""
    added = groups.add_parser(name, help=help_, description=help_)
    return added.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")


def reading(added: argparse.ArgumentParser) -> argparse.ArgumentParser:
    added.add_argument("--json", action="store_true", help="as JSON, for programs")
    return added


def load(arguments: argparse.Namespace, desired: Mapping[str, Any] | None = None) -> Loaded:
    """Everything, checked."""
    from agent import config

    return config.load(Path(arguments.config), overrides=arguments.set, desired=desired)


def store_path(arguments: argparse.Namespace) -> Path:
    """Only where the store is, unchecked, because the running agent has checked the rest."""
    found = layers.read(Path(arguments.config), overrides=arguments.set)
    if found.problems:
        raise ConfigError(found.problems)
    return Path(str(found.values.get("store", {}).get("path", STORE_DEFAULT)))


def ask(arguments: argparse.Namespace, do: str, timeout_s: float = 90.0, **params: Any) -> Any:
    """One request to the running agent; raises NotRunning, or Rejected as the agent said it."""
    path = socket_path(store_path(arguments))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as unix:
        unix.settimeout(timeout_s)
        try:
            unix.connect(str(path))
            unix.sendall(request(do, params))
            with unix.makefile("rb") as lines:
                line = lines.readline(LINE_MAX)
        except OSError as error:
            raise NotRunning(
                f"no agent answers at {path} ({error}); is it running with this configuration?"
            ) from error
    return result_of(line, path)


def language(arguments: argparse.Namespace) -> Language:
    """Of what is said to people; never of JSON."""
    if getattr(arguments, "lang", None) is not None:
        chosen = arguments.lang
    elif (chosen := _of_device(arguments)) is None:
        names = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
        chosen = next(filter(None, names), "en")
    return "zh" if str(chosen).startswith("zh") and _shows_chinese() else "en"


def _of_device(arguments: argparse.Namespace) -> str | None:
    """As the configuration says, were it otherwise wrong or missing."""
    if not hasattr(arguments, "config"):
        return None
    device = layers.read(Path(arguments.config)).values.get("device", {})
    return device.get("language") if isinstance(device, dict) else None


def _shows_chinese() -> bool:
    """The kernel's own console has no Chinese characters, and not every encoding has."""
    encoding = (sys.stdout.encoding or "").lower()
    return encoding.startswith(("utf", "gb", "big5")) and os.environ.get("TERM") != "linux"


def words(arguments: argparse.Namespace) -> Words:
    from agent.words import words as catalogue

    return catalogue(language(arguments))


def show(arguments: argparse.Namespace, value: Any, text: Callable[[Any], str]) -> int:
    """Print as JSON or as text; exit status 0."""
    if arguments.json:
        print(json.dumps(value, ensure_ascii=False, indent=2))
    else:
        print(text(value))
    return 0


def plain(text: object) -> str:
    """A stranger's text without terminal escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def table(rows: list[list[object]], header: list[str]) -> str:
    """Columns of plain text."""
    cells = [[plain(cell) for cell in row] for row in rows]
    lines = [header, *cells]
    widths = [max(width(line[n]) for line in lines) for n in range(len(header))]
    return "\n".join(
        "  ".join(
            cell + " " * (w - width(cell)) for cell, w in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def width(text: str) -> int:
    """Columns of a terminal: a Chinese character takes two."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(1 + (east_asian_width(c) in "WF") for c in text if not combining(c))


def utc(t: float | None) -> str:
    """Unix milliseconds as a person reads them; nothing for None."""
    from datetime import UTC, datetime

    return "" if t is None else datetime.fromtimestamp(t / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def complain(*lines: str) -> None:
    for line in lines:
        print(f"edge-agent: {line}" if not line.startswith("  ") else line, file=sys.stderr)


def tool(
    groups: Groups, name: str, help_: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """A command of the back end's: it belongs to no device and reads no configuration of one."""
    added: argparse.ArgumentParser = groups.add_parser(name, help=help_, description=help_)
    added.set_defaults(run=run)
    return added


def is_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
