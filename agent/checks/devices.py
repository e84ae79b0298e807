"""The hardware that the configuration speaks of: whether it is there, and ours to use.

Nothing is opened that a running agent may hold: what it says of its devices is in its conditions.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from agent.checks import Finding
from agent.config import Config, driver_settings

SERVICE_USER = "edge-agent"
SYS, PROC, DEV = Path("/sys"), Path("/proc"), Path("/dev")
ANSWER_S = 2.0


def groups(config: Config) -> Iterator[Finding]:
    """Linux lets members of these groups use the hardware."""
    user = _user()
    if user.uid == 0:
        return
    for group, what in _needed(config).items():
        try:
            members = grp.getgrnam(group)
        except KeyError:
            continue  # this system does without
        if user.name in members.gr_mem or user.gid == members.gr_gid:
            yield Finding("groups", True, f"{user.name} is in the group {group} ({what})")
        else:
            text = f"{user.name} is not in the group {group} ({what})"
            how = f"adduser {user.name} {group}, then systemctl restart edge-agent"
            yield Finding("groups", False, f"{text} → {how}")


def printers(config: Config) -> Iterator[Finding]:
    """Whether those on cables are there; one on the network is the running agent's to ask."""
    for printer in config.printer:
        parts = urlsplit(printer.uri)
        if parts.scheme in ("serial", "file"):
            path = Path(parts.path)
            if not path.exists():
                text = f"printer {printer.name}: there is no {path} → plug it in, switch it on"
                yield Finding("printers", False, text)
            elif not os.access(path, os.W_OK) and _user().uid == os.getuid():
                text = f"printer {printer.name}: {path} may not be written → see the check groups"
                yield Finding("printers", False, text)
            else:
                yield Finding("printers", True, f"printer {printer.name}: {path} is there")


def reachable(config: Config) -> Iterator[Finding]:
    """Network printers, where no agent runs that holds their only connection."""
    for printer in config.printer:
        parts = urlsplit(printer.uri)
        if parts.scheme != "tcp" or not parts.hostname:
            continue
        where = f"{parts.hostname} port {parts.port or 9100}"
        try:
            socket.create_connection((parts.hostname, parts.port or 9100), ANSWER_S).close()
        except OSError as error:
            why = error.strerror or "no answer"
            text = f"printer {printer.name} does not answer at {where} ({why})"
            yield Finding("printers", False, f"{text} → switch it on, check its network cable")
        else:
            yield Finding("printers", True, f"printer {printer.name} answers at {where}")


def fonts(config: Config) -> Iterator[Finding]:
    """For what a printer's own characters lack: dishes in other scripts, emoji."""
    if not config.printer:
        return
    from drivers.printer.raster import FONTS

    chinese = any(Path(font).exists() for font in FONTS[:3])
    rest = any(Path(font).exists() for font in FONTS[3:7])
    if chinese and rest:
        yield Finding("fonts", True, "for Chinese and for rare characters")
        return
    missing = [
        package
        for there, package in ((chinese, "fonts-wqy-microhei"), (rest, "fonts-unifont"))
        if not there
    ]
    text = "characters that a printer lacks would be boxes on paper"
    yield Finding("fonts", False, f"{text} → sudo apt install {' '.join(missing)}")


def sound(config: Config, proc: Path = PROC) -> Iterator[Finding]:
    if config.sound is None or config.sound.driver != "alsa":
        return
    if shutil.which("aplay") is None:
        yield Finding("sound", False, "there is no aplay → sudo apt install alsa-utils")
        return
    try:
        cards = (proc / "asound/cards").read_text("utf-8", "replace")
    except OSError:
        cards = ""
    if "[" in cards:
        text = f"{cards.count('[')} sound cards → edge-agent sound test asks who hears it"
        yield Finding("sound", True, text)
    else:
        yield Finding("sound", False, "there is no sound card → plug one in; aplay -l lists them")


def receiver(config: Config, dev: Path = DEV) -> Iterator[Finding]:
    if config.position is None:
        return
    settings = driver_settings("gps", config.position)
    if config.position.driver == "gpsd":
        where = f"{settings.host}:{settings.port}"
        try:
            socket.create_connection((settings.host, settings.port), ANSWER_S).close()
        except OSError as error:
            why = error.strerror or "no answer"
            yield Finding("receiver", False, f"no gpsd at {where} ({why}) → systemctl start gpsd")
        else:
            yield Finding("receiver", True, f"gpsd answers at {where}")
    elif config.position.driver == "serial":
        pattern = str(settings.device).removeprefix("/dev/")
        found = sorted(dev.glob(pattern))
        if found:
            yield Finding("receiver", True, f"{found[0]} is there")
        else:
            text = f"there is no {settings.device} → plug the receiver in; ls /dev/serial/by-id"
            yield Finding("receiver", False, text)


def bluetooth(config: Config, sys: Path = SYS) -> Iterator[Finding]:
    sections = [section for section in (config.beacons, config.beacon) if section is not None]
    if not any(section.driver == "bluez" for section in sections):
        return
    adapters = sorted(
        path.name for path in sys.glob("class/bluetooth/hci*") if ":" not in path.name
    )
    if not adapters:
        text = "there is no Bluetooth adapter → plug one in; on a Pi see dtoverlay=disable-bt"
        yield Finding("bluetooth", False, text)
        return
    for switch in sorted(sys.glob("class/rfkill/rfkill*")):
        if _read(switch / "type") == "bluetooth" and "1" in (
            _read(switch / "soft"),
            _read(switch / "hard"),
        ):
            text = "Bluetooth is switched off → rfkill unblock bluetooth"
            yield Finding("bluetooth", False, text)
            return
    yield Finding("bluetooth", True, f"adapter {adapters[0]}")


def gpio(config: Config) -> Iterator[Finding]:
    if config.panel is None or config.panel.driver != "gpio":
        return
    chip = Path(driver_settings("panel", config.panel).chip)
    if chip.exists():
        yield Finding("gpio", True, f"{chip} is there")
    else:
        yield Finding("gpio", False, f"there is no {chip} → gpioinfo lists those there are")


def _needed(config: Config) -> dict[str, str]:
    """Group -> what for."""
    needed = {}
    schemes = {urlsplit(printer.uri).scheme for printer in config.printer}
    if config.sound is not None and config.sound.driver == "alsa":
        needed["audio"] = "loudspeaker"
    if config.panel is not None and config.panel.driver == "gpio":
        needed["gpio"] = "buttons and lights"
    if schemes & {"usb", "file"}:
        needed["lp"] = "printers on USB"
    if "serial" in schemes or (config.position and config.position.driver == "serial"):
        needed["dialout"] = "serial lines"
    if any(s is not None and s.driver == "bluez" for s in (config.beacons, config.beacon)):
        needed["bluetooth"] = "beacons"
    return needed


class _User(NamedTuple):
    name: str
    uid: int
    gid: int


def _user() -> _User:
    """Whom the service runs as; without it, who asks."""
    with contextlib.suppress(KeyError):
        found = pwd.getpwnam(SERVICE_USER)
        return _User(found.pw_name, found.pw_uid, found.pw_gid)
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user
        name = str(os.getuid())
    return _User(name, os.getuid(), os.getgid())


def _read(file: Path) -> str:
    try:
        return file.read_text("ascii", "replace").strip()
    except OSError:
        return ""
