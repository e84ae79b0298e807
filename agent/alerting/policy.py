"""Which alert sounds when; pure.

One sound at a time, and never a backlog of sounds: what was raised while another one sounded is
spoken of once, by its newest alert. A new cause is heard next, the most urgent first; after that,
every `repeat_s` the cause that was heard longest ago. At each of `escalate_s` without an answer an
alert escalates by one level: told to the back end once, and more insistent from then on.
In quiet hours only what cannot wait is heard; the rest is when they are over.

    (raised) -> sounding -> escalated -> acknowledged | expired
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

State = Literal["sounding", "escalated", "acknowledged", "expired"]
OPEN: tuple[State, ...] = ("sounding", "escalated")

# What people must hear of, the most urgent first. A cause that is not listed comes last.
CAUSES = (
    "sos",
    "printer",
    "bad_order",
    "cancelled",
    "conflict",
    "new_order",
    "refund",
    "urged",
    "due",
    "changed",
    "courier",
    "low_stock",
    "auto_accepted",
    "offline",
)
STAYS = ("cancelled", "refund")  # to be heard although, indeed because, the order is over
ONCE = ("auto_accepted",)  # worth a sound, but nobody needs to answer
ALWAYS = ("sos",)  # also in quiet hours


@dataclass(frozen=True, slots=True)
class Alert:
    """One that nobody has answered yet."""

    alert_id: str
    cause: str
    raised: int  # unix ms
    level: int = 0  # so often it escalated
    order_id: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)  # e.g. {"day_seq": 12}

    @property
    def escalated(self) -> bool:
        return self.level > 0


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now, and how long it may take until the next look."""

    sound: Alert | None = None
    level: int = 0  # to which an alert of this cause has escalated
    escalate: tuple[Alert, ...] = ()  # with their new level
    wait_s: float | None = None  # None: until something changes


def siren(level: int, levels: int) -> bool:
    """Whether a sound of this level is the siren with the buzzer: from the second on, or the last
    one where there is but one. Before it is only louder."""
    return level >= min(2, levels) > 0


def insistent_s(escalate_s: Sequence[float] | float) -> float | None:
    """After so long without an answer it is the siren; None: never."""
    steps = sorted(escalate_s) if isinstance(escalate_s, Sequence) else [escalate_s]
    return steps[min(2, len(steps)) - 1] if steps else None


def urgency(cause: str) -> int:
    """0 is the most urgent."""
    return CAUSES.index(cause) if cause in CAUSES else len(CAUSES)


@dataclass(slots=True)
class Policy:
    """Remembers only the rhythm; the alerts themselves are given to each look."""

    repeat_s: float
    escalate_s: Sequence[float]  # rising
    _since: dict[str, float] = field(default_factory=dict)  # alert_id -> monotonic s
    _level: dict[str, int] = field(default_factory=dict)  # alert_id -> level, stored yet or not
    _heard: dict[str, float] = field(default_factory=dict)  # cause -> monotonic s
    _fresh: set[str] = field(default_factory=set)  # causes with something new to say
    _last: float = -math.inf

    def look(
        self, now: float, wall_ms: int, alerts: Sequence[Alert], *, quiet: bool = False
    ) -> Step:
        """`now` in monotonic seconds; `alerts` are all that are open. A sound that it returns
        counts as heard, whatever becomes of it."""
        self._meet(now, wall_ms, alerts)
        if not alerts:
            return Step()
        late = tuple(
            replace(alert, level=self._level[alert.alert_id])
            for alert in alerts
            if self._level[alert.alert_id] > alert.level
        )
        waits = [
            self._since[alert.alert_id] + self.escalate_s[level] - now
            for alert in alerts
            if (level := self._level[alert.alert_id]) < len(self.escalate_s)
        ]
        audible = {alert.cause for alert in alerts if not quiet or alert.cause in ALWAYS}
        cause = self._next(now, audible)
        if cause is None:
            if audible:
                waits.append(self._last + self.repeat_s - now)
            return Step(escalate=late, wait_s=min(waits, default=None))
        self._fresh.discard(cause)
        self._heard[cause] = self._last = now
        ours = [alert for alert in alerts if alert.cause == cause]
        newest = max(ours, key=lambda alert: (alert.raised, alert.alert_id))
        level = max(self._level[alert.alert_id] for alert in ours)
        return Step(newest, level, late, min([*waits, self.repeat_s]))

    def _meet(self, now: float, wall_ms: int, alerts: Sequence[Alert]) -> None:
        """Learn of new alerts, forget closed ones. After a restart their age is known only by
        the wall clock; one that was wrong makes an alert escalate early, never late."""
        since, levels = {}, {}
        for alert in alerts:
            known = self._since.get(alert.alert_id)
            age = max(0, wall_ms - alert.raised) / 1000
            since[alert.alert_id] = began = now - age if known is None else known
            level = max(alert.level, sum(began + after <= now for after in self.escalate_s))
            levels[alert.alert_id] = level
            if known is None or level > self._level[alert.alert_id]:
                self._fresh.add(alert.cause)
        causes = {alert.cause for alert in alerts}
        self._since, self._level, self._fresh = since, levels, self._fresh & causes
        self._heard = {cause: t for cause, t in self._heard.items() if cause in causes}

    def _next(self, now: float, causes: set[str]) -> str | None:
        """The cause to sound now."""
        if fresh := self._fresh & causes:
            return min(fresh, key=urgency)
        if not causes or now < self._last + self.repeat_s:
            return None
        return min(causes, key=lambda cause: (self._heard.get(cause, -math.inf), urgency(cause)))
