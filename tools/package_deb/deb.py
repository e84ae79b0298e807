"""A .deb of a tree: the same tree and time give the same bytes."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools.package_deb.problems import PackageError

HERE = Path(__file__).parent
SCRIPTS = ("postinst", "prerm", "postrm")
VERSION = re.compile(r"[0-9][A-Za-z0-9.+~]*")  # no hyphen, no colon: it is a folder's name too
CONTROL = """\
Package: edge-agent
Version: {version}
Architecture: {arch}
Maintainer: {maintainer}
Installed-Size: {kilobytes}
Depends: python3 (>= 3.11), python3 (<< 3.12) | python3 (>= 3.13), python3 (<< 3.14), \
python3-venv, libc6 (>= 2.28), systemd (>= 252), udev
Recommends: alsa-utils, bluez, dbus, fonts-unifont, fonts-wqy-microhei, libusb-1.0-0
Suggests: gpsd
Section: net
Priority: optional
Description: rider edge agent: order tickets, alerts, positions
 Prints the tickets of takeaway orders, sounds their alerts and reports
 riders' positions, online or not. All Python packages that it needs are
 inside, in an environment of their own.
"""


@dataclass(frozen=True, slots=True)
class Control:
    arch: str
    version: str
    maintainer: str
    units: list[str]


def write(tree: Path, control: Control, folder: Path, epoch: int) -> Path:
    """`folder`/edge-agent_VERSION_ARCH.deb; raises PackageError."""
    if not VERSION.fullmatch(control.version):
        raise PackageError(f"{control.version} is no version for a package and a folder")
    debian = tree / "DEBIAN"
    shutil.rmtree(debian, ignore_errors=True)
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    debian.mkdir()
    (debian / "md5sums").write_text(
        "".join(
            f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}"
            f"  {path.relative_to(tree)}\n"
            for path in files
        )
    )
    (debian / "control").write_text(
        CONTROL.format(
            version=control.version,
            arch=control.arch,
            maintainer=control.maintainer,
            kilobytes=sum(-(-path.stat().st_size // 1024) for path in files),
        )
    )
    for script in SCRIPTS:
        text = (HERE / script).read_text()
        text = text.replace("@VERSION@", control.version).replace(
            "@UNITS@", " ".join(control.units)
        )
        (debian / script).write_text(text)
        (debian / script).chmod(0o755)
    for name in ("md5sums", "control"):
        (debian / name).chmod(0o644)
    _date(tree, epoch)
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / f"edge-agent_{control.version}_{control.arch}.deb"
    # One thread: the bytes of xz depend on their number.
    command = ["dpkg-deb", "--root-owner-group", "-Zxz", "--threads-max=1", "--build"]
    run = subprocess.run(  # noqa: S603 - our own command
        [*command, str(tree), str(out)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
    )
    if run.returncode != 0:
        raise PackageError(f"dpkg-deb failed: {run.stderr.strip()}")
    return out


def _date(tree: Path, epoch: int) -> None:
    for path in [*tree.rglob("*"), tree]:
        os.utime(path, (epoch, epoch), follow_symlinks=False)
    tree.chmod(0o755)
    (tree / "DEBIAN").chmod(0o755)
