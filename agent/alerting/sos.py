"""An SOS: its state, and what the back end is told; pure.

(none) -> raised -> (none), each told as `raised` and `cancelled` under one `sos_id`
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from agent.contract import events


class Where(Protocol):
    """The newest position estimate: degrees, metres, m/s, degrees from north; `t` monotonic s."""

    @property
    def t(self) -> float: ...
    @property
    def lat(self) -> float: ...
    @property
    def lon(self) -> float: ...
    @property
    def acc(self) -> float | None: ...
    @property
    def speed(self) -> float | None: ...
    @property
    def course(self) -> float | None: ...


class Raised(msgspec.Struct, frozen=True):
    """Kept in the store under `meta.sos` while it holds."""

    sos_id: str
    since: int  # unix ms
    by: str
    seq: int = 0  # of its event in the stream `critical`


def event(
    state: Literal["raised", "cancelled"],
    sos_id: str,
    where: Where | None,
    *,
    now: float,
    fix_t: int,
    datum: Literal["wgs84", "gcj02"] = "wgs84",
) -> events.Sos:
    """`now` in monotonic seconds; `fix_t` is the estimate's time in unix ms, `datum` its own.

    A position is given however old it is, with its age: the last one known is where help starts.
    """
    if where is None:
        return events.Sos(sos_id=sos_id, state=state)
    position = events.Position(
        lat=where.lat,
        lon=where.lon,
        acc=where.acc,
        speed=where.speed,
        course=where.course,
        fix_t=fix_t,
        reason="heartbeat",
        profile="sos",
        datum=datum,
    )
    age = max(0.0, now - where.t)
    return events.Sos(sos_id=sos_id, state=state, position=position, position_age_s=round(age, 1))
