"""`config check|show|diff|schema`."""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli import common, ticket
from agent.layers import ConfigError

if TYPE_CHECKING:
    from agent.config import Loaded
    from agent.fleet.trial import Standing


def add(groups: common.Groups) -> None:
    sub = common.group(groups, "config", "Check and show the configuration.")
    common.command(sub, "check", "Say everything that is wrong with it.", _check)
    show = common.command(sub, "show", "Show the configuration in force.", _show)
    common.reading(show).add_argument("--origin", action="store_true", help="where each is from")
    diff = common.command(sub, "diff", "What is wished from afar, in the file, in force.", _diff)
    common.reading(diff)
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


def _diff(arguments: argparse.Namespace) -> int:
    """Every setting that is wished, or set otherwise than the file says."""
    import msgspec

    from agent import layers
    from agent.fleet import desired

    local = common.load(arguments)
    standing = desired.standing(Path(local.config.store.path))
    wish = standing.waiting or standing.in_force
    in_force = _in_force(arguments)
    values = dict(_flat(msgspec.to_builtins(in_force.config), ""))
    file = dict(_flat(layers.read(Path(arguments.config), environment={}).values, ""))
    wished = dict(_flat(wish.settings, "")) if wish is not None and wish.settings else {}
    changed = {key for key in in_force.origin if key in values and key not in file}
    rows = [
        {
            "setting": key,
            "wished": wished.get(key),
            "file": file.get(key),
            "in_force": values.get(key),
            "from": in_force.origin.get(key, "default"),
        }
        for key in sorted(wished.keys() | changed | _overridden(in_force.origin, file))
    ]
    verdict = standing.verdict
    found = {
        "version": wish.version if wish else None,
        "state": _state(standing),
        "error": verdict.error if verdict else None,
        "settings": rows,
    }
    return common.show(arguments, found, _diff_text)


def _overridden(origin: Mapping[str, str], file: Mapping[str, Any]) -> set[str]:
    """What the file says, and the environment or the command line says otherwise."""
    return {
        key for key in file if origin.get(key, "").startswith(("EDGE_AGENT_", "--set", "remote"))
    }


def _state(standing: Standing) -> str:
    if standing.verdict is not None:
        return standing.verdict.state
    if standing.waiting is not None:
        return "waiting"
    if standing.in_force is None:
        return "nothing is wished"
    return "on trial" if standing.trial else "in force"


def _diff_text(found: dict[str, Any]) -> str:
    version = "" if found["version"] is None else f"version {found['version']}: "
    lines = [f"{version}{found['state']}" + (f"; {found['error']}" if found["error"] else "")]
    header = ["setting", "wished", "file", "in force", "from"]

    def cell(value: Any) -> str:
        return "" if value is None else json.dumps(value, ensure_ascii=False)

    rows: list[list[object]] = [
        [row["setting"], cell(row["wished"]), cell(row["file"]), cell(row["in_force"]), row["from"]]
        for row in found["settings"]
    ]
    if rows:
        lines.append(common.table(rows, header))
    return "\n".join([common.plain(lines[0]), *lines[1:]])


def _schema(_arguments: argparse.Namespace) -> int:
    print(schema())
    return 0


def schema() -> str:
    """The JSON Schema of the configuration file, as text."""
    import msgspec

    from agent.config import Config

    return json.dumps(tidy(msgspec.json.schema(Config)), indent=2, ensure_ascii=False)


def tidy(schema: Any) -> Any:
    """Descriptions on one line: Python 3.13 takes the indentation off docstrings, 3.11 does not."""
    if isinstance(schema, list):
        return [tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: " ".join(value.split()) if key == "description" and isinstance(value, str)
        else tidy(value)
        for key, value in schema.items()
    }  # fmt: skip


def _flat(value: Any, at: str) -> list[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        return [
            pair
            for key, item in value.items()
            for pair in _flat(item, f"{at}.{key}" if at else key)
        ]
    return [(at, value)]
