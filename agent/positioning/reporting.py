"""Decides what the server must hear of: it hears again when its own picture would be wrong.

Server and device extrapolate the last message in the same way (geodesy.extrapolate). The device
compares that picture with every estimate, and with every fix that the estimate does not refute, and
sends a new message once it is off by `max_error_m`, so between two messages it never is. The
prediction uses the values as published, after rounding.

The published velocity is the one that will serve the coming seconds: a rider who is turning or
braking goes on doing so for about another second (LEAD_S), which saves a tenth of the messages.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import hypot
from typing import Literal

from agent.positioning.geodesy import distance_m, extrapolate, moved, offset_m, turn_deg
from agent.positioning.profiles import Profile
from agent.positioning.tracker import Estimate

Reason = Literal["start", "moved", "turned", "heartbeat", "stop", "wake", "fence", "trace"]

ROUNDING_M = 0.02  # a time in whole ms moves a fast rider by this
STILL_MS = 0.5  # slower is published as standing: noise has no course
TURNED_DEG = 30.0
WAKE_S = 30.0  # silence after which a message says that we are back
LEAD_S = 1.0
LEAD_TURN_MAX_DEG = 45.0
REFUTED = 1.8  # limits between fix and estimate: no message could be right about both
REFUTED_STILL_M = 5.0  # who stands does not move: a fix that does is a reflection
NEAR = 0.9  # limits at most between a message and the fix that it must be right about


@dataclass(frozen=True, slots=True)
class Report:
    """A message for the server, rounded as it is published."""

    t: float  # monotonic s of the fix
    lat: float
    lon: float
    speed: float
    course: float | None
    acc: float
    reason: Reason

    def believed_at(self, t: float) -> tuple[float, float]:
        """Where the server believes the rider to be."""
        return extrapolate(self.lat, self.lon, self.speed, self.course, t - self.t)


@dataclass(slots=True)
class Reporting:
    """`react` to every estimate; `force` when something else must be told of at once."""

    profile: Profile  # may be exchanged at any time
    _told: Report | None = None
    _seen: Estimate | None = None
    _recent: deque[Estimate] = field(default_factory=lambda: deque(maxlen=64))

    def react(self, now: Estimate) -> Report | None:
        reason = self._reason(now)
        self._remember(now)
        return None if reason is None else self.force(now, reason)

    def force(self, now: Estimate, reason: Reason) -> Report:
        """A message about this estimate, whatever the server believes."""
        speed, course = self._velocity(now)
        if reason in {"moved", "heartbeat"}:
            reason = self._kind(reason, speed, course)
        lat, lon = self._place(now)
        self._told = Report(
            now.t, round(lat, 7), round(lon, 7), speed, course, round(now.acc, 1), reason
        )
        return self._told

    def replaced(self, newest: Report) -> None:
        """What was told is told anew, and this is the newest of it: the server goes by that now."""
        if self._told is None or newest.t >= self._told.t:
            self._told = newest

    def _reason(self, now: Estimate) -> Reason | None:
        told = self._told
        if told is None or (self._seen is not None and now.t - self._seen.t > WAKE_S):
            return "wake"
        limit = self.profile.max_error_m - ROUNDING_M
        lat, lon = told.believed_at(now.t)
        if distance_m(lat, lon, now.lat, now.lon) >= limit:
            return "moved"
        if (fix := self._unrefuted(now)) is not None and distance_m(lat, lon, *fix) >= limit:
            return "moved"
        if told.speed > 0 and not now.moving:
            return "stop"
        beat = self.profile.moving_s if now.moving else self.profile.still_s
        return "heartbeat" if 0 < beat <= now.t - told.t + 0.05 else None

    def _unrefuted(self, now: Estimate) -> tuple[float, float] | None:
        """The fix itself, where it is another place than the estimate but may be right."""
        lat, lon = now.fix.lat, now.fix.lon
        if now.verdict != "filtered" or lat is None or lon is None:
            return None
        most = REFUTED * self.profile.max_error_m if now.moving else REFUTED_STILL_M
        return (lat, lon) if distance_m(now.lat, now.lon, lat, lon) <= most else None

    def _place(self, now: Estimate) -> tuple[float, float]:
        """The estimate, moved towards the fix as far as this one needs."""
        fix = self._unrefuted(now)
        if fix is None:
            return now.lat, now.lon
        east, north = offset_m(now.lat, now.lon, *fix)
        share = 1 - NEAR * self.profile.max_error_m / max(hypot(east, north), ROUNDING_M)
        return (
            moved(now.lat, now.lon, east * share, north * share)
            if share > 0
            else (now.lat, now.lon)
        )

    def _kind(self, reason: Reason, speed: float, course: float | None) -> Reason:
        """What is new to the server in a message that its error or the time made necessary."""
        told = self._told
        assert told is not None
        if (told.speed > 0) != (speed > 0):
            return "start" if speed > 0 else "stop"
        if reason == "heartbeat":
            return reason
        if told.course is None or course is None or turn_deg(told.course, course) < TURNED_DEG:
            return "moved"
        return "turned"

    def _remember(self, now: Estimate) -> None:
        recent = self._recent
        recent.append(now)
        while len(recent) > 1 and recent[1].t <= now.t - 0.9 * LEAD_S:
            recent.popleft()
        self._seen = now

    def _velocity(self, now: Estimate) -> tuple[float, float | None]:
        """Speed and course as published."""
        speed, course = self._lead(now)
        if course is None or speed < STILL_MS:
            return 0.0, None
        return round(speed, 2), round(course, 1) % 360

    def _lead(self, now: Estimate) -> tuple[float, float | None]:
        """Speed and course LEAD_S ahead, if the turn and the braking of the last second go on."""
        before = self._recent[0] if self._recent else now
        dt = now.t - before.t
        if now.course is None or not 0.5 < dt < 3.0:
            return now.speed, now.course
        speed = max(0.0, now.speed + (now.speed - before.speed) / dt * LEAD_S)
        if before.course is None:
            return speed, now.course
        turn = ((now.course - before.course + 180) % 360 - 180) / dt * LEAD_S
        turn = min(max(turn, -LEAD_TURN_MAX_DEG), LEAD_TURN_MAX_DEG)
        return speed, (now.course + turn) % 360
