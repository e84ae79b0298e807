"""What of a backlog of position messages is kept when there is no room for all of it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from agent.contract.events import Position
from agent.positioning.simplify import Point, simplify

GAP_S = 300.0  # longer than any heartbeat: the receiver saw nothing, so no line is drawn
STOP_S = 60.0  # a shorter stop is a traffic light


def thin(bodies: Sequence[bytes], moments_ms: Sequence[int], eps_m: float) -> list[int]:
    """Indices of the fewest bodies that tell the ride within `eps_m` metres at each message.

    Kept in any case: the first and the last, fences, long stops with the message that ended them,
    and the two messages around each moment (unix ms) of an order, an SOS or an arrival.
    """
    decode = msgspec.json.Decoder(Position).decode
    ride = [decode(body) for body in bodies]
    points = [Point(p.fix_t / 1000, p.lat, p.lon) for p in ride]
    return simplify(points, eps_m, _must(ride, moments_ms), gap_s=GAP_S)


def _must(ride: Sequence[Position], moments_ms: Sequence[int]) -> set[int]:
    must = {i for i, position in enumerate(ride) if position.reason == "fence"}
    stopped: int | None = None
    for i, position in enumerate(ride):
        if position.speed == 0:
            stopped = i if stopped is None else stopped
        elif stopped is not None:
            if position.fix_t - ride[stopped].fix_t >= STOP_S * 1000:
                must |= {stopped, i}
            stopped = None
    for i, (before, after) in enumerate(pairwise(ride)):
        if before.datum != after.datum:  # no line leads from one map to the other
            must |= {i, i + 1}
    times = [position.fix_t for position in ride]
    rises = all(a < b for a, b in pairwise(times))
    for moment in moments_ms if rises else ():
        behind = bisect_left(times, moment)
        must |= {i for i in (behind - 1, behind) if 0 <= i < len(ride)}
    return must
