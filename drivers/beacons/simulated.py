"""A radio that hears beacons along a ride: log-distance loss, shadows, noise and lost packets.

    rssi = power_1m - 10 n log10(d) - floors - body + shadow + fading + noise        d >= 0.5 m

Shadow and fading stay while nothing moves: the shadow of walls and shelves is forgotten over half a
metre, the fading of waves that meet over some centimetres. Noise is that of the packet, 0.17 of it
that of the packet before. The defaults are what recordings in rooms and malls showed (see
docs/arrival.md; `bench/arrival.py --air` measures them). Everything follows the seed and the clock.
`stall()` and `unplug()` are the faults of real radios, on command or by `faults`.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from heapq import heapify, heapreplace
from typing import Annotated, Literal

import msgspec

from drivers.base import Advert, BeaconScanner, Clock, Driver, DriverError, Rung
from drivers.beacons.recording import valid_rssi
from drivers.gps import simulated as gps

# Medians in a mall, of the loudest packet on each floor: the height is in them. More floors add
# nothing measurable.
FLOOR_LOSS_DB = (0.0, 21.0, 23.0, 26.0)
SHADOW_M, FADING_M = 0.55, 0.03  # over which they are forgotten to 1/e
NOISE_LAG = 0.17  # correlation with the packet before
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
    shadow_db: Annotated[float, msgspec.Meta(ge=0)] = 2.65  # 1 sigma; with the fading 5.3 dB
    fading_db: Annotated[float, msgspec.Meta(ge=0)] = 4.6  # 1 sigma
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


class _Path:
    """Between one sender and the listener: what follows the place, and what follows nothing."""

    def __init__(
        self, settings: Settings, chance: random.Random, east: float, north: float
    ) -> None:
        self._chance = chance
        self._at = east, north
        self._of_place = ((settings.shadow_db, SHADOW_M), (settings.fading_db, FADING_M))
        self._values = [chance.gauss(0, sigma) for sigma, _ in self._of_place]
        self._noise_db = settings.noise_db
        self._noise = chance.gauss(0, settings.noise_db)

    def loss(self, east: float, north: float) -> float:
        """DB of the next packet; negative is a gain."""
        moved = math.dist((east, north), self._at)
        if moved:
            self._at = east, north
            for n, (sigma, length) in enumerate(self._of_place):
                self._values[n] = self._follow(self._values[n], math.exp(-moved / length), sigma)
        self._noise = self._follow(self._noise, NOISE_LAG, self._noise_db)
        return sum(self._values) + self._noise

    def _follow(self, value: float, keep: float, sigma: float) -> float:
        return keep * value + self._chance.gauss(0, sigma) * math.sqrt(1 - keep * keep)


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
        self._paths: dict[str, _Path] = {}
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
        distance = max(NEAREST_M, math.hypot(east, north))
        path = self._paths.get(sender.address)
        if path is None:
            path = self._paths[sender.address] = _Path(self._settings, self._chance, east, north)
        return (
            sender.power_1m
            - 10 * self._settings.path_loss * math.log10(distance)
            - FLOOR_LOSS_DB[min(storeys, len(FLOOR_LOSS_DB) - 1)]
            - self._body(east, north, t)
            - path.loss(east, north)
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
