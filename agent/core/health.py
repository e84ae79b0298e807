"""Declared conditions instead of scattered log lines: what is wrong, since when, what to do.

A condition has a code (`printer.kitchen`), a severity, a text for people, and a grace: a condition
that goes away within its grace is never spoken of.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from agent.core.clock import Clock

log = logging.getLogger(__name__)
Severity = Literal["info", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class Condition:
    code: str
    severity: Severity
    text: str  # what happened and what to do
    t: float  # monotonic s since when
    since: float  # unix s since when
    grace_s: float = 0.0


class Health:
    """What is wrong right now. `changed` hears of each condition that came or went."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._conditions: dict[str, Condition] = {}
        self._told: set[str] = set()
        self._listeners: list[Callable[[Condition, bool], None]] = []

    def listen(self, changed: Callable[[Condition, bool], None]) -> None:
        """`changed(condition, raised)`; called from the event loop, must not wait."""
        self._listeners.append(changed)

    def set(
        self, code: str, text: str, *, severity: Severity = "warning", grace_s: float = 0.0
    ) -> None:
        """Raise a condition, or renew its text; since when it holds does not change."""
        old = self._conditions.get(code)
        t, since = (old.t, old.since) if old else (self._clock.monotonic(), self._clock.wall())
        new = Condition(code, severity, text, t, since, grace_s)
        self._conditions[code] = new
        if old is not None and code in self._told and (old.severity, old.text) != (severity, text):
            self._tell(new, raised=True)
        self.poll()

    def clear(self, code: str) -> None:
        old = self._conditions.pop(code, None)
        if old is not None and code in self._told:
            self._told.discard(code)
            self._tell(old, raised=False)

    def poll(self) -> None:
        """Tell of conditions whose grace is over; the supervisor calls this every second."""
        now = self._clock.monotonic()
        for condition in list(self._conditions.values()):
            if condition.code not in self._told and now - condition.t >= condition.grace_s:
                self._told.add(condition.code)
                self._tell(condition, raised=True)

    def conditions(self) -> Iterable[Condition]:
        """Those that hold beyond their grace, the worst first."""
        rank = {"critical": 0, "warning": 1, "info": 2}
        told = (c for c in self._conditions.values() if c.code in self._told)
        return sorted(told, key=lambda c: (rank[c.severity], c.t))

    def _tell(self, condition: Condition, *, raised: bool) -> None:
        level = {"info": logging.INFO, "warning": logging.WARNING, "critical": logging.ERROR}
        if raised:
            log.log(level[condition.severity], "%s: %s", condition.code, condition.text)
        else:
            log.info("%s: over", condition.code)
        for changed in self._listeners:
            changed(condition, raised)
