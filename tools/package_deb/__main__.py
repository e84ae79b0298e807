"""`tools/package`: one .deb an architecture, for every Debian release that has a Python of ours."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import sbom
from tools.package_deb import deb, payload, tree
from tools.package_deb.problems import PackageError

ROOT = Path(__file__).parents[2]


def main() -> int:
    arguments = _arguments()
    try:
        _want_tools()
        epoch = _epoch()
        version = arguments.version or payload.project_version(ROOT)
        for arch in arguments.arch or list(payload.PLATFORMS):
            sys.stdout.write(f"{_build(arch, version, epoch, arguments)}\n")
    except PackageError as error:
        sys.stderr.write(f"tools/package: {error}\n")
        return 1
    return 0


def _want_tools() -> None:
    for tool in ("uv", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise PackageError(
                f"{tool} is missing: pip install --require-hashes -r requirements/build.txt; "
                "apt install dpkg"
            )


def _build(arch: str, version: str, epoch: int, arguments: argparse.Namespace) -> Path:
    with tempfile.TemporaryDirectory(prefix="edge-agent-deb-") as scratch:
        work = Path(scratch)
        venv = payload.build(ROOT, arch, version, work / "payload", epoch)
        made = {**payload.pages(ROOT, work / "pages"), "sbom": sbom.of_device(ROOT).encode()}
        files = tree.lay(ROOT, venv, made, work / "tree", version)
        control = deb.Control(arch, version, arguments.maintainer, tree.units(ROOT))
        return deb.write(files, control, arguments.out, epoch)


def _epoch() -> int:
    """The time that every file bears: SOURCE_DATE_EPOCH, else the last commit's."""
    said = os.environ.get("SOURCE_DATE_EPOCH")
    if said is None:
        log = subprocess.run(  # noqa: S603 - our own command
            ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"],  # noqa: S607 - the builder's
            capture_output=True,
            text=True,
            check=False,
        )
        said = log.stdout.strip()
    if not said.isdigit():
        raise PackageError("no git history here: set SOURCE_DATE_EPOCH to the release's unix time")
    return int(said)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/package", description=__doc__)
    parser.add_argument(
        "--arch", action="append", choices=sorted(payload.PLATFORMS), help="default: all of them"
    )
    parser.add_argument("--version", help="default: that of pyproject.toml")
    parser.add_argument(
        "--maintainer",
        default=os.environ.get("DEBEMAIL", "edge-agent <root@localhost>"),
        help="whom dpkg names, as 'Name <address>'; default: $DEBEMAIL",
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist", metavar="FOLDER")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
