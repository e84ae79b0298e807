"""What a person sees who watches a receiver: its newest fix, what became of it, and why.

The daemon keeps one beside its policies, `gps watch` one beside the very same policies of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from agent.positioning.geodesy import distance_m
from agent.positioning.profiles import Profile
from agent.positioning.reporting import Report
from agent.positioning.tracker import Estimate
from drivers.base import About, Fix, GpsReceiver, Satellite

MODES = {0: "unknown", 1: "no fix", 2: "2D", 3: "3D"}


class View(msgspec.Struct, frozen=True, kw_only=True):
    """One moment. Ages in s, degrees WGS-84, m, m/s; None where nothing is known."""

    t: float  # unix s
    open: bool  # the receiver is, at all
    where: str
    model: str | None
    baud: int | None
    asked: list[str]
    heard: dict[str, int]  # sentences or reports by type, since it was opened
    rejected: dict[str, int]  # by the driver and by the policies, by cause
    fix_age_s: float | None
    mode: str
    lat: float | None
    lon: float | None
    sigma_m: float | None
    hdop: float | None
    used: int | None
    in_view: int | None
    sky: list[Satellite]
    lines: list[str]  # the last that came from it, oldest first
    speed: float | None
    course: float | None
    estimate_age_s: float | None
    acc_m: float | None  # 68 %, by the filter
    moving: bool | None
    verdict: str | None
    off_m: float | None  # the picture of the back end, now
    max_error_m: float
    last_reason: str | None  # of the newest message
    last_age_s: float | None
    messages: int
    why: str  # what would be sent next, and when


@dataclass(slots=True)
class Watching:
    """Told of everything as it happens; never asked by a policy."""

    profile: Profile
    receiver: GpsReceiver | None = None
    fix: Fix | None = None
    estimate: Estimate | None = None
    report: Report | None = None
    messages: int = 0
    dropped: dict[str, int] = field(default_factory=dict)  # by the policies, since the start

    def told(self, report: Report) -> None:
        self.report = report
        self.messages += 1

    def forget(self) -> None:
        """Where the rider was."""
        self.fix = self.estimate = self.report = None

    def view(self, t: float, wall: float, withheld: str | None = None) -> View:
        """As it is at monotonic second `t`, which is unix second `wall`.

        `withheld`: why nothing of this is told to the back end.
        """
        receiver, fix, estimate, report = self.receiver, self.fix, self.estimate, self.report
        about = receiver.about if receiver is not None else About()
        off = None
        if report is not None and estimate is not None:
            off = distance_m(*report.believed_at(estimate.t), estimate.lat, estimate.lon)
        return View(
            t=round(wall, 3),
            open=receiver is not None,
            where=about.where,
            model=about.model,
            baud=about.baud,
            asked=list(about.asked),
            heard=dict(about.heard),
            rejected=(dict(receiver.rejected) if receiver is not None else {}) | self.dropped,
            fix_age_s=_age(t, fix),
            mode=MODES[fix.mode] if fix is not None else "unknown",
            in_view=about.in_view,
            sky=list(about.sky),
            lines=list(about.lines),
            estimate_age_s=_age(t, estimate),
            acc_m=_round(estimate.acc, 1) if estimate else None,
            moving=estimate.moving if estimate else None,
            verdict=estimate.verdict if estimate else None,
            off_m=_round(off, 1),
            max_error_m=self.profile.max_error_m,
            last_reason=report.reason if report else None,
            last_age_s=_age(t, report),
            messages=self.messages,
            why=withheld or self._why(t, off),
            **_of_fix(fix),
        )

    def _why(self, t: float, off: float | None) -> str:
        fix, estimate, report = self.fix, self.estimate, self.report
        if self.receiver is None:
            return "nothing is sent: there is no receiver"
        if fix is None:
            return "nothing is sent: nothing has come from the receiver yet"
        if fix.mode < 2:
            return "nothing is sent: the receiver has no position"
        if estimate is None or fix.t - estimate.t > 1.0:
            return "nothing is sent: the fixes are not believed, see rejected"
        if report is None or off is None:
            return "nothing has been sent yet"
        if report.t >= estimate.t:
            return f"sent now: {report.reason}"
        beat = self.profile.moving_s if estimate.moving else self.profile.still_s
        left = f" or in {max(0.0, beat - (t - report.t)):.0f} s" if beat else ""
        return (
            f"nothing is sent: the back end is {off:.1f} m off; next at"
            f" {self.profile.max_error_m:g} m{left}"
        )


def _of_fix(fix: Fix | None) -> dict[str, Any]:
    return {
        "lat": _round(fix.lat, 7) if fix else None,
        "lon": _round(fix.lon, 7) if fix else None,
        "sigma_m": _round(fix.sigma, 1) if fix else None,
        "hdop": _round(fix.hdop, 2) if fix else None,
        "used": fix.satellites if fix else None,
        "speed": _round(fix.speed, 2) if fix else None,
        "course": _round(fix.course, 1) if fix else None,
    }


def _age(t: float, of: Fix | Estimate | Report | None) -> float | None:
    return None if of is None else round(max(0.0, t - of.t), 1)


def _round(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def per_second(before: View, after: View) -> dict[str, float]:
    """Sentences a second by type, between two moments of one receiver; none after a restart."""
    seconds = after.t - before.t
    if seconds <= 0 or any(after.heard.get(kind, 0) < n for kind, n in before.heard.items()):
        return {}
    rates = {
        kind: (n - before.heard.get(kind, 0)) / seconds for kind, n in sorted(after.heard.items())
    }
    return {kind: round(rate, 1) for kind, rate in rates.items()}
