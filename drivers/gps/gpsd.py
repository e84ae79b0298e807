r"""Fixes from a running gpsd, over its JSON protocol (gpsd_json(5)), on a socket of our own.

    -> ?WATCH={"enable":true,"json":true}\n
    <- {"class":"TPV","device":"/dev/ttyACM0","mode":3,"time":"2026-11-22T06:10:51.000Z",
        "lat":31.2304,"lon":121.4737,"track":65.1,"speed":5.2,"eph":17.3,...}\r\n
    <- {"class":"DEVICES","devices":[{"path":"/dev/ttyACM0","driver":"u-blox","bps":9600,..}]}\r\n
    <- {"class":"DEVICE","path":"/dev/ttyACM0","activated":0}\r\n           (it was unplugged)
    <- {"class":"SKY","hdop":0.76,"satellites":[{"PRN":1,"used":true},...],...}\r\n

gpsd-py3 decodes the reports. Its own connection has no timeout and its getters guess (a missing
position becomes 0/0, a speed below its error estimate 0), so neither is used. The error estimates
of gpsd (eph, epx, epy) are DOP times a constant and no sigma, so they are not used either.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from drivers.base import About, Clock, Driver, DriverError, Fix, GpsReceiver
from drivers.gps.sky import Last, of_gpsd

WATCH = b'?WATCH={"enable":true,"json":true}\n'
CONNECT_S = 3.0
FIRST_S = 20.0  # gpsd may have to find the receiver's speed first
LINE_MAX = 64 * 1024  # a SKY report with 140 satellites is 12 KiB
MANY = 512  # satellites; more is nonsense
TEXT_MAX = 80
CLASSES = ("TPV", "SKY", "GST", "PPS", "TOFF", "ATT")  # of reports that are counted by name


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535)] = 2947
    device: str | None = None  # of several receivers behind one gpsd, this one
    silence_s: Annotated[float, Meta(gt=0)] = 3.0


class _Device(msgspec.Struct, frozen=True):
    path: str = ""
    driver: str | None = None
    subtype: str | None = None
    bps: int | None = None
    activated: str | float = ""  # 0 of one that has gone


class _Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """The fields of TPV and SKY that are used, with their types checked."""

    class_: str = msgspec.field(name="class", default="")
    device: str | None = None
    mode: Annotated[int, Meta(ge=0, le=3)] = 0
    time: str | None = None
    lat: Annotated[float, Meta(ge=-90, le=90)] | None = None
    lon: Annotated[float, Meta(ge=-180, le=180)] | None = None
    speed: Annotated[float, Meta(ge=0)] | None = None
    track: Annotated[float, Meta(ge=0, le=360)] | None = None
    hdop: float | None = None
    satellites: Annotated[list[_Satellite], Meta(max_length=MANY)] | None = None
    path: str = ""  # of a DEVICE, as the next four
    driver: str | None = None
    subtype: str | None = None
    bps: int | None = None
    activated: str | float = ""
    devices: Annotated[list[_Device], Meta(max_length=MANY)] = []


class _Satellite(msgspec.Struct, frozen=True):
    used: bool = False
    PRN: int | None = None
    el: float | None = None
    az: float | None = None
    ss: float | None = None


_decoder = msgspec.json.Decoder(_Report)


class GpsdReceiver:
    """See open_receiver."""

    def __init__(self, settings: Settings, clock: Clock, reader: asyncio.StreamReader) -> None:
        self.rejected: Counter[str] = Counter()
        self._settings = settings
        self._clock = clock
        self._reader = reader
        self._sky: dict[str, Any] = {}
        self._time: str | None = None  # of the newest fix
        self._devices: dict[str, _Device] | None = None  # None: gpsd has not said
        self._heard: Counter[str] = Counter()
        self._last = Last()

    @property
    def about(self) -> About:
        """Reports are counted by class: gpsd does not say which sentences it heard."""
        devices, wanted = self._devices or {}, self._settings.device
        device = devices.get(wanted) if wanted else next(iter(devices.values()), None)
        satellites = self._sky.get("satellites")
        about = About(f"gpsd {self._settings.host}:{self._settings.port}", heard=self._heard)
        about.in_view = None if satellites is None else len(satellites)
        about.sky, about.lines = of_gpsd(satellites or ()), self._last.lines()
        if device is not None:
            about.where += f" {_printable(device.path)}"
            about.model = (
                _printable(f"{device.driver or ''} {device.subtype or ''}").strip() or None
            )
            about.baud = device.bps
        return about

    async def fixes(self) -> AsyncIterator[Fix]:
        """DriverError when gpsd closes, or when it has no new fix for `silence_s`.

        gpsd goes on answering when its receiver has died, so only a new fix counts as life.
        """
        deadline = self._clock.monotonic() + max(FIRST_S, self._settings.silence_s)
        while True:
            line = await self._line(deadline)
            now = self._clock.monotonic()
            fix = self._decode(line, now)
            if fix is not None:
                deadline = fix.t + self._settings.silence_s
                yield fix
            elif now > deadline:  # it says so much that there is always a line to read
                raise DriverError(self._silence())

    async def _line(self, deadline: float) -> bytes:
        host, port = self._settings.host, self._settings.port
        try:
            async with asyncio.timeout(max(0.0, deadline - self._clock.monotonic())):
                line = await self._reader.readline()
        except TimeoutError as error:
            raise DriverError(self._silence()) from error
        except ValueError:  # longer than LINE_MAX; the reader has thrown it away
            self.rejected["too long"] += 1
            return b"{}"
        except OSError as error:
            raise DriverError(f"the connection to gpsd broke off: {error}") from error
        if not line.endswith(b"\n"):
            raise DriverError(f"gpsd at {host}:{port} has closed the connection; is it running?")
        return line

    def _silence(self) -> str:
        where = f"gpsd at {self._settings.host}:{self._settings.port}"
        if self._devices is not None and not self._devices:
            return f"{where} has no receiver; plug it in, or name it in /etc/default/gpsd (DEVICES)"
        if self._heard["TPV"]:
            return (
                f"{where} has had no new fix from its receiver for"
                f" {self._settings.silence_s:g} s; check the receiver's cable and power"
            )
        return (
            f"{where} has no news from its receiver; check the receiver's cable and DEVICES in"
            " /etc/default/gpsd"
        )

    def _device(self, report: _Report) -> None:
        """Which receivers gpsd has; DriverError when ours has gone."""
        if report.class_ == "DEVICES":
            self._devices = {device.path: device for device in report.devices}
            return
        devices = self._devices = self._devices or {}
        if report.activated not in (0, "0"):
            if len(devices) >= MANY:
                devices.clear()
            devices[report.path] = _Device(
                report.path, report.driver, report.subtype, report.bps, report.activated
            )
            return
        devices.pop(report.path, None)
        if self._settings.device == report.path or not devices:
            raise DriverError(
                f"gpsd has lost its receiver {_printable(report.path)}; plug it in again"
            )

    def _decode(self, line: bytes, t: float) -> Fix | None:
        self._last.hear(line)
        try:
            report = _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.rejected["malformed"] += 1
            return None
        self._heard[report.class_ if report.class_ in CLASSES else "other"] += 1
        if report.class_ in ("DEVICE", "DEVICES"):
            self._device(report)
            return None
        if self._settings.device not in (None, report.device):
            return None
        if report.class_ == "SKY":
            seen = msgspec.to_builtins(report)
            self._sky |= {key: seen[key] for key in ("hdop", "satellites") if key in seen}
        if report.class_ != "TPV" or (report.time is not None and report.time == self._time):
            return None
        self._time = report.time
        return self._fix(report, t)

    def _fix(self, report: _Report, t: float) -> Fix | None:
        said = _response({"mode": report.mode} | msgspec.to_builtins(report), self._sky)
        utc = None
        if report.time is not None:
            try:
                utc = datetime.fromisoformat(report.time).timestamp()
            except (ValueError, OverflowError):
                self.rejected["malformed time"] += 1
                return None
        if said.mode < 2 or report.lat is None or report.lon is None:
            return Fix(t, min(said.mode, 1), utc=utc)
        return Fix(
            t,
            said.mode,
            said.lat,
            said.lon,
            said.hspeed if report.speed is not None else None,
            said.track if report.track is not None else None,
            hdop=self._sky.get("hdop"),
            satellites=said.sats_valid if "satellites" in self._sky else None,
            utc=utc,
        )


def _printable(text: str) -> str:
    """A stranger's text without control bytes."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:TEXT_MAX])


def _response(tpv: dict[str, Any], sky: dict[str, Any]) -> Any:
    """gpsd-py3's object; it needs a mode, and `used` in every satellite."""
    from gpsd import GpsResponse

    decode: Any = GpsResponse.from_json  # untyped
    return decode({"active": 1, "tpv": [tpv], "sky": [sky]})


@asynccontextmanager
async def open_receiver(settings: Settings, clock: Clock) -> AsyncIterator[GpsReceiver]:
    where = f"{settings.host}:{settings.port}"
    try:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(
                settings.host, settings.port, limit=LINE_MAX
            )
    except (OSError, TimeoutError) as error:
        raise DriverError(
            f"no gpsd at {where} ({str(error) or 'no answer'}); start it with: systemctl start gpsd"
        ) from error
    try:
        writer.write(WATCH)
        yield GpsdReceiver(settings, clock, reader)
    finally:
        writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(CONNECT_S):
                await writer.wait_closed()


DRIVER = Driver(
    name="gpsd",
    summary="Fixes from a running gpsd.",
    settings=Settings,
    open=open_receiver,
)
