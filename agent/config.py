"""The configuration model; `load()` reports every problem at once, with what was perhaps meant."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from agent import layers
from agent.contract import topics
from agent.contract.local import STORE_DEFAULT
from agent.layers import ConfigError
from agent.positioning.reporting import PROFILES
from drivers.catalog import CATALOG
from drivers.catalog import load as load_driver

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
Duration = Annotated[str, Meta(pattern=r"^[0-9]+(ms|s|m|h|d)$")]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every section; an unknown key is a mistake, not an extension."""


class Device(Section, frozen=True, kw_only=True):
    id: Annotated[str, Meta(pattern=topics.DEVICE_ID.pattern)]
    site: str = ""


class Store(Section, frozen=True, kw_only=True):
    path: str = STORE_DEFAULT
    max_mb: Annotated[float, Meta(ge=1)] = 200.0  # sheds positions first, orders and SOS never


class Uplink(Section, frozen=True, kw_only=True):
    url: Annotated[str, Meta(pattern=r"^mqtts?://[^/\s]+$")] = "mqtt://127.0.0.1:1883"
    confirm: Literal["backend", "broker"] = "backend"
    keepalive_s: Annotated[int, Meta(ge=5, le=3600)] = 30
    session_expiry: Duration = "7d"
    username: str | None = None
    password_file: str | None = None  # the secret stays out of the configuration
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    retry_max_s: Positive = 60.0


class PositionConfig(Section, frozen=True, kw_only=True):
    driver: str = "gpsd"
    profile: str = "seed"
    datum: Literal["wgs84"] = "wgs84"
    max_error_m: Positive | None = None  # None: as the profile says
    moving_s: NotNegative | None = None  # 0 = no heartbeat
    still_s: NotNegative | None = None
    gpsd: dict[str, Any] = {}
    serial: dict[str, Any] = {}
    replay: dict[str, Any] = {}
    simulated: dict[str, Any] = {}


class FenceConfig(Section, frozen=True, kw_only=True):
    id: Name
    lat: Latitude
    lon: Longitude
    radius_m: Positive = 100.0


class Beacons(Section, frozen=True, kw_only=True):
    driver: str = "bluez"
    places: str = "/etc/edge-agent/places.toml"
    bluez: dict[str, Any] = {}
    replay: dict[str, Any] = {}
    simulated: dict[str, Any] = {}


class PrinterConfig(Section, frozen=True, kw_only=True):
    name: Name
    uri: Annotated[str, Meta(pattern=r"^(tcp|usb|serial|file|simulated)://")]
    charset: Literal["gb18030", "gbk", "big5", "shift_jis", "euc_kr", "utf8", "raster"] = "gb18030"
    width_mm: Literal[58, 80] = 80
    stations: list[str] = []  # none: every item
    backup: str | None = None
    stale_after: Duration = "30m"
    copies: Annotated[int, Meta(ge=1, le=9)] = 1
    exclusive: bool = False  # nobody else prints here: stay connected and see faults at once
    beep: Annotated[int, Meta(ge=0, le=9)] = 0  # times the printer's own buzzer sounds a ticket
    font: str | None = None  # file asked first for characters that the printer lacks


class Sound(Section, frozen=True, kw_only=True):
    driver: str = "alsa"
    device: str = "default"
    volume: Annotated[float, Meta(ge=0, le=1)] = 1.0
    prompts: str | None = None  # folder with the shop's own WAV files, by the names of ours
    language: Literal["zh", "en"] = "zh"
    simulated: dict[str, Any] = {}


class Alert(Section, frozen=True, kw_only=True):
    repeat_s: Positive = 8.0
    escalate_s: Positive = 90.0


class PanelConfig(Section, frozen=True, kw_only=True):
    driver: str = "simulated"
    sos_hold_s: Positive = 3.0
    gpio: dict[str, Any] = {}
    simulated: dict[str, Any] = {}


class Page(Section, frozen=True, kw_only=True):
    listen: Annotated[str, Meta(pattern=r"^(\[[0-9a-f:]+\]|[^:\s]+):[0-9]+$")] = "127.0.0.1:8080"


class Config(Section, frozen=True, kw_only=True):
    """Everything a device is told. A shop needs printers, a rider a position."""

    role: Literal["shop", "rider"]
    device: Device
    store: Store = Store()
    uplink: Uplink = Uplink()
    position: PositionConfig | None = None
    fence: list[FenceConfig] = []
    beacons: Beacons | None = None
    printer: list[PrinterConfig] = []
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
    problems = list(_walk(dict(data), Config, ""))
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


def _across(config: Config) -> list[str]:
    """What no single key shows."""
    problems: list[str] = []
    names = [printer.name for printer in config.printer]
    problems += [f"printer.{n}: two printers have this name" for n in _twice(names)]
    for printer in config.printer:
        where = f"printer.{printer.name}.backup"
        if printer.backup == printer.name:
            problems.append(f"{where}: a printer cannot be its own backup")
        elif printer.backup is not None and printer.backup not in names:
            problems.append(f"{where}: no printer {printer.backup!r}{_hint(printer.backup, names)}")
    problems += [
        f"fence.{f}: two fences have this id" for f in _twice([f.id for f in config.fence])
    ]
    if config.role == "shop" and not config.printer:
        problems.append("printer: a shop needs at least one [[printer]]")
    if config.role == "rider" and config.position is None:
        problems.append("position: a rider needs a [position] section")
    if config.page is not None:
        problems += _listen(config.page.listen)
    if config.position is not None and config.position.profile not in PROFILES:
        name, known = config.position.profile, sorted(PROFILES)
        problems.append(
            f"position.profile: no profile {name!r}{_hint(name, known)}; there are"
            f" {', '.join(known)}"
        )
    sections = {"gps": "position", "beacons": "beacons", "sound": "sound", "panel": "panel"}
    for kind, name in sections.items():
        section = getattr(config, name)
        if section is None:
            continue
        if section.driver not in CATALOG[kind]:
            known = sorted(CATALOG[kind])
            problems.append(
                f"{name}.driver: no driver {section.driver!r}{_hint(section.driver, known)};"
                f" there are {', '.join(known)}"
            )
        elif hasattr(section, section.driver):
            driver = load_driver(kind, section.driver)
            given = getattr(section, section.driver)
            problems += _walk(given, driver.settings, f"{name}.{section.driver}")
    return problems


def _listen(listen: str) -> list[str]:
    """The page has no login and no TLS yet, so nobody but this device may reach it."""
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
            f"page.listen: {host} could be reached from the network; the page listens on "
            "127.0.0.1, [::1] or localhost until access from other devices comes with TLS"
        )
    return problems


def _walk(value: Any, type_: Any, where: str) -> list[str]:
    """Compare plain data with a type, going on after each problem; msgspec stops at the first."""
    origin, args = get_origin(type_), get_args(type_)
    if origin is Annotated:
        inner = _walk(value, args[0], where)
        return inner or _leaf(value, type_, where)
    if origin in (Union, UnionType) and type(None) in args and value is not None:
        rest = [arg for arg in args if arg is not type(None)]
        if len(rest) == 1:
            return _walk(value, rest[0], where)
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct) and isinstance(value, dict):
        return _walk_struct(value, type_, where)
    if origin is list and isinstance(value, list):
        lines = []
        for n, item in enumerate(value):
            label = item.get("name") or item.get("id") if isinstance(item, dict) else None
            lines += _walk(item, args[0], f"{where}[{label or n + 1}]")
        return lines
    return _leaf(value, type_, where)


def _walk_struct(value: dict[str, Any], type_: type[msgspec.Struct], where: str) -> list[str]:
    dot = f"{where}." if where else ""
    hints = get_type_hints(type_, include_extras=True)
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    lines = []
    for key, item in value.items():
        if key in fields:
            lines += _walk(item, hints[fields[key].name], f"{dot}{key}")
        else:
            lines.append(f"{dot}{key}: there is no such setting{_hint(key, list(fields))}")
    return lines + [
        f"{dot}{name}: is missing"
        for name, field in fields.items()
        if field.required and name not in value
    ]


def _leaf(value: Any, type_: Any, where: str) -> list[str]:
    try:
        msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        hint = ""
        choices = [arg for arg in get_args(type_) if isinstance(arg, str)]
        if choices and isinstance(value, str):
            hint = f"{_hint(value, choices)}; it can be {', '.join(choices)}"
        return [f"{where or 'configuration'}: {_plain(str(error))}, not {value!r}{hint}"]
    return []


def _plain(message: str) -> str:
    return message.partition(" - at `")[0].replace("`", "").removesuffix(".")


def _hint(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _twice(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
