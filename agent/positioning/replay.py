"""`edge-agent replay gps`: the daemon's very policies over a recorded track, as fast as it goes.

It answers "why did it report that?" and is how the quality of the reports is measured.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import msgspec

from agent.contract.wire import encode
from agent.positioning.kalman import State
from agent.positioning.message import position_body
from agent.positioning.profiles import Profile
from agent.positioning.reporting import Report, Reporting
from agent.positioning.smoother import smooth
from agent.positioning.trace import Trace
from agent.positioning.tracker import RADIUS_68, Estimate, Tracker
from drivers.base import DriverError, Fix
from drivers.gps.track import COLUMNS, read_track


@dataclass(slots=True)
class Replayed:
    """What came of a replay."""

    fixes: int = 0
    estimates: int = 0
    messages: int = 0
    rejected: Counter[str] = field(default_factory=Counter)  # lines and fixes, by cause


def run_replay(
    track: Path,
    *,
    profile: Profile,
    out: Path | None = None,
    fixes_out: Path | None = None,
    estimates_out: Path | None = None,
    smoothed: bool = False,
) -> Replayed:
    """Replay `track` and write what was asked for; DriverError when a file cannot be used.

    `out`: one JSON object a line, the `position` body with `t` and `sent` (unix s). `fixes_out`:
    fixes with a position as t,lat,lon,speed,course,sigma. `estimates_out`: the same columns, for
    the estimate at every fix. `smoothed`: messages and estimates are not those of the moment but
    those of hindsight, as a backlog is told; `sent` is then the time of the fix all the same.
    """
    done = Replayed()
    try:
        with contextlib.ExitStack() as stack:
            messages, fixes, estimates = (
                stack.enter_context(path.open("w", encoding="utf-8", newline="")) if path else None
                for path in (out, fixes_out, estimates_out)
            )
            for table in (fixes, estimates):
                if table is not None:
                    table.write(",".join(COLUMNS) + "\n")
            seen = _tracked(read_track(track, done.rejected), done, fixes)
            if smoothed:
                _in_hindsight(list(seen), profile, done, messages, estimates)
            else:
                _live(seen, profile, done, messages, estimates)
    except OSError as error:
        raise DriverError(f"{error.filename} cannot be written: {error.strerror}") from error
    return done


def _tracked(
    track: Iterable[Fix], done: Replayed, fixes: TextIO | None
) -> Iterator[tuple[Estimate, State]]:
    tracker = Tracker()
    for fix in track:
        if fix.lat is not None and fix.lon is not None:
            done.fixes += 1
            if fixes is not None:
                fixes.write(_row(fix.t, fix.lat, fix.lon, fix.speed, fix.course, fix.sigma))
        now = tracker.react(fix)
        if now is not None:
            done.estimates += 1
            yield now, tracker.state
    done.rejected += tracker.rejected


def _live(
    track: Iterable[tuple[Estimate, State]],
    profile: Profile,
    done: Replayed,
    messages: TextIO | None,
    estimates: TextIO | None,
) -> None:
    reporting = Reporting(profile)
    for now, _ in track:
        _write_estimates([now], estimates)
        report = reporting.react(now)
        if report is not None:
            _write_reports([report], profile, done, messages)


def _in_hindsight(
    track: list[tuple[Estimate, State]],
    profile: Profile,
    done: Replayed,
    messages: TextIO | None,
    estimates: TextIO | None,
) -> None:
    _write_estimates(smooth(track), estimates)
    trace = Trace()
    for now, state in track:
        trace.add(now, state)
        if trace.full:
            _write_trace(trace, profile, done, messages)
            trace = Trace()
    _write_trace(trace, profile, done, messages)


def _write_trace(trace: Trace, profile: Profile, done: Replayed, out: TextIO | None) -> None:
    reports = [report for report, _ in trace.told(profile.max_error_m)]
    _write_reports(reports, profile, done, out)


def _write_estimates(estimates: Iterable[Estimate], out: TextIO | None) -> None:
    for now in estimates if out is not None else ():
        sigma = now.acc / RADIUS_68
        assert out is not None
        out.write(_row(now.t, now.lat, now.lon, now.speed, now.course, sigma))


def _write_reports(
    reports: Iterable[Report], profile: Profile, done: Replayed, out: TextIO | None
) -> None:
    for report in reports:
        done.messages += 1
        if out is not None:
            out.write(_line(report, profile.name))


def _line(report: Report, profile: str) -> str:
    """The body as the back end would get it, with the recording's time."""
    body = msgspec.to_builtins(position_body(report, fix_t=report.t, profile=profile))
    return encode({"t": round(report.t, 3), "sent": round(report.t, 3), **body}).decode() + "\n"


def _row(t: float, lat: float, lon: float, *rest: float | None) -> str:
    cells = [f"{t:.3f}", f"{lat:.8f}", f"{lon:.8f}"]
    return ",".join(cells + ["" if cell is None else f"{cell:.3f}" for cell in rest]) + "\n"
