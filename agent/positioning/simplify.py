"""The fewest fixes that still tell a ride: whatever is left out lies within eps of what is kept.

A server that joins the kept fixes by straight lines, linearly in time, is then off by at most
`eps_m` at every fix that it was not sent (synchronised Euclidean distance, SED). The answer is the
optimum, not an approximation: the shortest path over all segments that are allowed.
Imai and Iri, Computational-geometric methods for polygonal approximations of a curve, 1986.

A segment from fix i is a velocity, and each fix k that it passes allows it a disc of velocities,
(p_k - p_i) / dt with radius eps / dt. The segment i -> j is allowed if its velocity lies in all the
discs between. The box around their intersection shrinks with every fix and ends the search when it
is empty; only discs that still cut it need to be asked.

The cost is fixes times how many of them a segment can span. A parked rider spans all, so a segment
ends after REACH fixes: that costs at most one kept fix in REACH, and nothing in motion.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from math import cos, inf, radians
from typing import NamedTuple

from agent.positioning.geodesy import EARTH_RADIUS_M

GAP_S = 30.0  # nobody knows where the rider was between fixes further apart
REACH = 900  # fixes that a segment may span: a quarter of an hour at 1 Hz
SAMPLES = 16  # of a long way, asked before all of it is
_ROUNDING = 1 + 1e-9  # of the comparison, so that a fix exactly eps away is within


class Point(NamedTuple):
    """A fix or an estimate: seconds on any one clock, degrees."""

    t: float
    lat: float
    lon: float


def simplify(
    points: Sequence[Point], eps_m: float, keep: Collection[int] = (), *, gap_s: float = GAP_S
) -> list[int]:
    """Indices to keep, rising: the fewest whose linear interpolation is within `eps_m` of all.

    The first and the last are kept, those in `keep` too, and both sides of a gap of more than
    `gap_s` or of a clock that does not rise. `eps_m` must be positive; so must `gap_s`, which may
    be infinite.
    """
    kept: list[int] = []
    fixed = set(keep)
    for first, last in _runs(points, gap_s):
        t, x, y = _plane(points[first : last + 1])
        ends = [0, *(i - first for i in sorted(fixed) if first < i < last), last - first]
        kept.append(first)
        for begin, end in pairwise(ends):
            if end > begin:
                path = _shortest(t[begin : end + 1], x[begin : end + 1], y[begin : end + 1], eps_m)
                kept.extend(first + begin + i for i in path)
    return kept


def _runs(points: Sequence[Point], gap_s: float) -> Iterator[tuple[int, int]]:
    """First and last index of each stretch without a gap."""
    first = 0
    for i in range(1, len(points)):
        if not 0 < points[i].t - points[i - 1].t <= gap_s:
            yield first, i - 1
            first = i
    if points:
        yield first, len(points) - 1


def _plane(run: Sequence[Point]) -> tuple[list[float], list[float], list[float]]:
    """Seconds, and metres east and north of the first, with the scale of the mean latitude."""
    north = radians(1) * EARTH_RADIUS_M
    east = north * cos(radians(sum(p.lat for p in run) / len(run)))
    t0, lat0, lon0 = run[0]
    return (
        [p.t - t0 for p in run],
        [((p.lon - lon0 + 180) % 360 - 180) * east for p in run],
        [(p.lat - lat0) * north for p in run],
    )


def _shortest(t: list[float], x: list[float], y: list[float], eps: float) -> list[int]:
    """Breadth first from 0 to the last; the indices on the way, without 0."""
    goal = len(t) - 1
    before = [-1] * len(t)  # the fix that a shortest path comes from
    level, new = [0], 1  # every fix before `new` has been reached
    while before[goal] < 0:
        found: list[int] = []
        for i in reversed(level):  # the farthest first: one of them may reach the goal
            for j in _from(i, new, t, x, y, eps, before):
                before[j] = i
                found.append(j)
            if before[goal] >= 0:
                break
            while before[new] >= 0:
                new += 1
        level = sorted(found)
    path = [goal]
    while before[path[-1]] > 0:
        path.append(before[path[-1]])
    return path[::-1]


def _from(
    i: int,
    new: int,
    t: list[float],
    x: list[float],
    y: list[float],
    eps: float,
    before: list[int],
) -> list[int]:
    """Fixes from `new` on that nobody has reached yet and that a segment from `i` may end at."""
    end = min(i + REACH, len(t) - 1)
    # Of the fixes on the way to `new` some are asked first: most segments fail by these already.
    some = range(i + 1, new, max(1, (new - i) // SAMPLES))
    if len(some) >= SAMPLES:
        sample = [*some, *range(new, end + 1)]
        if not _scan(i, sample, t, x, y, eps, before):
            return []
    return _scan(i, range(i + 1, end + 1), t, x, y, eps, before)


def _scan(
    i: int,
    over: Iterable[int],
    t: list[float],
    x: list[float],
    y: list[float],
    eps: float,
    before: list[int],
) -> list[int]:
    """Those of `over` that nobody has reached, on a straight way past the others of them."""
    found: list[int] = []
    discs: list[tuple[float, float, float]] = []  # of velocities: centre and radius
    t0, x0, y0 = t[i], x[i], y[i]
    low_x = low_y = -inf
    high_x = high_y = inf
    for j in over:
        dt = t[j] - t0
        vx, vy = (x[j] - x0) / dt, (y[j] - y0) / dt
        if before[j] < 0 and low_x <= vx <= high_x and low_y <= vy <= high_y:
            box = (low_x, high_x, low_y, high_y)
            discs = [disc for disc in discs if _cuts(disc, box)]
            if all((vx - cx) ** 2 + (vy - cy) ** 2 <= r * r for cx, cy, r in discs):
                found.append(j)
        radius = eps * _ROUNDING / dt
        discs.append((vx, vy, radius))
        low_x, high_x = max(low_x, vx - radius), min(high_x, vx + radius)
        low_y, high_y = max(low_y, vy - radius), min(high_y, vy + radius)
        if low_x > high_x or low_y > high_y:
            break
    return found


def _cuts(disc: tuple[float, float, float], box: tuple[float, float, float, float]) -> bool:
    """Whether a part of the box lies outside the disc."""
    cx, cy, radius = disc
    low_x, high_x, low_y, high_y = box
    dx, dy = max(cx - low_x, high_x - cx), max(cy - low_y, high_y - cy)
    return dx * dx + dy * dy > radius * radius
