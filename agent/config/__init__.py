"""What a device is told: the model by area, checked as a whole, read in layers.

A setting, what it means and what can be wrong with it stand in the module of its area; a new
section is also a field of `Config`. `load()` reports every problem at once, with what was perhaps
meant.
"""

from agent.config.counter import Alert, Page, PanelConfig, PrinterConfig, Sound, Tickets
from agent.config.device import Device, Store, Uplink
from agent.config.loading import Loaded, load
from agent.config.model import SECTIONS, Config, check, driver_settings
from agent.config.section import Name, Section, seconds
from agent.config.whereabouts import (
    BeaconConfig,
    Beacons,
    FenceConfig,
    PositionConfig,
    Privacy,
    SurroundingsConfig,
)

__all__ = [
    "SECTIONS",
    "Alert",
    "BeaconConfig",
    "Beacons",
    "Config",
    "Device",
    "FenceConfig",
    "Loaded",
    "Name",
    "Page",
    "PanelConfig",
    "PositionConfig",
    "PrinterConfig",
    "Privacy",
    "Section",
    "Sound",
    "Store",
    "SurroundingsConfig",
    "Tickets",
    "Uplink",
    "check",
    "driver_settings",
    "load",
    "seconds",
]
