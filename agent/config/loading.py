"""From files, environment and command line to a checked model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from agent import layers
from agent.config.model import Config, check
from agent.layers import ConfigError


class Loaded(msgspec.Struct, frozen=True):
    config: Config
    origin: dict[str, str]  # dotted key -> file, environment variable or "--set"


def load(
    path: Path | None,
    *,
    environment: Mapping[str, str] = os.environ,
    overrides: Sequence[str] = (),
    desired: Mapping[str, Any] | None = None,
    base: Mapping[str, Any] | None = None,
    instead: Mapping[Path, str] | None = None,
) -> Loaded:
    """The configuration in force, or ConfigError with every problem in it."""
    found = layers.read(
        path,
        environment=environment,
        overrides=overrides,
        desired=desired,
        base=base,
        instead=instead,
    )
    problems = found.problems or check(found.values)
    if problems:
        raise ConfigError(problems)
    return Loaded(msgspec.convert(found.values, Config), found.origin)
