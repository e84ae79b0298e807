"""What sections are made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
Duration = Annotated[str, Meta(pattern=r"^[0-9]+(ms|s|m|h|d)$")]


def says(meaning: str) -> Meta:
    """What a setting is for; from here it gets into docs/configuration.md and the JSON Schema."""
    return Meta(description=meaning)


# The settings of one driver, in a sub-table of its name, e.g. [position.serial].
OfDriver = Annotated[dict[str, Any], says("settings of that driver, see docs/drivers.md")]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every section; an unknown key is a mistake, not an extension."""


def seconds(duration: str) -> float:
    """`30m` -> 1800.0"""
    match = re.fullmatch(r"([0-9]+)(ms|s|m|h|d)", duration)
    assert match is not None, duration
    unit = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}[match[2]]
    return int(match[1]) * unit


def twice(names: Sequence[str]) -> list[str]:
    """The names that stand there more than once."""
    return sorted({name for name in names if names.count(name) > 1})
