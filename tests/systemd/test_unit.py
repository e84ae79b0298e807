"""The unit and its companions, judged by systemd's own tools."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.layers import EXIT_CONFIG
from tools.package_deb.tree import COPIES, units

FOLDER = Path(__file__).parents[2] / "systemd"
UNIT = FOLDER / "edge-agent.service"
MAX_EXPOSURE = 1.5


def tool(*command: str | Path) -> subprocess.CompletedProcess[str]:
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"no {command[0]}")
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=60, check=False
    )


def runnable(unit: Path, folder: Path) -> Path:
    """The unit with programs that exist here."""
    text = re.sub(r"/opt/edge-agent/\S+", "/bin/true", unit.read_text())
    copy = folder / unit.name
    copy.write_text(text.replace("/usr/bin/python3", "/bin/true"))
    return copy


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    return runnable(UNIT, tmp_path)


def test_systemd_finds_nothing_wrong_with_our_units(tmp_path: Path) -> None:
    copies = [runnable(FOLDER / name, tmp_path) for name in units(FOLDER.parent)]
    result = tool("systemd-analyze", "verify", *copies)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_the_launcher_of_the_unit_runs_with_python_alone(tmp_path: Path) -> None:
    """It is started as the unit has it, from outside of all slots, where there is nothing yet."""
    found = re.search(r"^ExecStartPre=\+-(.*)$", UNIT.read_text(), re.MULTILINE)
    assert found is not None
    python, alone, file, home, state = found[1].split()
    assert f"/{COPIES['agent/fleet/slots.py']}" == file
    launcher = FOLDER.parent / "agent" / "fleet" / "slots.py"
    result = tool(python, alone, launcher, tmp_path / home[1:], tmp_path / state[1:])
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_udev_understands_the_rules() -> None:
    rules = FOLDER / "60-edge-agent.rules"
    result = tool("udevadm", "verify", rules)
    if "Unknown command verb" in result.stderr:
        pytest.skip("udevadm of before systemd 254")
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_unit_gives_little_away(unit: Path) -> None:
    result = tool("systemd-analyze", "security", "--offline=true", "--no-pager", unit)
    found = re.search(r"Overall exposure level for edge-agent.service: ([0-9.]+)", result.stdout)
    assert found is not None, result.stderr
    assert float(found[1]) <= MAX_EXPOSURE


@pytest.mark.parametrize(
    "line",
    [
        "Type=notify",
        "WatchdogSec=30",
        "Restart=always",
        "StartLimitIntervalSec=0",
        f"RestartPreventExitStatus={EXIT_CONFIG}",
        "ExecStart=/opt/edge-agent/current/bin/edge-agent run --config /etc/edge-agent/config.toml",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "StateDirectory=edge-agent",
        "FileDescriptorStoreMax=32",
    ],
)
def test_the_unit_keeps_what_other_parts_rely_on(line: str) -> None:
    assert line in UNIT.read_text().splitlines()


@pytest.mark.skipif(os.geteuid() != 0, reason="chown needs root")
def test_user_groups_and_folders_are_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\n")
    users = tool("systemd-sysusers", f"--root={tmp_path}", FOLDER / "edge-agent.sysusers")
    assert users.returncode == 0, users.stderr
    assert "edge-agent:" in (tmp_path / "etc/passwd").read_text()
    groups = (tmp_path / "etc/group").read_text()
    for group in ("audio", "bluetooth", "dialout", "gpio", "lp"):
        assert re.search(rf"^{group}:.*\bedge-agent$", groups, re.MULTILINE), group
    made = tool(
        "systemd-tmpfiles", "--create", f"--root={tmp_path}", FOLDER / "edge-agent.tmpfiles"
    )
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "etc/edge-agent/conf.d").stat().st_mode & 0o1777 == 0o1770
