"""kind -> name -> module; a module is imported only when it is chosen."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from drivers.base import Driver

CATALOG: dict[str, dict[str, str]] = {
    "gps": {
        "gpsd": "drivers.gps.gpsd",
        "serial": "drivers.gps.serial",
        "replay": "drivers.gps.replay",
        "simulated": "drivers.gps.simulated",
    },
    "beacons": {
        "bluez": "drivers.beacons.bluez",
        "replay": "drivers.beacons.replay",
        "simulated": "drivers.beacons.simulated",
    },
    "surroundings": {
        "nmcli": "drivers.surroundings.nmcli",
        "mmcli": "drivers.surroundings.mmcli",
    },
    "advertiser": {
        "bluez": "drivers.beacons.advertiser",
        "simulated": "drivers.beacons.simulated_sender",
    },
    "printer": {
        "tcp": "drivers.printer.network",
        "usb": "drivers.printer.usb",
        "serial": "drivers.printer.serial",
        "file": "drivers.printer.file",
        "simulated": "drivers.printer.simulated",
    },
    "sound": {
        "alsa": "drivers.sound.alsa",
        "simulated": "drivers.sound.simulated",
    },
    "panel": {
        "gpio": "drivers.panel.gpio",
        "simulated": "drivers.panel.simulated",
    },
}


def load(kind: str, name: str) -> Driver[Any, Any]:
    """The driver; KeyError when the catalogue has none of that name."""
    driver: Driver[Any, Any] = import_module(CATALOG[kind][name]).DRIVER
    return driver
