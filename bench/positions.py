"""How many messages a reporting rule needs, and how wrong the server is between them.

    bench/positions.py TRACKS [--eps 10] [--plots docs]

TRACKS: a folder of what `replay gps` reads, best as CSV `NAME.fixes.csv` with the columns
t,lat,lon,speed,course,sigma; `NAME.truth.csv` (t,lat,lon) beside it where the truth is known.
Every rule sees every fix. Ours is the daemon's, without heartbeats and with (`seed`); hindsight is
what a backlog is told as. The others are the rules in the sources of the named products, each with
its position held until the next, because that is what their servers show.

Error: from the server's belief to the fix, at each fix. Plots need matplotlib, the rest nothing.
"""

from __future__ import annotations

import argparse
import csv
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf, nan
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agent.positioning.geodesy import (
    distance_m,
    extrapolate,
    speed_course,
    turn_deg,
    velocity,
)
from agent.positioning.geodesy import offset_m as offset
from agent.positioning.profiles import profile
from agent.positioning.reporting import Reporting
from agent.positioning.simplify import Point, simplify
from agent.positioning.smoother import smooth
from agent.positioning.trace import Trace
from agent.positioning.tracker import Tracker
from drivers.base import Fix
from drivers.gps.track import read_track

GAP_S = 30.0
RUN_S = 120.0
SPEED_S = 5.0  # over which a speed is taken where the receiver states none


@dataclass(frozen=True)
class Message:
    t: float
    lat: float
    lon: float
    speed: float | None = None
    course: float | None = None

    def at(self, t: float) -> tuple[float, float]:
        return extrapolate(self.lat, self.lon, self.speed, self.course, t - self.t)


@dataclass
class Rule:
    """Base of the peers' rules: `due` says whether this fix is sent."""

    sent: Fix | None = None
    recent: list[Fix] = field(default_factory=list)

    def react(self, fix: Fix) -> Message | None:
        self.recent = [f for f in self.recent if fix.t - f.t <= SPEED_S] + [fix]
        if self.sent is not None and not self.due(fix):
            return None
        self.sent = fix
        return self.message(fix)

    def message(self, fix: Fix) -> Message:
        return Message(fix.t, *place(fix))

    def due(self, fix: Fix) -> bool:
        raise NotImplementedError

    def age(self, fix: Fix) -> float:
        return fix.t - (self.sent.t if self.sent else -inf)

    def away(self, fix: Fix) -> float:
        return distance_m(*place(self.sent), *place(fix)) if self.sent else inf

    def speed(self, fix: Fix) -> float:
        if fix.speed is not None:
            return fix.speed
        first = self.recent[0]
        return distance_m(*place(first), *place(fix)) / max(fix.t - first.t, 1.0)


@dataclass
class Every(Rule):
    """A message every `moving` s, every `still` s at rest."""

    moving: float = 15.0
    still: float = 120.0

    def due(self, fix: Fix) -> bool:
        return self.age(fix) >= (self.moving if self.speed(fix) >= 0.7 else self.still)


@dataclass
class Sleeping(Rule):
    """The same, without a look at the receiver in between."""

    wake: float = -inf

    def due(self, fix: Fix) -> bool:
        return fix.t >= self.wake

    def message(self, fix: Fix) -> Message:
        self.wake = fix.t + (15.0 if self.speed(fix) >= 0.7 else 120.0)
        return super().message(fix)


@dataclass
class Moved(Rule):
    """After metres or seconds; Traccar also after a turn."""

    metres: float = 50.0
    seconds: float = inf
    turn: float = inf
    both: bool = False  # Meshtastic: metres and seconds

    def due(self, fix: Fix) -> bool:
        far, late = self.away(fix) >= self.metres, self.age(fix) >= self.seconds
        if self.both:
            return far and late
        if far or late:
            return True
        before = self.sent.course if self.sent else None
        turned = None not in (fix.course, before) and self.away(fix) > 5 and self.speed(fix) > 1
        return turned and turn_deg(before or 0.0, fix.course or 0.0) >= self.turn


@dataclass
class Elastic(Rule):
    """Transistorsoft: a distance that grows with the speed, rounded to 5 m/s."""

    metres: float = 10.0

    def due(self, fix: Fix) -> bool:
        speed = self.speed(fix)
        return self.away(fix) >= self.metres * max(5 * round(speed / 5), 5) / 5


@dataclass
class DeadReckoning(Rule):
    """Position and velocity when the server would be `eps` off; no filter."""

    eps: float = 10.0
    told: Message | None = None

    def due(self, fix: Fix) -> bool:
        return self.told is None or distance_m(*self.told.at(fix.t), *place(fix)) >= self.eps

    def message(self, fix: Fix) -> Message:
        if fix.speed is not None and fix.course is not None:
            speed, course = speed_course(*velocity(fix.speed, fix.course))
        else:
            near = [f for f in self.recent if fix.t - f.t <= 2.0]
            dt = max(fix.t - near[0].t, 1e-3)
            east, north = offset(*place(near[0]), *place(fix))
            speed, course = speed_course(east / dt, north / dt) if len(near) > 1 else (0.0, 0.0)
        self.told = Message(fix.t, *place(fix), speed if speed >= 0.6 else 0.0, course)
        return self.told


def ours(fixes: Sequence[Fix], eps: float, **beats: float) -> list[Message]:
    tracker, reporting, found = Tracker(), Reporting(profile("seed", max_error_m=eps, **beats)), []
    for fix in fixes:
        estimate = tracker.react(fix)
        report = reporting.react(estimate) if estimate else None
        if report:
            found.append(Message(report.t, report.lat, report.lon, report.speed, report.course))
    return found


def hindsight(fixes: Sequence[Fix], eps: float) -> list[Message]:
    tracker, trace, reports = Tracker(), Trace(), []
    for fix in fixes:
        estimate = tracker.react(fix)
        if estimate:
            trace.add(estimate, tracker.state)
        if trace.full:
            reports += trace.told(eps)
            trace = Trace()
    reports += trace.told(eps)
    return [Message(r.t, r.lat, r.lon, r.speed, r.course) for r, _ in reports]


def rule(make: Callable[[], Rule]) -> Callable[[Sequence[Fix], float], list[Message]]:
    def run(fixes: Sequence[Fix], eps: float) -> list[Message]:
        one = make()
        if isinstance(one, DeadReckoning):
            one.eps = eps
        return [message for message in map(one.react, fixes) if message]

    return run


POLICIES: dict[str, Callable[[Sequence[Fix], float], list[Message]]] = {
    "15 s / 120 s, asleep between": rule(Sleeping),
    "15 s / 120 s": rule(Every),
    "50 m": rule(Moved),
    "OwnTracks Android, move: 10 s": rule(lambda: Every(moving=10.0, still=10.0)),
    "OwnTracks iOS, move: 100 m or 300 s": rule(lambda: Moved(metres=100.0, seconds=300.0)),
    "Traccar: 75 m or 300 s": rule(lambda: Moved(metres=75.0, seconds=300.0)),
    "Traccar, 30 degrees too": rule(lambda: Moved(metres=75.0, seconds=300.0, turn=30.0)),
    "Transistorsoft: elastic 10 m": rule(Elastic),
    "Meshtastic: 20 m and 15 s": rule(lambda: Moved(metres=20.0, seconds=15.0, both=True)),
    "dead reckoning": rule(DeadReckoning),
    "ours, no heartbeats": lambda fixes, eps: ours(fixes, eps, moving_s=0, still_s=0),
    "ours, `seed`": ours,
    "ours, hindsight": hindsight,
}


# --- measuring ------------------------------------------------------------------------------------


def place(fix: Fix | None) -> tuple[float, float]:
    assert fix is not None
    assert fix.lat is not None
    assert fix.lon is not None
    return fix.lat, fix.lon


def runs(fixes: Iterable[Fix]) -> list[list[Fix]]:
    """Stretches without a gap; what is shorter than two minutes is not scored."""
    found: list[list[Fix]] = []
    for fix in fixes:
        if not found or fix.t - found[-1][-1].t > GAP_S:
            found.append([])
        found[-1].append(fix)
    return [run for run in found if run[-1].t - run[0].t >= RUN_S]


def errors(messages: Sequence[Message], fixes: Sequence[Fix]) -> list[float]:
    times = [message.t for message in messages]
    found = []
    for fix in fixes:
        known = bisect_right(times, fix.t + 1e-6) - 1
        at = messages[known].at(fix.t) if known >= 0 else None
        found.append(distance_m(*at, *place(fix)) if at else inf)
    return found


def share(values: Iterable[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)] if ordered else nan


@dataclass
class Total:
    messages: int = 0
    errors: list[float] = field(default_factory=list)


def load(folder: Path) -> dict[str, list[Fix]]:
    paths = sorted(folder.glob("*.fixes.csv")) or sorted(folder.rglob("*.nmea*"))
    return {
        path.name.partition(".")[0]: [fix for fix in read_track(path) if fix.lat is not None]
        for path in paths
    }


def table(tracks: dict[str, list[Fix]], eps: float) -> dict[str, Total]:
    totals = {name: Total() for name in POLICIES}
    hours, least = 0.0, 0
    for fixes in tracks.values():
        scored = runs(fixes)
        inside = {fix.t for run in scored for fix in run}
        hours += sum(run[-1].t - run[0].t for run in scored) / 3600
        for run in scored:
            least += len(simplify([Point(f.t, *place(f)) for f in run], eps))
        for name, policy in POLICIES.items():
            messages = policy(fixes, eps)
            totals[name].messages += sum(message.t in inside for message in messages)
            totals[name].errors += errors(messages, [fix for run in scored for fix in run])
    print(f"{len(tracks)} tracks, {hours:.1f} h, at least {least} points within {eps:g} m\n")
    print("| rule | messages an hour | x optimum | error p50 / p95 / max m | over the limit % |")
    print("|---|---|---|---|---|")
    for name, total in totals.items():
        over = sum(error > eps + 0.02 for error in total.errors) / len(total.errors)
        p50, p95, top = (share(total.errors, part) for part in (0.5, 0.95, 1.0))
        print(
            f"| {name} | {total.messages / hours:.0f} | {total.messages / least:.2f} |"
            f" {p50:.1f} / {p95:.1f} / {top:.0f} | {100 * over:.2f} |"
        )
    return totals


def truths(folder: Path, tracks: dict[str, list[Fix]]) -> None:
    print("\n| error against the truth, p50 / p95 / max m | raw | published | hindsight |")
    print("|---|---|---|---|")
    for name, fixes in tracks.items():
        path = folder / f"{name}.truth.csv"
        if not path.is_file():
            continue
        known = truth(path)
        tracker, seen = Tracker(), []
        for fix in fixes:
            estimate = tracker.react(fix)
            if estimate:
                seen.append((estimate, tracker.state))
        columns: list[Sequence[Any]] = [fixes, [estimate for estimate, _ in seen], smooth(seen)]
        cells = []
        for column in columns:
            off = [
                distance_m(*true, p.lat, p.lon) for p in column if (true := known(p.t)) is not None
            ]
            cells.append(" / ".join(f"{share(off, part):.1f}" for part in (0.5, 0.95, 1.0)))
        print(f"| {name} | {' | '.join(cells)} |")


def truth(path: Path) -> Callable[[float], tuple[float, float] | None]:
    with path.open(encoding="utf-8") as file:
        rows = [(float(r["t"]), float(r["lat"]), float(r["lon"])) for r in csv.DictReader(file)]
    times = [t for t, _, _ in rows]

    def at(t: float) -> tuple[float, float] | None:
        i = bisect_right(times, t)
        if i == 0 or i == len(rows):
            return None
        (t0, lat0, lon0), (t1, lat1, lon1) = rows[i - 1 : i + 1]
        part = (t - t0) / (t1 - t0)
        return lat0 + part * (lat1 - lat0), lon0 + part * (lon1 - lon0)

    return at


# --- plots ----------------------------------------------------------------------------------------


def plot_rules(totals: dict[str, Total], hours: float, out: Path) -> None:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.4), dpi=90)
    for n, (name, total) in enumerate(sorted(totals.items(), key=lambda item: item[1].messages)):
        x, y = total.messages / hours, share(total.errors, 0.95)
        own = name.startswith("ours")
        axes.plot(x, y, "o", color="tab:red" if own else "tab:gray")
        axes.annotate(
            name,
            (x, y),
            fontsize=7,
            xytext=(4, (4, -10, 14, -20)[n % 4]),
            textcoords="offset points",
        )
    axes.set(xscale="log", yscale="log", xlabel="messages an hour", ylabel="error p95, m")
    axes.set_xlim(right=axes.get_xlim()[1] * 2)
    axes.set_ylim(bottom=5)
    axes.grid(visible=True, which="both", alpha=0.2)
    figure.tight_layout()
    figure.savefig(out)


def plot_canyon(fixes: Sequence[Fix], path: Path, out: Path) -> None:
    from matplotlib import pyplot as plt

    known, tracker, seen = truth(path), Tracker(), []
    for fix in fixes:
        estimate = tracker.react(fix)
        if estimate:
            seen.append((estimate, tracker.state))
    figure, axes = plt.subplots(figsize=(7, 3.4), dpi=90)
    lines: list[tuple[str, Sequence[Any], str]] = [
        ("raw fixes", fixes, "0.7"),
        ("published", [estimate for estimate, _ in seen], "tab:red"),
        ("in hindsight", smooth(seen), "tab:blue"),
    ]
    for label, column, colour in lines:
        points = [
            (p.t - fixes[0].t, distance_m(*true, p.lat, p.lon))
            for p in column
            if (true := known(p.t)) is not None
        ]
        axes.plot(*zip(*points, strict=True), color=colour, lw=1, label=label)
    axes.set(xlabel="s", ylabel="metres from the truth", ylim=(0, 60))
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tracks", type=Path)
    parser.add_argument("--eps", type=float, default=10.0)
    parser.add_argument("--plots", type=Path)
    arguments = parser.parse_args()
    tracks = load(arguments.tracks)
    if not tracks:
        parser.error(f"no *.fixes.csv and no *.nmea* in {arguments.tracks}")
    totals = table(tracks, arguments.eps)
    truths(arguments.tracks, tracks)
    if arguments.plots:
        hours = sum(run[-1].t - run[0].t for f in tracks.values() for run in runs(f)) / 3600
        plot_rules(totals, hours, arguments.plots / "positions-rules.png")
        for name, fixes in tracks.items():
            path = arguments.tracks / f"{name}.truth.csv"
            if path.is_file() and "nagoya" in name:
                plot_canyon(fixes, path, arguments.plots / "positions-canyon.png")


if __name__ == "__main__":
    main()
