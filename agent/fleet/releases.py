"""Releases as The Update Framework signs them; only the updater's process imports this.

A repository has two kinds of targets: `releases/VERSION.json`, which names the wheels of a release
for each platform, and `wheels/NAME.whl`. Every wheel is a target of its own, so that a download
goes on where it was cut and what two releases share is fetched once.
"""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agent.fleet.box import VERSION
from agent.fleet.slots import NAME

WHEEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}\.whl")
SPARE_BYTES = 64 << 20  # that a slot needs beside its wheels unpacked
UNPACKED = 4  # bytes on the disk for each byte of a wheel, with its bytecode


class UpdateError(Exception):
    """An update that cannot go on; `code` is for programs, the text says what to do."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Manifest(msgspec.Struct, frozen=True):
    """Target `releases/VERSION.json`."""

    version: str
    wheels: dict[str, list[str]]  # platform, or "any" -> file names; a platform has all it needs


@dataclass(frozen=True, slots=True)
class Release:
    version: str
    slot: str
    wheels: list[Path]


def this_platform() -> str:
    """E.g. `cp311-aarch64`."""
    return f"cp{sys.version_info[0]}{sys.version_info[1]}-{platform.machine()}"


class Releases:
    def __init__(self, url: str, trusted_root: Path, state: Path) -> None:
        """`trusted_root` came with the installation; `state` keeps metadata and wheels."""
        self._url = url.rstrip("/")
        self._trusted_root = trusted_root
        self._metadata = state / "metadata"
        self._cache = state / "wheels"

    def fetch(self, version: str) -> Release:
        """All wheels of a release, verified; UpdateError says what is wrong otherwise."""
        from tuf.api.exceptions import DownloadError, ExpiredMetadataError, RepositoryError

        try:
            return self._fetch(version)
        except DownloadError as error:
            raise UpdateError("download", f"{self._url}: {error}") from error
        except ExpiredMetadataError as error:
            raise UpdateError(
                "expired",
                f"{error}; nobody has signed the repository anew, or an old one is served",
            ) from error
        except RepositoryError as error:
            raise UpdateError("untrusted", f"{self._url}: {error}") from error

    def _fetch(self, version: str) -> Release:
        from tuf.ngclient.updater import Updater

        if not VERSION.fullmatch(version):
            raise UpdateError("invalid", f"{version[:40]!r} is no version")
        for folder in (self._metadata, self._cache):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            bootstrap = self._trusted_root.read_bytes()
        except OSError as error:
            raise UpdateError("no_root", f"the trusted root cannot be read: {error}") from error
        client = Updater(
            str(self._metadata),
            f"{self._url}/metadata/",
            str(self._cache),
            f"{self._url}/targets/",
            bootstrap=bootstrap,
        )
        client.refresh()
        info = client.get_targetinfo(f"releases/{version}.json")
        if info is None:
            raise UpdateError("no_release", f"{self._url} has no release {version}")
        manifest_file = self._cache / f"{version}.json"
        found = client.find_cached_target(info, str(manifest_file))
        raw = Path(found or client.download_target(info, str(manifest_file))).read_bytes()
        names = _names(raw, version)
        targets = {name: client.get_targetinfo(f"wheels/{name}") for name in names}
        sizes = {name: target.length for name, target in targets.items() if target is not None}
        if missing := sorted(targets.keys() - sizes.keys()):
            raise UpdateError("incomplete", f"release {version} lacks {', '.join(missing)}")
        _make_room(self._cache, sum(sizes.values()))
        wheels = []
        for name, target in targets.items():
            assert target is not None
            at = self._cache / name
            if client.find_cached_target(target, str(at)) is None:
                client.download_target(target, str(at))
            wheels.append(at)
        return Release(version, slot_name(version, raw), wheels)

    def forget_but(self, release: Release) -> None:
        """Wheels that this release does not have are fetched again should they be needed."""
        wanted = {wheel.name for wheel in release.wheels}
        for found in self._cache.iterdir():
            if found.name not in wanted and found.name != f"{release.version}.json":
                found.unlink()


def slot_name(version: str, manifest: bytes) -> str:
    """The same release always has the same slot; another one under its version has another."""
    name = f"{version}-{hashlib.sha256(manifest).hexdigest()[:12]}"
    assert NAME.fullmatch(name)
    return name


def _names(raw: bytes, version: str) -> list[str]:
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except msgspec.DecodeError as error:
        raise UpdateError("invalid", f"release {version} cannot be read: {error}") from error
    names = manifest.wheels.get(this_platform()) or manifest.wheels.get("any")
    if manifest.version != version or not names or not all(map(WHEEL.fullmatch, names)):
        made = ", ".join(sorted(manifest.wheels))
        raise UpdateError(
            "wrong_platform", f"release {version} is for {made}, not for {this_platform()}"
        )
    return names


def _make_room(folder: Path, wheels_bytes: int) -> None:
    needed = wheels_bytes * UNPACKED + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UpdateError(
            "space", f"{free >> 20} MB are free where {needed >> 20} MB are needed; make room"
        )
