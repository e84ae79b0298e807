"""The machine beneath: power, heat, the time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from agent.checks import Finding
from agent.config import Config
from agent.core.clock import SystemClock

SYS = Path("/sys")
# get_throttled of the Raspberry Pi's firmware (raspberrypi.com, documentation of vcgencmd)
_LOW_NOW, _CAPPED_NOW, _LOW_ONCE = 1 << 0, 1 << 2, 1 << 16
HOT_C = 80.0  # where a Raspberry Pi begins to slow down


def config(config: Config) -> Iterator[Finding]:
    yield Finding("config", True, f"good, for a {config.role} {config.device.id}")


def power(_config: Config, sys: Path = SYS) -> Iterator[Finding]:
    """Only a Raspberry Pi says it."""
    flags = _hex(sys / "devices/platform/soc/soc:firmware/get_throttled")
    if flags is None:
        return
    if flags & _LOW_NOW:
        text = "the supply gives too little voltage → use the official power supply, a short cable"
        yield Finding("power", False, text)
    elif flags & _LOW_ONCE:
        text = (
            "the voltage was too low since the start, the card may suffer → use the official power"
            " supply, and power printers and hubs on their own"
        )
        yield Finding("power", False, text)
    else:
        yield Finding("power", True, "enough voltage since the start")


def heat(_config: Config, sys: Path = SYS) -> Iterator[Finding]:
    found = [_number(zone) for zone in sorted(sys.glob("class/thermal/thermal_zone*/temp"))]
    hottest = max((milli / 1000 for milli in found if milli is not None), default=None)
    if hottest is None:
        return
    if hottest < HOT_C:
        yield Finding("heat", True, f"{hottest:.0f} °C")
    else:
        text = f"{hottest:.0f} °C, so it slows down → give it air, take it off the oven"
        yield Finding("heat", False, text)


def clock(config: Config) -> Iterator[Finding]:
    quality = SystemClock(trusted=config.device.clock == "trusted").quality()
    text = {
        "ntp": "set by NTP",
        "gps": "set by GPS",
        "rtc": "from the battery clock, not synchronised → check that NTP can reach its servers",
        "none": "not set since the start; events are dated later → check the network or GPS",
    }[quality]
    yield Finding("clock", quality != "none", text)


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text("ascii"))
    except (OSError, ValueError):
        return None


def _hex(file: Path) -> int | None:
    try:
        return int(file.read_text("ascii"), 16)
    except (OSError, ValueError):
        return None
