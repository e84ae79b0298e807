"""Recorded tracks as fixes whose `t` is the recording's own time.

Two kinds of files, either of them also packed with gzip:

    *.nmea *.log *.txt   NMEA sentences; t is the receiver's UTC (unix s)
    *.csv                a header with t,lat,lon and optionally speed,course,sigma; blank = unknown
"""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import BinaryIO, cast

from drivers.base import DriverError, Fix
from drivers.gps.nmea import Assembler

COLUMNS = ("t", "lat", "lon", "speed", "course", "sigma")
CHUNK = 4096
TIME_MAX_S = 253402300800.0  # the year 10000


def read_track(path: Path, rejected: Counter[str] | None = None) -> Iterator[Fix]:
    """Fixes in the file's order, epochs without a position too (mode 1); `t` always increases.

    What cannot be read is counted in `rejected`. Raises DriverError when the file cannot be opened
    or is no track.
    """
    counts: Counter[str] = Counter() if rejected is None else rejected
    name = path.name.removesuffix(".gz")
    latest = float("-inf")
    try:
        with _open(path) as file:
            for fix in _csv(file, path, counts) if name.endswith(".csv") else _nmea(file, counts):
                if fix.t > latest:
                    latest = fix.t
                    yield fix
                else:
                    counts["time does not increase"] += 1
    except (OSError, EOFError) as error:
        raise DriverError(f"the track {path} cannot be read: {error}") from error


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _nmea(file: BinaryIO, counts: Counter[str]) -> Iterator[Fix]:
    assembler = Assembler()
    assembler.rejected = counts
    at = 0.0  # no clock here: a line counts as a hundredth of a second
    while chunk := file.readline(CHUNK):
        at += 0.01
        yield from _dated(assembler.feed(chunk, at), counts)
    yield from _dated(assembler.flush(), counts)


def _dated(fixes: Iterator[Fix], counts: Counter[str]) -> Iterator[Fix]:
    for fix in fixes:
        if fix.utc is None:
            counts["without a date"] += 1
        else:
            yield replace(fix, t=fix.utc)


def _csv(file: BinaryIO, path: Path, counts: Counter[str]) -> Iterator[Fix]:
    lines = (line.decode("utf-8", "replace") for line in file)
    rows = csv.DictReader(line.removeprefix("\ufeff") for line in lines)  # spreadsheets begin so
    if not {"t", "lat", "lon"} <= set(rows.fieldnames or ()):
        raise DriverError(f"{path} is no track: its first line must name t,lat,lon")
    while True:
        try:
            row = next(rows)
            cells = [float(row.get(name) or "nan") for name in COLUMNS]
        except StopIteration:
            return
        except (ValueError, TypeError, csv.Error):
            counts["malformed"] += 1
            continue
        t, *rest = cells
        lat, lon, speed, course, sigma = (value if isfinite(value) else None for value in rest)
        if abs(t) < TIME_MAX_S:  # false for NaN, too
            mode = 1 if lat is None or lon is None else 3
            yield Fix(t, mode, lat, lon, speed, course, sigma, utc=t)
        else:
            counts["malformed"] += 1
