"""The environment inside the package: our code and every dependency, for each Python of Debian.

One tree serves all Pythons. The modules in C carry the Python's tag in their name
(`_core.cpython-311-aarch64-linux-gnu.so` beside `_core.cpython-313-...`), all else is the same file
in every wheel of one release; `merge` refuses anything that is not so.

    bin/python3 -> /usr/bin/python3       the system's, whichever it is
    bin/edge-agent                        its first line names the slot
    lib/python3/site-packages             lib/python3.11 and lib/python3.13 point to lib/python3
"""

from __future__ import annotations

import filecmp
import os
import shutil
import stat
import struct
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tools.package_deb.problems import PackageError

PLATFORMS = {"amd64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
MACHINES = {"amd64": 62, "arm64": 183}  # e_machine of ELF files, elf(5)
PYTHONS = ("3.11", "3.13")  # Debian 12 and 13
# These have no wheel at the registry, and nothing in C either.
FROM_SOURCE = ("gpsd-py3",)
# Libraries ask for these, but only for commands that nobody runs here: `sqlite-utils install` and
# the building of wheels. distutils-precedence.pth would also cost every start an import.
UNUSED = ("pip", "setuptools", "_distutils_hack", "distutils-precedence.pth", "bin", "docs")
SLOTS = "/opt/edge-agent/slots"
LAUNCHER = """\
#!{python}
import sys

from agent.cli import main

sys.exit(main())
"""


def project_version(root: Path) -> str:
    version: str = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    return version


def build(root: Path, arch: str, version: str, out: Path, epoch: int) -> Path:
    """`out` becomes the environment; raises PackageError."""
    wheel = _wheel(root, out.with_name("wheel"), epoch)
    trees = []
    for python in PYTHONS:
        target = out.with_name(f"python{python}")
        where = ("--python-platform", PLATFORMS[arch], "--python-version", python)
        _install(root, target, *where)
        _uv("pip", "install", "--no-deps", *where, "--target", str(target), str(wheel))
        _prune(target)
        trees.append(target)
    site = out / "lib" / "python3" / "site-packages"
    merge(trees, site)
    for file in site.rglob("*"):
        if ".so" in file.suffixes:
            check_machine(file, arch)
    environment(out, version)
    return out


def environment(out: Path, version: str) -> None:
    """What makes an environment of a tree of packages."""
    for python in PYTHONS:
        (out / "lib" / f"python{python}").symlink_to("python3")
    (out / "bin").mkdir()
    (out / "bin" / "python3").symlink_to("/usr/bin/python3")
    script = out / "bin" / "edge-agent"
    # The whole path, not `current`: a running agent must go on with the modules of its own slot
    # when `current` points to another.
    script.write_text(LAUNCHER.format(python=f"{SLOTS}/{version}/bin/python3"))
    script.chmod(0o755)
    (out / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")


def merge(trees: Iterable[Path], out: Path) -> None:
    """The union; raises PackageError where a file is not the same for every Python.

    What installers note about a wheel (*.dist-info) may differ: that of the first one is kept.
    """
    out.mkdir(parents=True)
    for tree in trees:
        for name in _files(tree):
            source, target = tree / name, out / name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
            elif not name.parts[0].endswith(".dist-info") and not filecmp.cmp(
                source, target, shallow=False
            ):
                raise PackageError(f"{name} is not the same for {' and '.join(PYTHONS)}")


def pages(root: Path, out: Path) -> Mapping[str, bytes]:
    """What the command line says about itself: the manual page and the shells' completions.

    Raises PackageError when a command fails. They run in an environment of this machine.
    """
    _install(root, out, "--python", sys.executable)
    asked = {
        "man": ("man",),
        **{shell: ("completion", shell) for shell in ("bash", "zsh", "fish")},
    }
    search = {
        **os.environ,
        "PYTHONPATH": f"{root}{os.pathsep}{out}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    found = {}
    for name, words in asked.items():
        run = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "agent", *words], capture_output=True, check=False, env=search
        )
        if run.returncode != 0 or not run.stdout:
            last = run.stderr.decode(errors="replace").strip()[-300:]
            raise PackageError(f"edge-agent {' '.join(words)} failed: {last}")
        found[name] = run.stdout
    return found


def _wheel(root: Path, out: Path, epoch: int) -> Path:
    build_with = ("--build-constraints", str(root / "requirements" / "build.txt"))
    _uv("build", "--wheel", "-o", str(out), *build_with, "--require-hashes", str(root), epoch=epoch)
    return next(out.glob("*.whl"))


def _install(root: Path, target: Path, *where: str) -> None:
    wheels = ["--only-binary", ":all:"]
    for name in FROM_SOURCE:
        wheels += ["--no-binary", name]
    locked = ["--require-hashes", "-r", str(root / "requirements" / "device.txt")]
    tools = ["--build-constraints", str(root / "requirements" / "build.txt")]
    _uv("pip", "install", *where, *wheels, *tools, *locked, "--target", str(target))


def _uv(*arguments: str, epoch: int | None = None) -> None:
    environment = dict(os.environ)
    if epoch is not None:
        environment["SOURCE_DATE_EPOCH"] = str(epoch)
    run = subprocess.run(  # noqa: S603 - our own command
        ["uv", "-q", *arguments],  # noqa: S607 - the builder's
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if run.returncode != 0:
        raise PackageError(f"uv {' '.join(arguments[:2])} failed:\n{run.stderr.strip()}")


def _prune(tree: Path) -> None:
    for name in UNUSED:
        path = tree / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for path in [*tree.glob("pip-*.dist-info"), *tree.glob("setuptools-*.dist-info")]:
        shutil.rmtree(path)
    for note in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"):
        for path in tree.glob(f"*.dist-info/{note}"):
            path.unlink()  # dpkg keeps the record


def _files(tree: Path) -> Iterator[Path]:
    for path in sorted(tree.rglob("*")):
        if path.name != ".lock" and not stat.S_ISDIR(path.stat().st_mode):
            yield path.relative_to(tree)


def check_machine(file: Path, arch: str) -> None:
    head = file.read_bytes()[:20]
    if head[:4] != b"\x7fELF" or struct.unpack_from("<H", head, 18)[0] != MACHINES[arch]:
        raise PackageError(f"{file.name} is not for {arch}")
