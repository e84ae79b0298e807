"""A radio that hears beacons along a ride: log-distance loss, shadows, noise and lost packets.

    rssi = power_1m - 10 n log10(d) - floors - body + shadow + noise        d >= 0.5 m

The shadow of a beacon stays while nothing moves and is forgotten over half a metre; the defaults
are what recordings in rooms and malls showed (see docs/arrival.md). Everything follows the seed and
the clock. `stall()` and `unplug()` are the faults of real radios, on command or by `faults`.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from heapq import heapify, heapreplace
from typing import Annotated, Literal

import msgspec

from drivers.base import Advert, BeaconScanner, Clock, Driver, DriverError, Rung
from drivers.beacons.recording import valid_rssi
from drivers.gps import simulated as gps

FLOOR_LOSS_DB = (0.0, 21.0, 23.0, 26.0)  # medians in a mall; more floors add nothing measurable
FLOOR_HEIGHT_M = 4.0
SHADOW_LENGTH_M = 0.5  # over which a shadow is forgotten to 1/e
SENSITIVITY_DBM = -95
NEAREST_M = 0.5
ADVERT_DELAY_S = 0.01  # a sender adds 0 to 10 ms to every interval (Bluetooth Core, advDelay)
PACKET_S = 0.000376  # of an advertisement of full length
TURN_RAD = 0.5  # 1 sigma after a second; a guess
UNMEASURED = 127
METRES_PER_DEGREE = math.radians(6371008.8)

_RUNGS: tuple[Rung, ...] = ("restart", "power", "reset")
Positive = Annotated[float, msgspec.Meta(gt=0)]
Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of the settings."""


class Sender(Section, frozen=True, kw_only=True):
    """A beacon on the wall."""

    address: Annotated[str, msgspec.Meta(pattern="^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$")]
    lat: float
    lon: float
    floor: int = 0  # storeys above the street
    identity: str | None = None
    power_1m: int = -59
    interval_s: Positive = 0.1


DEMO_BEACONS = tuple(
    Sender(
        address=f"C0:21:00:00:00:0{n}",
        identity=f"ibeacon:7e6985df-4aa3-4bda-bb8b-9f11bf8077a0/21/{n}",
        lat=lat,
        lon=lon,
    )
    for n, lat, lon in (
        (1, 31.23042, 121.47370),  # over the counter
        (2, 31.23039, 121.47373),  # at the door
        (3, 31.23039, 121.47367),  # at the pick-up shelf
    )
)


class Fault(Section, frozen=True, kw_only=True):
    """`stall`: silence; `unplug`: the radio is gone. Seconds count from the opening."""

    kind: Literal["stall", "unplug"]
    at_s: Annotated[float, msgspec.Meta(ge=0)]
    for_s: Positive = 60.0


class Settings(Section, frozen=True, kw_only=True):
    """Without a `track` the scanner rests at lat, lon. With one it follows the ride that the
    simulated receiver is on with the same `track`, `started_at` and `loop`."""

    beacons: tuple[Sender, ...] = DEMO_BEACONS
    track: str | None = None  # CSV of t,lat,lon
    started_at: float = 0.0  # unix s at which the ride began
    loop: bool = True
    lat: float = 31.2304
    lon: float = 121.4737
    floor: int = 0
    seed: int = 1
    path_loss: Positive = 1.6  # n
    shadow_db: Annotated[float, msgspec.Meta(ge=0)] = 5.3  # 1 sigma
    noise_db: Annotated[float, msgspec.Meta(ge=0)] = 2.7  # 1 sigma, packet by packet
    loss: Share = 0.13
    body_db: Annotated[float, msgspec.Meta(ge=0, le=30)] = 0.0  # of a beacon behind the rider
    others: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0  # senders that are not heard singly
    others_interval_s: Positive = 1.0
    scan_window_s: Positive = 0.1  # of each interval, the radio listens so long
    scan_interval_s: Positive = 0.1
    cycle_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0  # > 0: a report a beacon and cycle (10.5)
    unmeasured: Share = 0.0  # packets whose RSSI the adapter does not know
    faults: list[Fault] = []


@dataclass(slots=True)
class _Shadow:
    """A Gaussian that follows the place: correlated over SHADOW_LENGTH_M."""

    value: float
    east: float
    north: float

    def at(self, east: float, north: float, sigma: float, chance: random.Random) -> float:
        moved = math.hypot(east - self.east, north - self.north)
        if moved:
            keep = math.exp(-moved / SHADOW_LENGTH_M)
            self.value = keep * self.value + chance.gauss(0, sigma) * math.sqrt(1 - keep**2)
            self.east, self.north = east, north
        return self.value


class Air:
    """What comes through the air to a listener at `where(t) -> (lat, lon)`, without any waiting.

    `start` and all `t` in seconds of one clock.
    """

    def __init__(
        self, settings: Settings, where: Callable[[float], tuple[float, float]], start: float
    ) -> None:
        self.floor = settings.floor
        self._settings = settings
        self._where = where
        self._start = start
        self._chance = random.Random(settings.seed)  # noqa: S311 - a simulation, not a secret
        self._shadows: dict[str, _Shadow] = {}
        self._reported: dict[str, int] = {}  # address -> scan cycle
        self._facing = (start, 0.0)  # since when, radians
        self._loss = 1 - (1 - settings.loss) * (1 - collisions(settings))
        self._due = [(start + self._chance.random() * b.interval_s, n)
                     for n, b in enumerate(settings.beacons)]  # fmt: skip
        heapify(self._due)

    def next(self) -> tuple[float, Sender] | None:
        """When the next packet is sent, and by whom; None when nobody is there."""
        if not self._due:
            return None
        t, n = self._due[0]
        sender = self._settings.beacons[n]
        delay = self._chance.random() * ADVERT_DELAY_S
        heapreplace(self._due, (t + sender.interval_s + delay, n))
        return t, sender

    def rssi(self, sender: Sender, t: float) -> int | None:
        """DBm of its packet; None when it is lost, too weak, or not reported; UNMEASURED."""
        if self._chance.random() < self._loss:
            return None
        level = self._level(sender, t)
        if level < SENSITIVITY_DBM or not self._reports(sender, t):
            return None
        unmeasured = self._settings.unmeasured
        return UNMEASURED if unmeasured and self._chance.random() < unmeasured else round(level)

    def _level(self, sender: Sender, t: float) -> float:
        lat, lon = self._where(t)
        east = (lon - sender.lon) * METRES_PER_DEGREE * math.cos(math.radians(lat))
        north = (lat - sender.lat) * METRES_PER_DEGREE
        storeys = abs(self.floor - sender.floor)
        distance = max(NEAREST_M, math.hypot(east, north, storeys * FLOOR_HEIGHT_M))
        sigma = self._settings.shadow_db
        shadow = self._shadows.setdefault(
            sender.address, _Shadow(self._chance.gauss(0, sigma), east, north)
        )
        return (
            sender.power_1m
            - 10 * self._settings.path_loss * math.log10(distance)
            - FLOOR_LOSS_DB[min(storeys, len(FLOOR_LOSS_DB) - 1)]
            - self._body(east, north, t)
            + shadow.at(east, north, sigma, self._chance)
            + self._chance.gauss(0, self._settings.noise_db)
        )

    def _body(self, east: float, north: float, t: float) -> float:
        """DB that the rider, who turns as people do, takes away from a beacon behind them."""
        if not self._settings.body_db:
            return 0.0
        since, facing = self._facing
        if t > since:
            facing += self._chance.gauss(0, TURN_RAD * math.sqrt(t - since))
            self._facing = t, facing
        return self._settings.body_db * (1 - math.cos(math.atan2(north, east) - facing)) / 2

    def _reports(self, sender: Sender, t: float) -> bool:
        """Whether the adapter listens, and tells of one that it has told of."""
        age, settings = t - self._start, self._settings
        if age % settings.scan_interval_s >= settings.scan_window_s:
            return False
        cycle = int(age / settings.cycle_s) if settings.cycle_s else None
        if cycle is not None and self._reported.get(sender.address) == cycle:
            return False
        if cycle is not None:
            self._reported[sender.address] = cycle
        return True


def collisions(settings: Settings) -> float:
    """Share of packets that others destroy: 1 - (1 - 2 * 0.376 ms / I) ^ N."""
    busy = min(1.0, 2 * PACKET_S / settings.others_interval_s)
    return 1 - (1 - busy) ** settings.others


class SimulatedRadio:
    """An adapter that outlives its scans: what stands still needs something to move again."""

    def __init__(self) -> None:
        self.needs: Rung | None = None  # the least that ends the stall
        self.tried: list[Rung] = []

    def stall(self, needs: Rung = "restart") -> None:
        """From now on nothing is heard, without any error."""
        self.needs = needs

    async def recover(self, rung: Rung) -> None:
        self.tried.append(rung)
        if self.needs is not None and _RUNGS.index(rung) >= _RUNGS.index(self.needs):
            self.needs = None


class SimulatedScanner:
    """A `BeaconScanner` whose rider is `where(wall time) -> (lat, lon)`."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        where: Callable[[float], tuple[float, float]],
        radio: SimulatedRadio | None = None,
    ) -> None:
        self.rejected: Counter[str] = Counter()
        self._settings = settings
        self._clock = clock
        self._opened = clock.monotonic()
        self._air = Air(settings, lambda _t: where(clock.wall()), self._opened)
        self._radio = radio or SimulatedRadio()
        if self._radio.needs == "restart":
            self._radio.needs = None
        self._unplugged = False

    @property
    def floor(self) -> int:
        return self._air.floor

    @floor.setter
    def floor(self, floor: int) -> None:
        self._air.floor = floor

    def stall(self, *, stalled: bool = True) -> None:
        """From now on nothing is heard, without any error; or it is heard again."""
        self._radio.needs = "restart" if stalled else None

    def unplug(self) -> None:
        self._unplugged = True

    async def adverts(self) -> AsyncIterator[Advert]:
        while (packet := self._air.next()) is not None:
            t, sender = packet
            await self._clock.sleep(t - self._clock.monotonic())
            if self._unplugged or "unplug" in self._faults():
                raise DriverError("the Bluetooth adapter is gone; plug it in again")
            rssi = self._air.rssi(sender, t)
            if rssi is None or self._radio.needs is not None or "stall" in self._faults():
                continue
            if not valid_rssi(rssi):
                self.rejected["rssi_unknown"] += 1
                continue
            yield Advert(self._clock.monotonic(), sender.address.upper(), rssi,
                         sender.identity, sender.power_1m)  # fmt: skip

    def _faults(self) -> Iterator[str]:
        age = self._clock.monotonic() - self._opened
        return (f.kind for f in self._settings.faults if f.at_s <= age < f.at_s + f.for_s)


def _route(settings: Settings) -> Callable[[float], tuple[float, float]]:
    """Where the rider is at a wall time."""
    if settings.track is None:
        return lambda _wall: (settings.lat, settings.lon)
    ride = gps.truth(
        gps.Settings(track=settings.track, started_at=settings.started_at, loop=settings.loop)
    )
    return lambda wall: ride(wall)[:2]


@asynccontextmanager
async def open_scanner(settings: Settings, clock: Clock) -> AsyncIterator[BeaconScanner]:
    yield SimulatedScanner(settings, clock, _route(settings))


DRIVER = Driver(
    name="simulated",
    summary="A radio that hears simulated beacons along a simulated ride.",
    settings=Settings,
    open=open_scanner,
)
