"""What is told of the rider as the contract's `position` body."""

from __future__ import annotations

from typing import Literal

from agent.contract.events import Position
from agent.positioning.datum import convert
from agent.positioning.privacy import Blurred
from agent.positioning.profiles import IDLE
from agent.positioning.reporting import Report


def position_body(
    report: Report, *, fix_t: float, profile: str, datum: Literal["wgs84", "gcj02"] = "wgs84"
) -> Position:
    """`fix_t` is the unix second of the fix, `datum` that of the report."""
    return Position(
        lat=report.lat,
        lon=report.lon,
        acc=report.acc,
        speed=report.speed,
        course=report.course,
        fix_t=round(fix_t * 1000),
        reason=report.reason,
        profile=profile,
        datum=datum,
    )


def blurred_body(blurred: Blurred, *, fix_t: float, datum: Literal["wgs84", "gcj02"]) -> Position:
    """A cell of WGS-84, told in `datum`; how the rider moves is not said."""
    lat, lon = convert(blurred.lat, blurred.lon, "wgs84", datum)
    return Position(
        lat=round(lat, 6),
        lon=round(lon, 6),
        acc=blurred.acc,
        speed=None,
        course=None,
        fix_t=round(fix_t * 1000),
        reason="wake" if blurred.first else "heartbeat",
        profile=IDLE,
        datum=datum,
        precision="cell",
    )
