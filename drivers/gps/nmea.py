r"""NMEA 0183: bytes -> sentences -> one `Fix` an epoch. No I/O, no clock.

    $GNRMC,021417.00,A,3725.58362,N,12205.61915,W,0.028,65.13,070220,13.06,E,F,V*4A\r\n
     |  |  |         | |ddmm.mm     |dddmm.mm     |knots |deg  |ddmmyy          |   XOR of what
     |  |  hhmmss.ss A valid, V not                                             |   is between
     talker, sentence                                    mode, status (NMEA 4.1)    $ and *

    RMC time status lat NS lon EW knots course date ...
    GGA time lat NS lon EW quality satellites hdop ...    0 none, 1.. fix, 7 manual, 8 simulated
    GNS time lat NS lon EW modes satellites hdop ...      a letter a system, N none
    GLL lat NS lon EW time status ...
    GSV sentences number satellites-in-view ...           by talker, the same again by signal
    GSA auto mode sv*12 pdop hdop vdop [system]           mode 1 none, 2 2D, 3 3D
    GST time rms major minor angle lat lon alt            1 sigma, m
    VTG course T magnetic M knots N km/h K
    ZDA time day month year ...

Source: "NMEA Revealed" (gpsd.io/NMEA.html), u-blox M10 interface description, and real logs: any
talker; RMC `V` with a date alone; an empty course at rest; RMC first in the epoch (u-blox) or last
(SiRF); proprietary sentences and binary in between; GGA of several talkers in one epoch.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date

from drivers.base import Fix
from drivers.gps.sky import Last, Sky

MAX_LINE = 256  # 82 by the standard; proprietary sentences of real receivers reach 180
KNOT_MS = 1852 / 3600
DAY_S = 86400
STICKY_S = 2.5  # how long GSA, which carries no time, speaks for later epochs
BURST_S = 0.15  # a VTG so soon after a position belongs to it, a later one to the next
UNSTEADY = 12  # epochs that are waited out once their last sentence has changed; over 1 in 10
VIEW_S = 6.0  # receivers that say GSV seldom say it every five seconds
TALKERS_MAX = 16
KINDS_MAX = 32  # types of sentences that are told apart
EPOCH_DAY = date(1970, 1, 1).toordinal()

_NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{0,12})?|-?\.[0-9]{1,12}")
_ANGLE = re.compile(r"([0-9]{1,3})([0-9]{2}(?:\.[0-9]{0,12})?)")
_KIND = re.compile(r"[A-Z]{3}")
_TIME = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2}(?:\.[0-9]{0,6})?)")


class _MalformedError(ValueError):
    """A field that does not mean what the standard says."""


@dataclass(slots=True)
class _Epoch:
    """What the sentences of one time of day have said so far."""

    t: float  # monotonic s at which its first sentence came
    second: float | None  # of the day, UTC
    kinds: list[str] = field(default_factory=list)
    day: int | None = None  # days since 1970
    valid: dict[str, bool] = field(default_factory=dict)  # RMC, GGA, GNS, GLL: their verdicts
    rank: int = 0  # of the sentence that gave lat and lon
    lat: float | None = None
    lon: float | None = None
    speed: float | None = None
    course: float | None = None
    sigma: float | None = None
    hdop: float | None = None
    satellites: int | None = None
    emitted: bool = False


@dataclass(slots=True)
class _Sticky:
    """The latest from sentences without a time of their own."""

    t: float = float("-inf")
    mode: int | None = None
    hdop: float | None = None


@dataclass(frozen=True, slots=True)
class _Motion:
    """What a VTG said; it speaks for one epoch."""

    t: float = float("-inf")
    speed: float | None = None
    course: float | None = None


class Assembler:
    """Feed it bytes as they come; it gives each epoch as soon as its last sentence is in.

    Which sentence is the last one is learned from the epoch before; while it changes (a receiver
    that says RMC with every tenth GGA only), each epoch is waited out until the next one begins or
    the receiver pauses. `sentences` counts those with a good checksum, `kinds` the same by their
    type, `rejected` counts lines thrown away by cause.
    """

    def __init__(self) -> None:
        self.rejected: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.sentences = 0
        self._tail = b""
        self._epoch: _Epoch | None = None
        self._closing = ""
        self._unsteady = 0  # epochs still to be waited out
        self._gsa = _Sticky()
        self._vtg = _Motion()  # not yet of any epoch
        self._dated: tuple[int, float] | None = None  # day, second of that day
        self.sky = Sky()
        self.last = Last()
        self._views: dict[str, tuple[float, int]] = {}  # by talker: when said, satellites

    def feed(self, data: bytes, t: float) -> Iterator[Fix]:
        """Fixes that `data`, received at monotonic second `t`, completes."""
        *lines, self._tail = (self._tail + data).split(b"\n")
        self._tail = self._tail[-MAX_LINE:]
        for line in lines:
            self.last.hear(line)
            yield from self._line(line[-MAX_LINE:], t)

    def flush(self) -> Iterator[Fix]:
        """The epoch under way: the receiver pauses, or the recording ends."""
        epoch = self._epoch
        if epoch is not None and epoch.valid and not epoch.emitted:
            yield self._emit(epoch)

    def in_view(self, t: float) -> int | None:
        """Satellites in view, used or not, as GSV has said lately; None where it has not."""
        said = [number for at, number in self._views.values() if t - at <= VIEW_S]
        return sum(said) if said else None

    def _line(self, line: bytes, t: float) -> Iterator[Fix]:
        start = line.rfind(b"$")
        if start < 0:
            if line.strip() and line[:1] not in b"!#":
                cause = "not a sentence" if len(line) < MAX_LINE else "too long"
                self.rejected[cause] += 1
            return
        fields = self._checked(line[start + 1 :].rstrip())
        if fields is None:
            return
        self.sentences += 1
        kind = fields[0][2:]
        self._tally(fields[0])
        if kind == "GSV":
            self._view(fields, t)
            self.sky.hear(fields, t)
        said = _SENTENCES.get(kind)
        if said is None or fields[0][:1] == "P":
            return
        fields += [""] * (_FIELDS - len(fields))
        try:
            yield from self._sentence(kind, fields, t, said)
        except _MalformedError:
            self.rejected["malformed"] += 1

    def _checked(self, body: bytes) -> list[str] | None:
        if not body.isascii():
            self.rejected["not ascii"] += 1
            return None
        text, star, given = body.decode("ascii").rpartition("*")
        if not star:
            self.rejected["no checksum"] += 1
            return None
        checksum = 0
        for byte in text.encode():
            checksum ^= byte
        if given.upper() != f"{checksum:02X}":
            self.rejected["bad checksum"] += 1
            return None
        return text.split(",")

    def _sentence(
        self, kind: str, fields: list[str], t: float, said: Callable[[_Epoch, list[str]], None]
    ) -> Iterator[Fix]:
        if kind in ("GSA", "VTG"):
            self._untimed(kind, fields, t)
            return
        if kind == "ZDA":
            self._zda(fields)
            return
        second = _second(fields[5 if kind == "GLL" else 1])
        told = _Epoch(t, second)
        said(told, fields)  # first on its own, so that half a sentence never enters an epoch
        epoch = self._epoch
        if epoch is None or epoch.second != second or (second is None and kind in epoch.kinds):
            yield from self.flush()
            self._learn()
            epoch = self._epoch = _Epoch(t, second)
        said(epoch, fields)
        if kind != "GLL" or not epoch.kinds:
            epoch.kinds.append(kind)
        if kind == self._closing and not self._unsteady:
            yield from self.flush()

    def _view(self, fields: list[str], t: float) -> None:
        talker = fields[0][:2]
        number = fields[3] if len(fields) > 3 else ""
        if number.isdecimal() and (talker in self._views or len(self._views) < TALKERS_MAX):
            self._views[talker] = (t, min(int(number[:3]), 99))

    def _tally(self, name: str) -> None:
        """Of a proprietary sentence, and of any beyond KINDS_MAX, only that it came."""
        kind = name[2:] if name[:1] != "P" and _KIND.fullmatch(name[2:]) else "other"
        self.kinds[kind if kind in self.kinds or len(self.kinds) < KINDS_MAX else "other"] += 1

    def _learn(self) -> None:
        if self._epoch is None or not self._epoch.kinds:
            return
        last = self._epoch.kinds[-1]
        changed = self._closing not in ("", last)
        self._unsteady = UNSTEADY if changed else max(0, self._unsteady - 1)
        self._closing = last

    def _untimed(self, kind: str, fields: list[str], t: float) -> None:
        if kind == "VTG":
            self._motion(_Motion(t, _knots(fields[5]), _course(fields[1])))
            return
        if fields[2] in ("2", "3"):  # a system without satellites in use may say 1
            self._gsa = _Sticky(t, mode=int(fields[2]), hdop=_dop(fields[16]))

    def _motion(self, said: _Motion) -> None:
        """Of the epoch under way, where an RMC knows better, or of the next one."""
        epoch = self._epoch
        if epoch is None or said.t - epoch.t > BURST_S:
            self._vtg = said
        elif "RMC" not in epoch.kinds:
            epoch.kinds.append("VTG")  # too late for an epoch that was given: the next ones wait
            epoch.speed, epoch.course = said.speed, said.course

    def _zda(self, fields: list[str]) -> None:
        second = _second(fields[1])
        if second is not None and all(fields[2:5]):
            self._dated = (_day(fields[2], fields[3], fields[4]), second)

    def _emit(self, epoch: _Epoch) -> Fix:
        epoch.emitted = True
        gsa = self._gsa if epoch.t - self._gsa.t <= STICKY_S else _Sticky()
        vtg, self._vtg = self._vtg, _Motion()
        utc = self._utc(epoch)
        if epoch.lat is None or not all(epoch.valid.values()):
            return Fix(epoch.t, 1, satellites=epoch.satellites, utc=utc)
        told = "RMC" in epoch.kinds or "VTG" in epoch.kinds or epoch.t - vtg.t > STICKY_S
        doppler = epoch if told else vtg
        return Fix(
            epoch.t,
            3 if gsa.mode == 3 else 2,
            epoch.lat,
            epoch.lon,
            doppler.speed,
            doppler.course,
            epoch.sigma,
            epoch.hdop if epoch.hdop is not None else gsa.hdop,
            epoch.satellites,
            utc,
        )

    def _utc(self, epoch: _Epoch) -> float | None:
        """Unix seconds; a day that the epoch does not state follows from the last one stated."""
        if epoch.second is None:
            return None
        day = epoch.day
        if day is None:
            if self._dated is None:
                return None
            day, second = self._dated
            if epoch.second < second - DAY_S / 2:
                day += 1
            elif epoch.second > second + DAY_S / 2:
                day -= 1
        self._dated = (day, epoch.second)
        return day * DAY_S + epoch.second


# --- sentences ------------------------------------------------------------------------------------


def _rmc(epoch: _Epoch, f: list[str]) -> None:
    epoch.valid["RMC"] = f[2] == "A"
    if f[9]:
        epoch.day = _day(f[9][0:2], f[9][2:4], f[9][4:])
    if f[2] == "A":
        _place(epoch, f[3:7], rank=2)
        epoch.speed, epoch.course = _knots(f[7]), _course(f[8])


def _gga(epoch: _Epoch, f: list[str]) -> None:
    quality = _number(f[6]) or 0.0
    fixed = quality > 0 and quality not in (7, 8)
    epoch.valid["GGA"] = fixed or epoch.valid.get("GGA", False)
    _solution(epoch, f, fixed=fixed)


def _gns(epoch: _Epoch, f: list[str]) -> None:
    fixed = any(letter not in "NM" for letter in f[6])
    epoch.valid["GNS"] = fixed
    _solution(epoch, f, fixed=fixed)


def _solution(epoch: _Epoch, f: list[str], *, fixed: bool) -> None:
    satellites, hdop = _number(f[7]), _dop(f[8])
    if fixed:
        _place(epoch, f[2:6], rank=3)
    if satellites is not None and (fixed or epoch.satellites is None):
        epoch.satellites = int(satellites)
        epoch.hdop = hdop


def _gll(epoch: _Epoch, f: list[str]) -> None:
    if f[6] == "A":
        _place(epoch, f[1:5], rank=1)
    if epoch.rank <= 1:
        epoch.valid["GLL"] = f[6] == "A"


def _gst(epoch: _Epoch, f: list[str]) -> None:
    north, east = _number(f[6]), _number(f[7])
    if north is not None and east is not None and min(north, east) > 0:
        epoch.sigma = max(north, east)


def _nothing(epoch: _Epoch, f: list[str]) -> None:
    """Sentences without a time; the assembler keeps them apart."""


_SENTENCES: dict[str, Callable[[_Epoch, list[str]], None]] = {
    "RMC": _rmc,
    "GGA": _gga,
    "GNS": _gns,
    "GLL": _gll,
    "GST": _gst,
    "GSA": _nothing,
    "VTG": _nothing,
    "ZDA": _nothing,
}
_FIELDS = 18  # the longest of them, GSA


# --- fields ---------------------------------------------------------------------------------------


def _place(epoch: _Epoch, f: list[str], *, rank: int) -> None:
    """The finer sentence gives the position; of equals the first."""
    lat, lon = _angle(f[0], f[1], "NS", 90), _angle(f[2], f[3], "EW", 180)
    if rank > epoch.rank and lat is not None and lon is not None:
        epoch.rank, epoch.lat, epoch.lon = rank, lat, lon


def _number(text: str) -> float | None:
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise _MalformedError
    return float(text)


def _angle(text: str, letter: str, letters: str, limit: int) -> float | None:
    """(d)ddmm.mmmm and its hemisphere as signed degrees."""
    if not text and not letter:
        return None
    match = _ANGLE.fullmatch(text)
    if match is None or len(letter) != 1 or letter not in letters:
        raise _MalformedError
    degrees, minutes = int(match[1]), float(match[2])
    value = degrees + minutes / 60
    if minutes >= 60 or value > limit:
        raise _MalformedError
    return -value if letter == letters[1] else value


def _second(text: str) -> float | None:
    if not text:
        return None
    match = _TIME.fullmatch(text)
    if match is None or int(match[1]) > 23 or int(match[2]) > 59 or float(match[3]) >= 61:
        raise _MalformedError
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])


def _day(day: str, month: str, year: str) -> int:
    """Days since 1970; two digits of a year are those of 1980 to 2079."""
    try:
        number = int(year)
        if len(year) == 2:
            number += 2000 if number < 80 else 1900
        return date(number, int(month), int(day)).toordinal() - EPOCH_DAY
    except ValueError:
        raise _MalformedError from None


def _knots(text: str) -> float | None:
    knots = _number(text)
    if knots is not None and knots < 0:
        raise _MalformedError
    return None if knots is None else knots * KNOT_MS


def _course(text: str) -> float | None:
    course = _number(text)
    if course is not None and not 0 <= course <= 360:
        raise _MalformedError
    return None if course is None else course % 360


def _dop(text: str) -> float | None:
    """99.9 and the like are how receivers write "none"."""
    dop = _number(text)
    return dop if dop is not None and 0 < dop < 99 else None
