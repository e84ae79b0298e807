"""The configuration model; `load()` reports every problem at once, with what was perhaps meant."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from agent import layers
from agent.alerting.quiet import SPAN
from agent.contract import topics
from agent.contract.local import STORE_DEFAULT
from agent.layers import ConfigError
from agent.positioning.reporting import CHOOSABLE, IDLE
from agent.shapes import hint, walk
from drivers.catalog import CATALOG
from drivers.catalog import load as load_driver

# kind of driver -> section that chooses one
SECTIONS = {
    "gps": "position",
    "surroundings": "surroundings",
    "beacons": "beacons",
    "advertiser": "beacon",
    "sound": "sound",
    "panel": "panel",
}
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
Duration = Annotated[str, Meta(pattern=r"^[0-9]+(ms|s|m|h|d)$")]


def says(meaning: str) -> Meta:
    """What a setting is for; from here it gets into docs/configuration.md and the JSON Schema."""
    return Meta(description=meaning)


# The settings of one driver, in a sub-table of its name, e.g. [position.serial].
OfDriver = Annotated[dict[str, Any], says("settings of that driver, see docs/drivers.md")]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every section; an unknown key is a mistake, not an extension."""


class Device(Section, frozen=True, kw_only=True):
    """Who this device is."""

    id: Annotated[
        str,
        Meta(pattern=topics.DEVICE_ID.pattern),
        says("its name for the back end: one level of every topic, the MQTT client id; no dots"),
    ]
    site: Annotated[str, says("where it belongs; the back end sees it in `state`")] = ""
    clock: Annotated[
        Literal["kernel", "trusted"],
        says("`trusted` where something outside keeps the time, as for a container"),
    ] = "kernel"
    timezone: Annotated[
        str | None,
        says("of the times on tickets, e.g. `Asia/Shanghai`; none: as the system has it"),
    ] = None

    @property
    def zone(self) -> ZoneInfo | None:
        return None if self.timezone is None else ZoneInfo(self.timezone)


class Store(Section, frozen=True, kw_only=True):
    """Where everything waits until the back end has it."""

    path: Annotated[str, says("the database; the control socket lies beside it")] = STORE_DEFAULT
    max_mb: Annotated[
        float,
        Meta(ge=1),
        says("beyond it the oldest telemetry, then state, gives way; orders, prints and SOS never"),
    ] = 200.0
    keep_telemetry: Annotated[
        Duration, says("positions, health, errors that waited longer are given up; a gap says so")
    ] = "72h"
    keep_state: Annotated[
        Duration, says("the same for fences, arrivals and what staff set; orders never expire")
    ] = "30d"


class Uplink(Section, frozen=True, kw_only=True):
    """The way to the broker."""

    url: Annotated[
        str, Meta(pattern=r"^mqtts?://[^/\s]+$"), says("mqtt:// or mqtts://HOST[:PORT]; MQTT 5")
    ] = "mqtt://127.0.0.1:1883"
    fallbacks: Annotated[
        list[Annotated[str, Meta(pattern=r"^mqtts?://[^/\s]+$")]],
        Meta(max_length=4),
        says("other brokers, in this order, for the time in which `url` cannot be reached"),
    ] = []
    return_after: Annotated[
        Duration, says("so often, from another broker, `url` is looked at, and returned to")
    ] = "10m"
    reconnect_window_s: Annotated[
        float,
        Meta(ge=0, le=3600),
        says("when a broker ends the connection, come back at any time within so many seconds"),
    ] = 0.0
    id_property: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,32}$")] | None,
        says("an MQTT user property of this name carries the id, for brokers that spread devices"),
    ] = None
    confirm: Annotated[
        Literal["backend", "broker"],
        says("who must have an event before it is forgotten here: `backend` waits for its `ack`"),
    ] = "backend"
    keepalive_s: Annotated[
        int, Meta(ge=5, le=3600), says("MQTT keep-alive: how soon either side notices a dead line")
    ] = 30
    session_expiry: Annotated[
        Duration, says("so long the broker keeps orders and commands for an absent device")
    ] = "7d"
    username: Annotated[str | None, says("for brokers that want one")] = None
    password_file: Annotated[
        str | None, says("file with the password in its first line; none is kept in here")
    ] = None
    ca: Annotated[str | None, says("PEM file to check the broker by; else the system's")] = None
    cert: Annotated[str | None, says("PEM file with this device's certificate")] = None
    key: Annotated[str | None, says("PEM file with its private key")] = None
    retry_max_s: Annotated[Positive, says("longest pause between two attempts to connect")] = 60.0


class PositionConfig(Section, frozen=True, kw_only=True):
    """Where the rider is; see docs/positioning.md."""

    driver: Annotated[str, says("a driver of the kind gps")] = "gpsd"
    profile: Annotated[
        str, says("named defaults of the next three: `seed`, `economy`, `distance50`, `live`")
    ] = "seed"
    datum: Annotated[
        Literal["wgs84", "gcj02"], says("of the positions that are sent; each says which it is")
    ] = "wgs84"
    max_error_m: Annotated[
        Positive | None,
        says("metres by which the back end may be wrong; none: as the profile says"),
    ] = None
    moving_s: Annotated[
        NotNegative | None,
        says("longest silence of a moving rider; 0: no heartbeat; none: as the profile says"),
    ] = None
    still_s: Annotated[
        NotNegative | None, says("longest silence of a standing rider; likewise")
    ] = None
    gpsd: OfDriver = {}
    serial: OfDriver = {}
    replay: OfDriver = {}
    simulated: OfDriver = {}


class Privacy(Section, frozen=True, kw_only=True):
    """How much of a rider's whereabouts is collected; see docs/privacy.md."""

    consent: Annotated[
        Literal["required", "elsewhere"] | None,
        says(
            "`required`: no position before the rider's consent is recorded here; `elsewhere`: the"
            " employer keeps it; none: required, but for a recording or a simulation"
        ),
    ] = None
    notice: Annotated[Name, says("version of the text in force; a new one asks anew")] = "1"
    duty: Annotated[
        Literal["off", "idle", "delivering"],
        says("of a rider who has not used the duty switch; an order makes idle delivering"),
    ] = "delivering"
    cell_m: Annotated[
        float, Meta(ge=200, le=20_000), says("metres to which an idle rider's place is blurred")
    ] = 1000.0


class SurroundingsConfig(Section, frozen=True, kw_only=True):
    """Wi-Fi access points or the mobile cell, told while the receiver sees no sky; off without
    this section."""

    driver: Annotated[str, says("a driver of the kind surroundings")]
    every: Annotated[Duration, says("between two looks, and without a fix for as long")] = "60s"
    nmcli: OfDriver = {}
    mmcli: OfDriver = {}


class FenceConfig(Section, frozen=True, kw_only=True):
    """A circle (`lat`, `lon`, `radius_m`) or a `polygon` whose crossing the back end hears of."""

    id: Annotated[Name, says("its name in `fence` events")]
    lat: Annotated[Latitude | None, says("degrees WGS-84, of the centre")] = None
    lon: Annotated[Longitude | None, says("degrees WGS-84, of the centre")] = None
    radius_m: Annotated[Positive, says("metres")] = 100.0
    polygon: Annotated[
        list[tuple[Latitude, Longitude]],
        says("instead of the circle: three corners or more as `[lat, lon]`, in order"),
    ] = []
    dwell_s: Annotated[
        Positive | None, says("who is inside for so long is told of again; none: nobody")
    ] = None


class Beacons(Section, frozen=True, kw_only=True):
    """Bluetooth beacons of shops."""

    driver: Annotated[str, says("a driver of the kind beacons")] = "bluez"
    places: Annotated[
        str | None,
        says(
            "file that says which beacon hangs where; example: config/places.toml. none:"
            " /etc/edge-agent/places.toml if there is one, and what orders name"
        ),
    ] = None
    bluez: OfDriver = {}
    replay: OfDriver = {}
    simulated: OfDriver = {}


class BeaconConfig(Section, frozen=True, kw_only=True):
    """The device's own beacon: with this section it sends one; see docs/arrival.md."""

    driver: Annotated[str, says("a driver of the kind advertiser")] = "bluez"
    bluez: OfDriver = {}
    simulated: OfDriver = {}


class PrinterConfig(Section, frozen=True, kw_only=True):
    """A ticket printer; one section each."""

    name: Annotated[Name, says("its name for people and in `print` events")]
    uri: Annotated[
        str,
        Meta(pattern=r"^(tcp|usb|serial|file|simulated)://"),
        says("how it is connected; see docs/drivers.md"),
    ]
    charset: Annotated[
        Literal["gb18030", "gbk", "big5", "shift_jis", "euc_kr", "utf8", "raster"],
        says("of its character ROM; a line it lacks is drawn, `raster` draws every line"),
    ] = "gb18030"
    width_mm: Annotated[Literal[58, 80], says("paper width")] = 80
    columns: Annotated[
        Literal[32, 42, 48] | None, says("characters a line; none: 32 on 58 mm, 48 on 80 mm")
    ] = None
    dots: Annotated[
        Annotated[int, Meta(ge=200, le=1000)] | None,
        says("dots across; none: 384 for 32 columns, 512 for 42, 576 for 48"),
    ] = None
    template: Annotated[
        Name, says("how its tickets look: `kitchen`, `expo`, `receipt` or one of your own")
    ] = "kitchen"
    lead: Annotated[
        Duration | None,
        says("a scheduled order is printed so long before it is due; none: at once"),
    ] = "60m"
    stations: Annotated[
        list[str], says("only dishes of these stations or categories; none: every dish")
    ] = []
    backup: Annotated[
        str | None, says("name of the printer that takes over while this one cannot print")
    ] = None
    stale_after: Annotated[
        Duration, says("a ticket that waited longer for the printer waits for a person's word")
    ] = "30m"
    copies: Annotated[int, Meta(ge=1, le=9), says("of each ticket")] = 1
    exclusive: Annotated[
        bool, says("tcp: nobody else prints here, so stay connected and see faults at once")
    ] = False
    evidence: Annotated[
        Literal["barrier", "job_id", "counter"],
        says("the best proof that it was seen to give; `printer test` finds out"),
    ] = "barrier"
    beep: Annotated[int, Meta(ge=0, le=9), says("times its own buzzer sounds a ticket")] = 0
    drawer: Annotated[
        bool, says("a cash drawer hangs on it: opened by a ticket on which cash is due")
    ] = False
    qr: Annotated[
        Literal["native", "raster"], says("who draws QR codes: the printer, or we where it cannot")
    ] = "native"
    font: Annotated[str | None, says("file asked first for characters that the printer lacks")] = (
        None
    )


class Tickets(Section, frozen=True, kw_only=True):
    """The shop's own ticket templates; see docs/printing.md."""

    folder: Annotated[
        str, says("where they lie: `NAME.ticket`; one named like ours is used instead of ours")
    ] = "/etc/edge-agent/tickets"


class Sound(Section, frozen=True, kw_only=True):
    """The loudspeaker; without this section the device is silent. See docs/alerts.md."""

    driver: Annotated[str, says("a driver of the kind sound")] = "alsa"
    device: Annotated[str, says("ALSA device; `aplay -L` lists them")] = "default"
    volume: Annotated[float, Meta(ge=0, le=1), says("0 to 1, until an alert escalates")] = 1.0
    prompts: Annotated[
        str | None, says("folder with the shop's own WAV files, by the names of ours")
    ] = None
    language: Annotated[Literal["zh", "en"], says("of the voice that ships")] = "zh"
    simulated: OfDriver = {}


class Alert(Section, frozen=True, kw_only=True):
    """How alerts insist."""

    repeat_s: Annotated[Positive, says("between two sounds")] = 8.0
    escalate_s: Annotated[
        tuple[Positive, ...] | Positive,
        says("without an answer for so long: louder, then siren and buzzer; each is told"),
    ] = (30.0, 90.0, 180.0)
    quiet: Annotated[
        Annotated[str, Meta(pattern=SPAN)] | None,
        says("`22:00-07:00`: only an SOS is heard then, the rest afterwards; none: never quiet"),
    ] = None
    low_stock: Annotated[
        int, Meta(ge=0, le=1000), says("fewer portions of something are an alert; 0: never")
    ] = 5


class PanelConfig(Section, frozen=True, kw_only=True):
    """Buttons, lights and a buzzer."""

    driver: Annotated[str, says("a driver of the kind panel")] = "simulated"
    sos_hold_s: Annotated[Positive, says("how long the SOS button must be held")] = 3.0
    sos_cancel_s: Annotated[
        NotNegative, says("so long after it a tap takes an SOS back, which is told too; 0: never")
    ] = 10.0
    gpio: OfDriver = {}
    simulated: OfDriver = {}


class Page(Section, frozen=True, kw_only=True):
    """The staff page; see docs/page.md."""

    listen: Annotated[
        str,
        Meta(pattern=r"^(\[[0-9a-f:]+\]|[^:\s]+):[0-9]+$"),
        says("address and port, on loopback: the device's own screen"),
    ] = "127.0.0.1:8080"
    lan: Annotated[
        Literal["off", "tls", "insecure"],
        says("also for the network, with a PIN; `insecure`: without TLS, so others can read along"),
    ] = "off"
    lan_listen: Annotated[
        str,
        Meta(pattern=r"^(\[[0-9a-f:]+\]|[^:\s]+):[0-9]+$"),
        says("address and port for the network"),
    ] = "0.0.0.0:8443"
    names: Annotated[
        list[str], says("by which browsers of the network call it, besides its addresses")
    ] = []
    cert: Annotated[str | None, says("lan = tls: PEM file of its certificate and chain")] = None
    key: Annotated[str | None, says("lan = tls: PEM file of the certificate's key")] = None


class Config(Section, frozen=True, kw_only=True):
    """Everything a device is told. A shop needs printers, a rider a position."""

    role: Annotated[Literal["shop", "rider"], says("what the device is for")]
    device: Device
    store: Store = Store()
    uplink: Uplink = Uplink()
    position: PositionConfig | None = None
    privacy: Privacy = Privacy()
    surroundings: SurroundingsConfig | None = None
    fence: list[FenceConfig] = []
    beacons: Beacons | None = None
    beacon: BeaconConfig | None = None
    printer: list[PrinterConfig] = []
    tickets: Tickets = Tickets()
    sound: Sound | None = None
    alert: Alert = Alert()
    panel: PanelConfig | None = None
    page: Page | None = None


class Loaded(msgspec.Struct, frozen=True):
    config: Config
    origin: dict[str, str]  # dotted key -> file, environment variable or "--set"


def load(
    path: Path | None,
    *,
    environment: Mapping[str, str] = os.environ,
    overrides: Sequence[str] = (),
    desired: Mapping[str, Any] | None = None,
    base: Mapping[str, Any] | None = None,
) -> Loaded:
    """The configuration in force, or ConfigError with every problem in it."""
    found = layers.read(
        path, environment=environment, overrides=overrides, desired=desired, base=base
    )
    problems = found.problems or check(found.values)
    if problems:
        raise ConfigError(problems)
    return Loaded(msgspec.convert(found.values, Config), found.origin)


def check(data: Mapping[str, Any]) -> list[str]:
    """Every problem of a merged configuration, as lines `key: what is wrong`."""
    problems = walk(dict(data), Config, "")
    if not problems:
        problems = list(_across(msgspec.convert(data, Config)))
    return problems


def seconds(duration: str) -> float:
    """`30m` -> 1800.0"""
    match = re.fullmatch(r"([0-9]+)(ms|s|m|h|d)", duration)
    assert match is not None, duration
    unit = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}[match[2]]
    return int(match[1]) * unit


def driver_settings(kind: str, section: Any) -> Any:
    """The chosen driver's settings from its sub-table; raises msgspec.ValidationError."""
    driver = load_driver(kind, section.driver)
    return msgspec.convert(getattr(section, section.driver), driver.settings)


def _across(config: Config) -> Iterator[str]:
    """What no single setting shows."""
    yield from _timezone(config.device.timezone)
    yield from _printers(config.printer)
    yield from _fences(config.fence)
    yield from _role(config)
    if config.page is not None:
        yield from _page(config.page)
    if config.position is not None:
        yield from _profile(config.position)
    for kind, section in SECTIONS.items():
        yield from _driver(config, kind, section)


def _printers(printers: Sequence[PrinterConfig]) -> Iterator[str]:
    names = [printer.name for printer in printers]
    for name in _twice(names):
        yield f"printer.{name}: two printers have this name"
    for printer in printers:
        where, backup, columns = f"printer.{printer.name}", printer.backup, printer.columns
        if backup == printer.name:
            yield f"{where}.backup: a printer cannot be its own backup"
        elif backup is not None and backup not in names:
            yield f"{where}.backup: no printer {backup!r}{hint(backup, names)}"
        if columns is not None and (columns == 32) != (printer.width_mm == 58):
            yield (
                f"{where}.columns: {columns} do not belong on {printer.width_mm} mm paper; 58 mm"
                " has 32, 80 mm has 42 or 48"
            )
        shared = printer.uri.startswith("tcp:") and not printer.exclusive
        if printer.evidence == "counter" and shared:
            yield (
                f"{where}.evidence: another's ticket moves the counter too, so it proves nothing"
                " unless exclusive = true"
            )


def _fences(fences: Sequence[FenceConfig]) -> Iterator[str]:
    for name in _twice([fence.id for fence in fences]):
        yield f"fence.{name}: two fences have this id"
    for fence in fences:
        circle = fence.lat is not None and fence.lon is not None
        if circle == bool(fence.polygon) or 0 < len(fence.polygon) < 3:
            yield (
                f"fence.{fence.id}: needs either lat and lon or a polygon of three corners or more"
            )


def _role(config: Config) -> Iterator[str]:
    if config.role == "shop" and not config.printer:
        yield "printer: a shop needs at least one [[printer]]"
    if config.surroundings is not None and config.position is None:
        yield "surroundings: are looked at only where there is a [position] section"
    if config.role == "rider" and config.position is None:
        yield "position: a rider needs a [position] section"


def _page(page: Page) -> Iterator[str]:
    yield from _listen(page.listen)
    if page.lan == "tls" and not (page.cert and page.key):
        yield "page.lan: tls needs page.cert and page.key; docs/page.md says how to make them"


def _profile(position: PositionConfig) -> Iterator[str]:
    name, known = position.profile, sorted(CHOOSABLE)
    if name == IDLE:
        yield 'position.profile: a rider is made idle by the duty; set privacy.duty = "idle"'
    elif name not in CHOOSABLE:
        yield (
            f"position.profile: no profile {name!r}{hint(name, known)}; there are"
            f" {', '.join(known)}"
        )


def _driver(config: Config, kind: str, name: str) -> Iterator[str]:
    section = getattr(config, name)
    if section is None:
        return
    if section.driver not in CATALOG[kind]:
        known = sorted(CATALOG[kind])
        yield (
            f"{name}.driver: no driver {section.driver!r}{hint(section.driver, known)};"
            f" there are {', '.join(known)}"
        )
    elif hasattr(section, section.driver):
        settings = load_driver(kind, section.driver).settings
        yield from walk(getattr(section, section.driver), settings, f"{name}.{section.driver}")


def _timezone(name: str | None) -> list[str]:
    if name is None:
        return []
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        found = "`timedatectl list-timezones` lists them (package tzdata)"
        return [f"device.timezone: no time zone {name!r} here; {found}"]
    return []


def _listen(listen: str) -> list[str]:
    """Staff need no PIN there, so nobody but this device may reach it."""
    host, _, port = listen.rpartition(":")
    problems = []
    if not 0 <= int(port) <= 65535:
        problems.append(f"page.listen: there is no port {port}; it can be 1024 to 65535")
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        problems.append(
            f"page.listen: {host} could be reached from the network without a PIN; leave it on "
            "127.0.0.1, [::1] or localhost and set page.lan for other devices"
        )
    return problems


def _twice(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
