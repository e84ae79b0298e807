"""The whole model, and what only shows across its sections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec

from agent.config.counter import (
    Alert,
    Page,
    PanelConfig,
    PrinterConfig,
    Sound,
    Tickets,
    wrong_page,
    wrong_printers,
)
from agent.config.device import Device, Store, Update, Uplink, wrong_timezone
from agent.config.fleet import Fleet, Metrics, wrong_fleet
from agent.config.section import Section, says
from agent.config.whereabouts import (
    BeaconConfig,
    Beacons,
    FenceConfig,
    PositionConfig,
    Privacy,
    SurroundingsConfig,
    wrong_fences,
    wrong_profile,
)
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
    update: Update | None = None
    fleet: Fleet = Fleet()
    metrics: Metrics | None = None


def check(data: Mapping[str, Any]) -> list[str]:
    """Every problem of a merged configuration, as lines `key: what is wrong`."""
    problems = walk(dict(data), Config, "")
    if not problems:
        problems = list(_across(msgspec.convert(data, Config)))
    return problems


def driver_settings(kind: str, section: Any) -> Any:
    """The chosen driver's settings from its sub-table; raises msgspec.ValidationError."""
    driver = load_driver(kind, section.driver)
    return msgspec.convert(getattr(section, section.driver), driver.settings)


def _across(config: Config) -> Iterator[str]:
    """What no single setting shows."""
    yield from wrong_timezone(config.device.timezone)
    yield from wrong_printers(config.printer)
    yield from wrong_fences(config.fence)
    yield from wrong_fleet(config.fleet)
    yield from _role(config)
    if config.page is not None:
        yield from wrong_page(config.page)
    if config.position is not None:
        yield from wrong_profile(config.position)
    for kind, section in SECTIONS.items():
        yield from _driver(config, kind, section)


def _role(config: Config) -> Iterator[str]:
    if config.role == "shop" and not config.printer:
        yield "printer: a shop needs at least one [[printer]]"
    if config.surroundings is not None and config.position is None:
        yield "surroundings: are looked at only where there is a [position] section"
    if config.role == "rider" and config.position is None:
        yield "position: a rider needs a [position] section"


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
