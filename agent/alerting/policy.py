"""Which alert sounds when; pure.

One sound at a time, and never a backlog of sounds: what was raised while another one sounded is
spoken of once, by its newest alert. A new cause is heard next, the most urgent first; after that,
every `repeat_s` the cause that was heard longest ago. After `escalate_s` without an answer an alert
escalates: once for the back end, and louder from then on.

    (raised) -> sounding -> escalated -> acknowledged | expired
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["sounding", "escalated", "acknowledged", "expired"]
OPEN: tuple[State, ...] = ("sounding", "escalated")

# What people must hear of, the most urgent first. A cause that is not listed comes last.
CAUSES = (
    "sos",
    "printer",
    "bad_order",
    "cancelled",
    "new_order",
    "changed",
    "courier",
    "offline",
)
STAYS = ("cancelled",)  # staff must hear of it although, indeed because, its order is over


@dataclass(frozen=True, slots=True)
class Alert:
    """One that nobody has answered yet."""

    alert_id: str
    cause: str
    raised: int  # unix ms
    escalated: bool = False
    order_id: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)  # e.g. {"day_seq": 12}


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now, and how long it may take until the next look."""

    sound: Alert | None = None
    loud: bool = False  # an alert of this cause has escalated
    escalate: tuple[Alert, ...] = ()
    wait_s: float | None = None  # None: until something changes


def urgency(cause: str) -> int:
    """0 is the most urgent."""
    return CAUSES.index(cause) if cause in CAUSES else len(CAUSES)


@dataclass(slots=True)
class Policy:
    """Remembers only the rhythm; the alerts themselves are given to each look."""

    repeat_s: float
    escalate_s: float
    _since: dict[str, float] = field(default_factory=dict)  # alert_id -> monotonic s
    _late: set[str] = field(default_factory=set)  # escalated, whether or not that is stored yet
    _heard: dict[str, float] = field(default_factory=dict)  # cause -> monotonic s
    _fresh: set[str] = field(default_factory=set)  # causes with something new to say
    _last: float = -math.inf

    def look(self, now: float, wall_ms: int, alerts: Sequence[Alert]) -> Step:
        """`now` in monotonic seconds; `alerts` are all that are open. A sound that it returns
        counts as heard, whatever becomes of it."""
        self._meet(now, wall_ms, alerts)
        if not alerts:
            return Step()
        late = tuple(a for a in alerts if not a.escalated and a.alert_id in self._late)
        waits = [
            self._since[alert.alert_id] + self.escalate_s - now
            for alert in alerts
            if alert.alert_id not in self._late
        ]
        cause = self._next(now, {alert.cause for alert in alerts})
        if cause is None:
            return Step(escalate=late, wait_s=min([*waits, self._last + self.repeat_s - now]))
        self._fresh.discard(cause)
        self._heard[cause] = self._last = now
        ours = [alert for alert in alerts if alert.cause == cause]
        newest = max(ours, key=lambda alert: (alert.raised, alert.alert_id))
        loud = any(alert.alert_id in self._late for alert in ours)
        return Step(newest, loud, late, min([*waits, self.repeat_s]))

    def _meet(self, now: float, wall_ms: int, alerts: Sequence[Alert]) -> None:
        """Learn of new alerts, forget closed ones. After a restart their age is known only by
        the wall clock; one that was wrong makes an alert escalate early, never late."""
        since, late = {}, set()
        for alert in alerts:
            known = self._since.get(alert.alert_id)
            age = max(0, wall_ms - alert.raised) / 1000
            since[alert.alert_id] = began = now - age if known is None else known
            if alert.escalated or began + self.escalate_s <= now:
                late.add(alert.alert_id)
            if known is None or (alert.alert_id in late and alert.alert_id not in self._late):
                self._fresh.add(alert.cause)
        causes = {alert.cause for alert in alerts}
        self._since, self._late, self._fresh = since, late, self._fresh & causes
        self._heard = {cause: t for cause, t in self._heard.items() if cause in causes}

    def _next(self, now: float, causes: set[str]) -> str | None:
        """The cause to sound now."""
        if self._fresh:
            return min(self._fresh, key=urgency)
        if now < self._last + self.repeat_s:
            return None
        return min(causes, key=lambda cause: (self._heard.get(cause, -math.inf), urgency(cause)))
