"""A report as the contract's `position` body."""

from __future__ import annotations

from agent.contract.events import Position
from agent.positioning.reporting import Report


def position_body(report: Report, *, fix_t: float, profile: str) -> Position:
    """`fix_t` is the unix second of the fix."""
    return Position(
        lat=report.lat,
        lon=report.lon,
        acc=report.acc,
        speed=report.speed,
        course=report.course,
        fix_t=round(fix_t * 1000),
        reason=report.reason,
        profile=profile,
        datum="wgs84",
    )
