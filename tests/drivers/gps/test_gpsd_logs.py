"""Our parser against gpsd's regression logs: each report that gpsd expects of them, field by field.

A `.log.chk` holds the sentences of its log and, each behind the sentence that caused it, the
reports (TPV) that gpsd makes of them. A report is held against our fix of the same time of day that
lies nearest in the log. Whatever differs is put down to a cause that the sentences themselves show;
captures/gpsd_deviations.csv lists every one with its count. A deviation that is not in that list,
and one in the list that is gone, fail the test. gpsd's 2D or 3D is not compared: it takes an
altitude for a third dimension, we take the receiver's word (GSA).
"""

from __future__ import annotations

import csv
import json
import tarfile
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from drivers.base import Fix
from drivers.gps.nmea import KNOT_MS, Assembler

LIST = Path(__file__).parent / "captures" / "gpsd_deviations.csv"
ROLLOVER_S = 1024 * 7 * 86400
TIMED = {"RMC": 1, "GGA": 1, "GNS": 1, "GLL": 5, "ZDA": 1}
TOLERANCE = {"position": 1.1e-8, "speed": 1.1e-3, "course": 1.1e-3}

DERIVED = "gpsd reckons it from two positions; no sentence of that second says it"
OTHER = "two sentences of the same second differ; gpsd takes the last, we the finer one"
EARLY = "gpsd reports in the middle of the second, before the sentence that says it"
AGAIN = "gpsd reports a lost fix under the time of the last one"
ROLLOVER = "gpsd moves the receiver's date by 1024 weeks"
ZDA = "gpsd reports a ZDA alone; it is no fix"
BEFORE = "gpsd goes on with that of the second before"
UNTIMED = "a sentence without a time or a fix; gpsd gives it the last time"
LOST = "gpsd believes a position, a sentence of the same second says that there is no fix"
NONE_USED = "a fix from 00 satellites: gpsd does not believe it, we believe its quality"


@dataclass
class Said:
    """What the sentences of one second of the log say."""

    position: list[tuple[float, float]] = field(default_factory=list)
    speed: list[float] = field(default_factory=list)
    course: list[float] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)
    time: str = ""
    lost: bool = False
    unused: bool = False


@dataclass
class Log:
    """`tpv`: reports and the number of the sentence before; `fixes` with that of their first."""

    tpv: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)  # by the number of the sentence
    fixes: list[tuple[int, Fix]] = field(default_factory=list)


def _log(chk: bytes) -> Log:
    log, assembler, second = Log(), Assembler(), Said()
    at: str | None = None
    for line in chk.splitlines(keepends=True):
        if line.startswith(b"{"):
            report = json.loads(line)
            if report["class"] == "TPV":
                log.tpv.append((len(log.said) - 1, report))
            continue
        n = len(log.said)
        log.fixes += [(round(fix.t * 100), fix) for fix in assembler.feed(line, n / 100)]
        kind, f = line[3:6].decode("latin-1"), line.decode("latin-1").split("*")[0].split(",")
        if line[:1] == b"$" and kind in TIMED and len(f) > TIMED[kind]:
            time = f[TIMED[kind]]
            if second.kinds - {"VTG"} and (at is None or not time or _tod(time) != _tod(at)):
                second = Said()
            second.time, at = time or second.time, time or None
        if line[:1] == b"$":
            _note(second, kind, f)
        log.said.append(second)
    log.fixes += [(round(fix.t * 100), fix) for fix in assembler.flush()]
    return log


def _tod(text: str) -> float:
    return int(text[0:2]) * 3600 + int(text[2:4]) * 60 + float(text[4:])


def _note(said: Said, kind: str, f: list[str]) -> None:
    """Of a sentence that the test needs to know no more of than where its fields lie."""
    where = {"RMC": 3, "GGA": 2, "GNS": 2, "GLL": 1}.get(kind)
    said.kinds.add(kind)
    said.unused |= kind == "GGA" and len(f) > 7 and f[6] not in ("", "0") and f[7] == "00"
    verdict = {"RMC": (2, "V"), "GSA": (2, "1"), "GGA": (6, "0"), "GLL": (6, "V")}.get(kind)
    said.lost |= verdict is not None and f[verdict[0] :][:1] == [verdict[1]]
    if where is not None and len(f) > where + 3 and f[where]:
        lat, lon = (int(a[: -len(m)]) + float(m) / 60 for a, m in map(_cut, f[where:][:3:2]))
        south, west = f[where + 1] == "S", f[where + 3] == "W"
        said.position.append((-lat if south else lat, -lon if west else lon))
    speed, course = {"RMC": (7, 8), "VTG": (5, 1)}.get(kind, (99, 99))
    if len(f) > speed and f[speed]:
        said.speed.append(float(f[speed]) * KNOT_MS)
    if len(f) > course and f[course]:
        said.course.append(float(f[course]))


def _cut(angle: str) -> tuple[str, str]:
    """dddmm.mm and its minutes."""
    return angle, angle[len(angle.partition(".")[0]) - 2 :]


def _deviations(log: Log) -> Iterator[tuple[str, str]]:
    """Field and cause of each that differs."""
    by_time: dict[float, list[tuple[int, Fix]]] = defaultdict(list)
    for n, fix in log.fixes:
        if fix.utc is not None:
            by_time[round(fix.utc % 86400, 3) % 86400].append((n, fix))
    numbers = [n for n, _ in log.fixes]
    for n, tpv in log.tpv:
        under_way = max(0, bisect_right(numbers, n) - 1)
        candidates = log.fixes[under_way:][:1]
        if "time" in tpv:
            utc = datetime.fromisoformat(tpv["time"]).timestamp()
            candidates = by_time.get(round(utc % 86400, 3) % 86400, [])
        said = log.said[n]
        if not candidates:
            if "time" in tpv:
                yield "time", _alone(tpv, said)
            continue
        began, fix = min(candidates, key=lambda c: abs(c[0] - n))
        if "time" in tpv and fix.utc is not None and abs(fix.utc - utc) > 0.0011:
            weeks = round(abs(fix.utc - utc), 3) % ROLLOVER_S == 0
            yield "time", ROLLOVER if weeks else "unexplained"
        yield from _values(tpv, fix, log.said[began], said, log.said[max(0, n - 25) : n + 1])


def _values(
    tpv: dict[str, Any], fix: Fix, own: Said, said: Said, before: list[Said]
) -> Iterator[tuple[str, str]]:
    theirs = {
        "position": (tpv["lat"], tpv["lon"]) if "lat" in tpv else None,
        "speed": tpv.get("speed"),
        "course": tpv.get("track"),
    }
    ours = {
        "position": None if fix.lat is None or fix.lon is None else (fix.lat, fix.lon),
        "speed": fix.speed,
        "course": fix.course,
    }
    for name, value in theirs.items():
        mine = ours[name]
        if _same(name, value, mine):
            continue
        if mine is not None and not _among(name, mine, own):
            yield name, "unexplained: no sentence says what we say"
        elif value is None:
            yield name, _withheld(tpv, said)
        elif _among(name, value, said):
            yield name, OTHER if mine is not None else LOST if said.lost else "unexplained"
        elif any(_among(name, value, old) for old in before):
            yield name, BEFORE
        else:
            yield name, DERIVED if name != "position" else "unexplained"


def _alone(tpv: dict[str, Any], said: Said) -> str:
    """Why a report has a time that no fix of ours has."""
    if tpv["mode"] >= 2:
        return "unexplained"
    return UNTIMED if not said.time else ZDA if "ZDA" in said.kinds else "unexplained"


def _withheld(tpv: dict[str, Any], said: Said) -> str:
    """Why gpsd leaves out what our fix has."""
    if tpv["mode"] >= 2:
        return EARLY
    if said.lost:
        return AGAIN
    if said.unused:
        return NONE_USED
    return ZDA if "ZDA" in said.kinds else "unexplained"


def _among(name: str, value: Any, said: Said) -> bool:
    return any(_same(name, value, stated) for stated in getattr(said, name))


def _same(name: str, theirs: Any, mine: Any) -> bool:
    if theirs is None or mine is None:
        return theirs is mine
    if name == "position":
        return all(abs(a - b) <= TOLERANCE[name] for a, b in zip(theirs, mine, strict=True))
    off = abs(theirs - mine)
    return bool(min(off, abs(360 - off) if name == "course" else off) <= TOLERANCE[name])


def found(archive: Path) -> tuple[Counter[tuple[str, str, str]], Counter[str]]:
    """All deviations of all logs, and what was compared."""
    deviations: Counter[tuple[str, str, str]] = Counter()
    done: Counter[str] = Counter()
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.name.endswith(".chk") else None
            if file is None:
                continue
            log = _log(file.read())
            name = Path(member.name).name.removesuffix(".log.chk")
            deviations.update((name, *deviation) for deviation in _deviations(log))
            done.update(logs=1, reports=len(log.tpv))
            done.update(positions=sum("lat" in tpv for _, tpv in log.tpv))
    return deviations, done


def test_every_report_of_gpsd_is_ours_too_or_its_deviation_is_explained(recordings: Path) -> None:
    deviations, done = found(recordings / "gps" / "gpsd_logs" / "nmea_logs.tar.xz")
    with LIST.open(encoding="utf-8", newline="") as file:
        listed = Counter(
            {
                (log, name, why): int(count)
                for log, name, count, why in islice(csv.reader(file), 1, None)
            }
        )
    assert deviations - listed == Counter(), "not explained"
    assert listed - deviations == Counter(), "explained, but gone: take them off the list"
    assert done == {"logs": 76, "reports": 6839, "positions": 5633}


@pytest.mark.parametrize("field_", ["position", "speed", "course", "time"])
def test_no_deviation_is_without_a_cause(field_: str) -> None:
    with LIST.open(encoding="utf-8", newline="") as file:
        assert not [row for row in csv.reader(file) if row[1] == field_ and "unexplained" in row[3]]
