"""How full the device's battery is, as the kernel says: /sys/class/power_supply/*/capacity.

Linux, Documentation/ABI/testing/sysfs-class-power: `type` is Battery, UPS, Mains ...; `capacity` is
in percent. A battery of a peripheral (`scope` Device) is not the device's.
"""

from __future__ import annotations

from pathlib import Path

SUPPLIES = Path("/sys/class/power_supply")


def charge(supplies: Path = SUPPLIES) -> float | None:
    """0 to 1, of the emptiest battery; None without one, or when it does not say."""
    found = []
    try:
        for supply in supplies.iterdir():
            if _text(supply / "type") in {"Battery", "UPS"} and _text(supply / "scope") != "Device":
                percent = _text(supply / "capacity")
                if percent.isascii() and percent.isdigit() and int(percent) <= 100:
                    found.append(int(percent) / 100)
    except OSError:
        return None
    return min(found, default=None)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
