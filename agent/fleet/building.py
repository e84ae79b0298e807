"""A slot out of wheels that are on the disk and verified; nothing is fetched."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from agent.fleet.releases import Release, UpdateError
from agent.fleet.slots import Slots

BUILD_S = 600.0  # a Pi unpacks and compiles; minutes, on a tired card
TOLD = 500  # characters of what a tool said


def build(slots: Slots, release: Release) -> None:
    """The slot is complete afterwards; one that was begun is made anew."""
    folder = slots.path(release.slot)
    if slots.is_complete(release.slot):
        return
    shutil.rmtree(folder, ignore_errors=True)
    python = getattr(sys, "_base_executable", sys.executable)  # of the system, not of a slot
    _run([python, "-m", "venv", "--without-pip", str(folder)])
    for wheel in release.wheels:
        _unpack(wheel, folder)
    slots.seal(release.slot)


def _unpack(wheel: Path, folder: Path) -> None:
    """As pip does it, but for dependencies, which a release names itself."""
    from installer import install
    from installer.destinations import SchemeDictionaryDestination
    from installer.exceptions import InstallerError
    from installer.sources import WheelFile

    within = {"base": str(folder), "platbase": str(folder)}
    destination = SchemeDictionaryDestination(
        sysconfig.get_paths("venv", within),
        interpreter=str(folder / "bin" / "python"),
        script_kind="posix",
        bytecode_optimization_levels=[0],
    )
    try:
        with WheelFile.open(wheel) as source:
            install(source, destination, {"INSTALLER": b"edge-agent"})
    except (InstallerError, OSError, ValueError) as error:
        raise UpdateError("build", f"{wheel.name}: {error}") from error


def try_out(slots: Slots, release: Release, config: Path, user: str | None) -> None:
    """What can be known before the switch: it starts, and it understands the configuration."""
    program = str(slots.path(release.slot) / "bin" / "edge-agent")
    said = _run([program, "--version"], user)
    if release.version not in said.split():
        raise UpdateError("self_test", f"release {release.version} calls itself {said[:TOLD]!r}")
    _run([program, "config", "check", "--config", str(config)], user)


def sweep(slots: Slots, keep: Sequence[str | None]) -> None:
    """Old slots cost a card its space; the one before stays, as the way back."""
    for folder in slots.folder.iterdir():
        if folder.name not in keep:
            shutil.rmtree(folder)


def _run(command: list[str], user: str | None = None) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - our own commands
            command,
            capture_output=True,
            text=True,
            timeout=BUILD_S,
            check=False,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UpdateError("build", f"{command[0]}: {error}") from error
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip()[-TOLD:]
        code = "build" if "-m" in command else "self_test"
        raise UpdateError(code, f"{' '.join(command[:4])} failed: {last}")
    return done.stdout
