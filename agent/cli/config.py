"""`config check|show|schema`."""

from __future__ import annotations

import argparse
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli import common, ticket
from agent.layers import ConfigError

if TYPE_CHECKING:
    from agent.config import Loaded


def add(groups: common.Groups) -> None:
    sub = common.group(groups, "config", "Check and show the configuration.")
    common.command(sub, "check", "Say everything that is wrong with it.", _check)
    show = common.command(sub, "show", "Show the configuration in force.", _show)
    common.reading(show).add_argument("--origin", action="store_true", help="where each is from")
    common.command(sub, "schema", "Print its JSON Schema, for editors.", _schema)


def _check(arguments: argparse.Namespace) -> int:
    loaded = common.load(arguments)
    if wrong := ticket.problems(loaded.config):
        raise ConfigError(wrong)
    print(f"{arguments.config}: good, for a {loaded.config.role} {loaded.config.device.id}")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    import msgspec

    loaded = _in_force(arguments)
    values = dict(_flat(msgspec.to_builtins(loaded.config), ""))
    if arguments.json:
        origin = {key: loaded.origin.get(key, "default") for key in values}
        print(json.dumps({"settings": values, "origin": origin}, ensure_ascii=False, indent=2))
        return 0
    for key, value in values.items():
        line = f"{key} = {json.dumps(value, ensure_ascii=False)}"
        print(f"{line}   # {loaded.origin.get(key, 'default')}" if arguments.origin else line)
    return 0


def _in_force(arguments: argparse.Namespace) -> Loaded:
    """With what the back end wishes, if it still fits the local file; as `run` does it."""
    from agent.fleet import desired

    local = common.load(arguments)
    wished = desired.stored(Path(local.config.store.path))
    if wished is None:
        return local
    with contextlib.suppress(ConfigError):
        return common.load(arguments, wished.settings)
    return local


def _schema(_arguments: argparse.Namespace) -> int:
    print(schema())
    return 0


def schema() -> str:
    """The JSON Schema of the configuration file, as text."""
    import msgspec

    from agent.config import Config

    return json.dumps(msgspec.json.schema(Config), indent=2, ensure_ascii=False)


def _flat(value: Any, at: str) -> list[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        return [
            pair
            for key, item in value.items()
            for pair in _flat(item, f"{at}.{key}" if at else key)
        ]
    return [(at, value)]
