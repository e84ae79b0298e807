"""How much of a rider's whereabouts may be known; pure.

    off       the receiver is not read at all
    idle      a cell of a fixed grid, at fixed times, without speed or course
    delivery  exactly

Whereabouts are sensitive personal information (China: PIPL art. 28, 29; GB/T 45574-2025): only with
a consent of their own, and no finer or oftener than the purpose needs.

An idle rider's report is a function of the cell and of a secret of the device, of nothing else.
However many are averaged, they say no more than one: the noise sticks to the cell (noise drawn anew
each time averages out). Nor do the times say more, they are fixed; and the cell only changes when
the rider is well outside of the old one, so a rider near a border does not draw it.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from math import ceil, cos, degrees, floor, radians
from typing import Literal

import msgspec

from agent.positioning.geodesy import EARTH_RADIUS_M

Duty = Literal["off", "idle", "delivering"]
Mode = Literal["off", "idle", "delivery"]

IDLE_EVERY_S = 120.0
HYSTERESIS = 0.15  # of a cell's side, beyond its border
NOISE = 0.25  # of a cell's side, to either side of its centre
RADIUS_68 = 0.55  # sides; a rider anywhere in the cell is nearer with 68 %, by simulation
BEAT_TOLERANCE_S = 0.05
WHEREABOUTS = frozenset({"position", "scan", "fence", "arrival"})  # kinds of events
LIGHTS: dict[Mode, Literal["off", "on", "blink"]] = {
    "off": "off",
    "idle": "blink",
    "delivery": "on",
}
DUTY_OF: dict[Mode, Duty] = {"off": "off", "idle": "idle", "delivery": "delivering"}


def mode_of(*, consent: bool, duty: Duty, live_orders: bool, sos: bool) -> Mode:
    """What the moment allows. Whoever raises an SOS asks to be found: it overrides the rest.

    A live order makes an idle rider deliver; it does not call one who is off duty.
    """
    if sos:
        return "delivery"
    if not consent or duty == "off":
        return "off"
    return "delivery" if duty == "delivering" or live_orders else "idle"


class Consent(msgspec.Struct, frozen=True):
    """What a rider agreed to, or took back; the newest one counts."""

    given: bool
    person: str  # who, as the fleet names riders; not a name, if it can be avoided
    notice: str  # version of the text that was shown
    by: str  # through which door: cli, page, command:ID
    t: int  # unix ms

    def covers(self, notice: str) -> bool:
        """Whether it is a consent to this version of the text."""
        return self.given and self.notice == notice


@dataclass(frozen=True, slots=True)
class Cell:
    """A field of the grid: rows run along the equator, each with its own number of columns."""

    row: int
    column: int


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells of `side_m` by about `side_m`, the same for all devices and for ever."""

    side_m: float

    def cell(self, lat: float, lon: float) -> Cell:
        row = floor(lat / self._height)
        columns = self._columns(row)  # rounding may put the last degree's end into one more
        return Cell(row, floor((lon + 180) * columns / 360) % columns)

    def holds(self, cell: Cell, lat: float, lon: float, *, margin: float = 0.0) -> bool:
        """Whether the place is in the cell, widened by `margin` sides on each side."""
        north = lat / self._height - cell.row
        columns = self._columns(cell.row)
        east = (lon + 180) * columns / 360 - cell.column
        east = (east + columns / 2) % columns - columns / 2  # the last is beside the first
        return -margin <= north < 1 + margin and -margin <= east < 1 + margin

    def place(self, cell: Cell, north: float, east: float) -> tuple[float, float]:
        """A place in the cell; from its south-west corner in sides, 0 to 1."""
        lat = (cell.row + north) * self._height
        lon = (cell.column + east) * 360 / self._columns(cell.row) - 180
        return min(max(lat, -90.0), 90.0), (lon + 180) % 360 - 180

    @property
    def _height(self) -> float:
        return degrees(self.side_m / EARTH_RADIUS_M)

    def _columns(self, row: int) -> int:
        """Around the earth."""
        across = cos(radians(min(abs(row + 0.5) * self._height, 89.9)))
        return ceil(360 * across / self._height)


@dataclass(frozen=True, slots=True)
class Blurred:
    lat: float
    lon: float
    acc: float  # m, 68 %; the same for every cell
    first: bool  # of this idle time


@dataclass(slots=True)
class Blur:
    """What may be told of an idle rider, and when. A new one for each idle time."""

    grid: Grid
    secret: bytes  # of the device
    every_s: float
    _cell: Cell | None = None
    _told: float | None = None

    def react(self, t: float, lat: float, lon: float) -> Blurred | None:
        """For each fix, `t` in monotonic seconds; None while it is not time to say anything."""
        if self._cell is None or not self.grid.holds(self._cell, lat, lon, margin=HYSTERESIS):
            self._cell = self.grid.cell(lat, lon)
        first = self._told is None
        if self._told is not None and t - self._told < self.every_s - BEAT_TOLERANCE_S:
            return None
        self._told = t
        return Blurred(*self._place(self._cell), round(RADIUS_68 * self.grid.side_m), first)

    def _place(self, cell: Cell) -> tuple[float, float]:
        """The cell's centre, moved by noise that always is the same in this cell."""
        digest = hmac.digest(self.secret, f"{cell.row}/{cell.column}".encode(), "sha256")
        north, east = (
            0.5 + NOISE * (int.from_bytes(part) / 2**63 - 1) for part in (digest[:8], digest[8:16])
        )
        lat, lon = self.grid.place(cell, north, east)
        return round(lat, 6), round(lon, 6)
