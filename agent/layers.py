"""The layers of the configuration, before anything is checked: who says what.

Kept apart from the model, because the short commands only need one path out of it and should start
at once. Precedence: built in < file < conf.d/*.toml < remote desired < EDGE_AGENT_* < --set.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ENV_PREFIX = "EDGE_AGENT_"
REMOTE = "remote desired"  # the origin of what the back end wishes
EXIT_CONFIG = 78  # sysexits.h EX_CONFIG; the unit has RestartPreventExitStatus=78


class ConfigError(Exception):
    """The user's mistakes, all of them."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


@dataclass(slots=True)
class Layers:
    """Merged values, where each is from, and what could not be read."""

    values: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)  # dotted key -> file, variable, "--set"
    problems: list[str] = field(default_factory=list)

    def add(self, layer: Mapping[str, Any], source: str) -> None:
        _merge(self.values, layer, source, self.origin)


def read(
    path: Path | None,
    *,
    environment: Mapping[str, str] = os.environ,
    overrides: Sequence[str] = (),
    desired: Mapping[str, Any] | None = None,
    base: Mapping[str, Any] | None = None,
    instead: Mapping[Path, str] | None = None,
) -> Layers:
    """All layers over each other; nothing is validated but their syntax.

    `instead`: files of conf.d, there or not, with the text that they would have.
    """
    layers = Layers()
    layers.add(base or {}, "built in")
    if path is not None:
        layers.add(_read(path, layers.problems), str(path))
        drafts = instead or {}
        for extra in sorted({*(path.parent / "conf.d").glob("*.toml"), *drafts}):
            layers.add(_read(extra, layers.problems, drafts.get(extra)), str(extra))
    layers.add(desired or {}, REMOTE)
    for name, text in sorted(environment.items()):
        if name.startswith(ENV_PREFIX):
            key = name.removeprefix(ENV_PREFIX).lower().replace("__", ".")
            layers.add(_nest(key, _value(text)), name)
    for override in overrides:
        key, equals, text = override.partition("=")
        if equals:
            layers.add(_nest(key.strip(), _value(text)), "--set")
        else:
            layers.problems.append(
                f"--set {override}: write KEY=VALUE, e.g. --set position.moving_s=0"
            )
    return layers


def _read(path: Path, problems: list[str], draft: str | None = None) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8") if draft is None else draft)
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        problems.append(f"{path}: is not UTF-8 text")
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{path}: is not TOML: {error}")
    return {}


def _value(text: str) -> Any:
    """A TOML value where it is one, else the text itself."""
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def _nest(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    result: dict[str, Any] = value
    return result


def _merge(
    into: dict[str, Any],
    layer: Mapping[str, Any],
    source: str,
    origin: dict[str, str],
    at: str = "",
) -> None:
    """Tables merge key by key; anything else, lists too, replaces what was there."""
    for key, value in layer.items():
        where = f"{at}.{key}" if at else key
        if isinstance(value, Mapping) and isinstance(into.get(key, {}), dict):
            _merge(into.setdefault(key, {}), value, source, origin, where)
        else:
            into[key] = value
            origin[where] = source
