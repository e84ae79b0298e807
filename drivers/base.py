"""The readings that drivers give and the ports that they fill.

A driver is a module with one `DRIVER`. Its `open` is an async context manager: it touches the
hardware, yields the port of its kind and closes the hardware again. Every reading carries `t`, the
monotonic second at which the driver received it. What goes wrong outside becomes `DriverError`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

from drivers.errors import DriverError as DriverError  # noqa: PLC0414 - found here with the ports

if TYPE_CHECKING:
    import msgspec


class Stuck(DriverError):
    """The device is there and does not obey: switching it off and on may help."""


class Clock(Protocol):
    """Time as drivers and services see it; the real one and the test's are in agent/core/clock."""

    def monotonic(self) -> float:
        """Seconds that never jump; for order and durations."""
        ...

    def wall(self) -> float:
        """Unix seconds as the machine believes them; may jump."""
        ...

    async def sleep(self, seconds: float) -> None: ...


# --- GPS ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fix:
    """What a receiver said about one epoch; without a position when it has none (mode < 2)."""

    t: float  # monotonic s
    mode: int  # 0 unknown, 1 no fix, 2 2D, 3 3D
    lat: float | None = None  # degrees WGS-84
    lon: float | None = None
    speed: float | None = None  # m/s over ground
    course: float | None = None  # degrees from true north, None when standing still
    sigma: float | None = None  # m, 1 sigma horizontal, only where the receiver states one
    hdop: float | None = None
    satellites: int | None = None  # used in the solution
    utc: float | None = None  # unix seconds by the receiver


@dataclass(frozen=True, slots=True)
class Satellite:
    """Where one stands in the sky, and how loud it is."""

    name: str  # system and number, e.g. "GP 12"
    elevation: int  # degrees above the horizon
    azimuth: int  # degrees from true north
    strength: float | None = None  # C/N0, dB-Hz; None or 0: not heard
    used: bool | None = None  # in the fix; None: not said


@dataclass(slots=True)
class About:
    """What a receiver shows beyond its fixes: for people who look, never for a decision.

    None, or empty, where it is not known. Texts are printable.
    """

    where: str = ""  # device or address
    model: str | None = None
    baud: int | None = None
    asked: tuple[str, ...] = ()  # what the receiver has agreed to, e.g. "no GSV"
    in_view: int | None = None  # satellites, used or not
    heard: Counter[str] = field(default_factory=Counter)  # sentences or reports, by type
    sky: tuple[Satellite, ...] = ()
    lines: tuple[str, ...] = ()  # the last that came, oldest first


class GpsReceiver(Protocol):
    rejected: Counter[str]  # input thrown away, by cause

    @property
    def about(self) -> About: ...

    def fixes(self) -> AsyncIterator[Fix]:
        """One `Fix` an epoch; raises DriverError when the receiver is gone or silent."""
        ...


# --- surroundings ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AccessPoint:
    bssid: str  # AA:BB:CC:DD:EE:FF
    signal: int  # percent, as the system rates it
    channel: int | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """Of a mobile network, as the world's cell registers number them."""

    mcc: int
    mnc: int
    area: int  # LAC or TAC
    cell: int


@dataclass(frozen=True, slots=True)
class Sighting:
    t: float  # monotonic s
    wifi: tuple[AccessPoint, ...] = ()
    cell: Cell | None = None


class Surroundings(Protocol):
    """What can be heard of other people's networks; for places without sky."""

    rejected: Counter[str]

    async def look(self) -> Sighting: ...


class Barometer(Protocol):
    """Air pressure; its change between two floors is 0.4 hPa or so."""

    async def pressure(self) -> float:
        """hPa, now; raises DriverError when the sensor is gone."""
        ...


# --- beacons --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Advert:
    """One advertisement as heard. `identity` is e.g. `ibeacon:UUID/major/minor`; an address alone
    is a Wi-Fi-like label that many beacons rotate, an identity alone is shared by hundreds."""

    t: float  # monotonic s
    address: str  # AA:BB:CC:DD:EE:FF
    rssi: int  # dBm
    identity: str | None = None
    power_1m: int | None = None  # dBm at 1 m as the beacon claims


Rung = Literal["restart", "power", "reset"]  # ways to wake a radio up, the gentlest first


class BeaconScanner(Protocol):
    rejected: Counter[str]

    def adverts(self) -> AsyncIterator[Advert]:
        """Every advertisement heard; raises DriverError when the radio is gone."""
        ...


class BeaconSender(Protocol):
    """The device's own beacon."""

    async def send(self, identifier: bytes) -> None:
        """Send this Eddystone-EID (8 bytes) from now on, instead of the one before."""
        ...

    async def withdraw(self) -> None:
        """Send nothing from now on."""
        ...

    async def broken(self) -> None:
        """Waits; raises DriverError when the radio is gone."""
        ...


# --- printers -------------------------------------------------------------------------------------


class Evidence(StrEnum):
    """What proves that paper came out, weakest first."""

    NONE = "none"  # bytes were accepted by the transport; no back channel
    BARRIER = "barrier"  # GS r answered behind the ticket: the buffer was processed
    JOB_ID = "job_id"  # Epson GS ( H: printing of this id is complete
    COUNTER = "counter"  # the cutter's counter moved by one


@dataclass(frozen=True, slots=True)
class PrinterStatus:
    """None means: the printer does not say."""

    online: bool | None = None
    paper: Literal["ok", "low", "out"] | None = None
    cover_open: bool | None = None
    error: str | None = None  # e.g. "cutter jammed"

    @property
    def fault(self) -> str | None:
        """The one thing that keeps it from printing: paper_out, cover_open, error, offline."""
        if self.paper == "out":
            return "paper_out"
        if self.cover_open:
            return "cover_open"
        if self.error:
            return "error"
        return "offline" if self.online is False else None


@dataclass(frozen=True, slots=True)
class Examination:
    """What a printer showed when it was tried out; its texts are a stranger's."""

    talks: bool
    maker: str = ""
    model: str = ""
    firmware: str = ""
    language: str = ""  # of its multi-byte characters, as it names them
    reports: bool = False  # faults by itself (ASB)
    job_id: bool = False  # answered GS ( H behind a ticket
    counter: bool = False  # the cutter's counter moved by one at each of two cuts
    barrier: bool = False


class Keeper(Protocol):
    """Keeps what must outlive this process, though not the machine's power. For any thread."""

    def take(self, name: str) -> int | None:
        """A file descriptor that an earlier life kept under this name; the taker's from now on."""
        ...

    def keep(self, name: str, fd: int) -> None: ...

    def drop(self, name: str) -> None:
        """Forget what was kept under this name."""
        ...

    def jot(self, name: str, text: str) -> None:
        """A short note; it replaces the one before."""
        ...

    def jotted(self, name: str) -> str:
        """The note, of this life or the one before; empty when there is none."""
        ...


class WriteError(DriverError):
    """A write broke off. `accepted` bytes may have reached the printer; 0 proves that none did."""

    def __init__(self, message: str, *, accepted: int) -> None:
        super().__init__(message)
        self.accepted = accepted


class Printer(Protocol):
    """An open ESC/POS printer. One job at a time; the caller owns the queue."""

    width_dots: int

    @property
    def talks(self) -> bool:
        """Whether it answered when it was opened; if not, jobs are written blindly."""
        ...

    async def status(self) -> PrinterStatus:
        """Asked now, or as last reported by itself; empty where the printer cannot say."""
        ...

    async def resync(self) -> None:
        """Leave whatever state a broken job left: drain input, finish a half raster, ESC @."""
        ...

    async def write(self, data: bytes) -> None:
        """All of it, or WriteError."""
        ...

    async def deliver(self, data: bytes, token: str) -> Evidence:
        """A job and the questions that prove it in one write, then as `barrier`.

        `token` names the job: four printable characters. WriteError when it broke off.
        """
        ...

    async def resume(self, token: str) -> Evidence:
        """What proves the job that an earlier life of this process delivered; NONE: nothing does.

        DriverError as for `barrier`; called again, it waits on.
        """
        ...

    async def mark(self) -> str | None:
        """What the printer's own counter shows before a job; None where none is to be trusted."""
        ...

    async def came_out(self, mark: str) -> bool | None:
        """Whether the one job sent since `mark` was cut off; None when nobody can tell."""
        ...

    async def barrier(self) -> Evidence:
        """Wait until what was written is on paper, as far as the printer can tell.

        Raises DriverError when the printer stops answering or reports a fault that it does not
        get over within the deadline: the job is then in doubt. Called again, it waits on.
        """
        ...

    async def examine(self, pages: Sequence[bytes]) -> Examination:
        """Print these pages, each ending with a cut, and see what the printer can prove."""
        ...

    async def news(self) -> None:
        """Returns when the printer says something by itself; never, where it cannot."""
        ...


# --- sound and panel ------------------------------------------------------------------------------


class SoundPlayer(Protocol):
    async def play(self, clips: Sequence[Path], volume: float = 1.0) -> None:
        """Returns when the last clip has ended; cancelling stops the sound at once."""
        ...


@dataclass(frozen=True, slots=True)
class Press:
    """Told twice: when the button goes down (`released` is False) and when it comes up."""

    t: float  # monotonic s, of this edge
    button: str  # "sos", "ack"
    held_s: float
    released: bool = True


class Panel(Protocol):
    """Buttons, lights and a buzzer."""

    def presses(self) -> AsyncIterator[Press]: ...

    async def light(self, name: str, state: Literal["off", "on", "blink"]) -> None: ...

    async def buzz(self, *, on: bool) -> None: ...


# --- drivers --------------------------------------------------------------------------------------

S_contra = TypeVar("S_contra", bound="msgspec.Struct", contravariant=True)
S = TypeVar("S", bound="msgspec.Struct")
P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Driver(Generic[S, P]):
    """The face of a driver module.

    `settings` is a msgspec Struct (`forbid_unknown_fields`, frozen) read from the section's
    sub-table of the driver's name, e.g. `[position.serial]`; a printer's comes from its URI.
    """

    name: str
    summary: str  # one sentence for the generated table of drivers
    settings: type[S]
    open: Callable[[S, Clock], AbstractAsyncContextManager[P]]
    made_up: bool = False  # a recording or a simulation: what it says is nobody's doing now
    recover: Callable[[S, Rung], Awaitable[None]] | None = None  # of a closed radio; DriverError
