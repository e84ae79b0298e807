"""What can be checked of a device without asking its agent: the doctor's and the page's checks.

A check is a function from the configuration to findings; it opens nothing that a running agent may
hold. Its module is imported when it is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from agent.config import Config

Fix = Literal["folder", "mode", "socket", "retry", "resume"]


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    ok: bool
    text: str  # what is so, and behind an arrow what to do
    since: int | None = None  # unix ms, where it is known
    fix: Fix | None = None  # what `doctor --fix` can do about it
    about: str = ""  # ... to what: a path, a printer


Check = Callable[[Config], Iterator[Finding]]

# In the order in which one thing explains the next.
CHECKS: dict[str, str] = {
    "config": "machine",
    "power": "machine",
    "heat": "machine",
    "clock": "machine",
    "disk": "files",
    "folders": "files",
    "secrets": "files",
    "database": "files",
    "queue": "files",
    "socket": "files",
    "wifi": "network",
    "broker": "network",
    "certificates": "network",
    "groups": "devices",
    "printers": "devices",
    "fonts": "devices",
    "sound": "devices",
    "receiver": "devices",
    "bluetooth": "devices",
    "gpio": "devices",
}


def named(name: str) -> Check:
    """The check of that name; KeyError when there is none."""
    module = importlib.import_module(f"{__name__}.{CHECKS[name]}")
    found: Check = getattr(module, name)
    return found


def all_of(config: Config, names: Sequence[str] = tuple(CHECKS)) -> list[Finding]:
    """Blocks for some seconds where a broker does not answer."""
    return [finding for name in names for finding in named(name)(config)]
