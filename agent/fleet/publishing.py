"""The publisher's side of releases: a repository of The Update Framework in a folder.

The folder is served as it is by any web server. Keys lie elsewhere: two of the three root keys are
needed to change who may sign, and belong in two safes; `targets` signs a release; `snapshot` and
`timestamp` are on-line keys, which say that the repository is the newest. What they may not do is
enforced by the devices, not by this file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from agent.contract.errors import Rejected
from agent.fleet.box import VERSION
from agent.fleet.releases import WHEEL, Manifest

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

ROOT_KEYS = ("root-1", "root-2", "root-3")
ROOT_THRESHOLD = 2
ROLES = ("targets", "snapshot", "timestamp")
LIVES = {"root": 365, "targets": 90, "snapshot": 30, "timestamp": 7}  # days
PLATFORM = re.compile(r"any|cp3\d{1,2}-[a-z0-9_]{1,20}")


class Repository:
    def __init__(self, folder: Path, keys: Path, now: datetime) -> None:
        """`now` in UTC, without microseconds."""
        self._folder = folder
        self._keys = keys
        self._now = now.replace(microsecond=0)

    def init(self) -> Path:
        """New keys and an empty repository; where the root is that devices have to trust."""
        from securesystemslib.signer import CryptoSigner
        from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

        if self._metadata.exists():
            raise Rejected("exists", f"{self._folder} has a repository already")
        for folder in (self._metadata, self._targets / "releases", self._targets / "wheels"):
            folder.mkdir(parents=True)
        self._keys.mkdir(parents=True, exist_ok=True, mode=0o700)
        root = Root(expires=self._until("root"), consistent_snapshot=True)
        for name in (*ROOT_KEYS, *ROLES):
            signer = CryptoSigner.generate_ed25519()
            _keep_key(self._keys / f"{name}.pem", signer.private_bytes)
            root.add_key(signer.public_key, "root" if name in ROOT_KEYS else name)
        root.roles["root"].threshold = ROOT_THRESHOLD
        trusted = self._write("root", Metadata(root))
        self._write("targets", Metadata(Targets(expires=self._until("targets"))))
        self._write("snapshot", Metadata(Snapshot(expires=self._until("snapshot"))))
        self._write("timestamp", Metadata(Timestamp(expires=self._until("timestamp"))))
        return trusted

    def add(self, version: str, wheels: Mapping[str, Sequence[Path]]) -> None:
        """A release: for each platform all the wheels that it needs, the agent's among them."""
        from tuf.api.metadata import TargetFile

        _check(version, wheels)
        targets: Any = self._read("targets")
        if f"releases/{version}.json" in targets.signed.targets:
            raise Rejected("exists", f"release {version} is there; a release is never changed")
        names = {where: sorted(wheel.name for wheel in files) for where, files in wheels.items()}
        contents = {
            f"wheels/{file.name}": file.read_bytes() for files in wheels.values() for file in files
        }
        contents[f"releases/{version}.json"] = msgspec.json.encode(Manifest(version, names))
        for path, content in contents.items():
            target = TargetFile.from_data(path, content, ["sha256"])
            known = targets.signed.targets.get(path)
            if known is not None and known.hashes != target.hashes:
                raise Rejected("changed", f"{path} is there with other content")
            targets.signed.targets[path] = target
            at = self._targets / Path(path).parent / f"{target.hashes['sha256']}.{Path(path).name}"
            at.write_bytes(content)
        self._renew("targets", targets)
        self.refresh()

    def withdraw(self, version: str) -> None:
        """No device starts to fetch it any more; those that run it go on."""
        targets: Any = self._read("targets")
        if targets.signed.targets.pop(f"releases/{version}.json", None) is None:
            raise Rejected("unknown", f"there is no release {version}")
        self._renew("targets", targets)
        self.refresh()

    def refresh(self) -> None:
        """Say again that this is the newest; by a timer, as long as devices should update."""
        targets: Any = self._read("targets")
        snapshot: Any = self._read("snapshot")
        snapshot.signed.meta["targets.json"].version = targets.signed.version
        self._renew("snapshot", snapshot)
        timestamp: Any = self._read("timestamp")
        timestamp.signed.snapshot_meta.version = snapshot.signed.version
        self._renew("timestamp", timestamp)

    # --- files ------------------------------------------------------------------------------------

    @property
    def _metadata(self) -> Path:
        return self._folder / "metadata"

    @property
    def _targets(self) -> Path:
        return self._folder / "targets"

    def _until(self, role: str) -> datetime:
        return self._now + timedelta(days=LIVES[role])

    def _read(self, role: str) -> Any:
        from tuf.api.metadata import Metadata

        if role == "timestamp":
            return Metadata.from_file(str(self._metadata / "timestamp.json"))
        found = self._metadata.glob(f"*.{role}.json")
        newest = max(found, key=lambda path: int(path.name.partition(".")[0]), default=None)
        if newest is None:
            raise Rejected("no_repository", f"{self._folder} has no repository; `init` makes one")
        return Metadata.from_file(str(newest))

    def _renew(self, role: str, metadata: Any) -> None:
        metadata.signed.version += 1
        metadata.signed.expires = self._until(role)
        self._write(role, metadata)

    def _write(self, role: str, metadata: Any) -> Path:
        metadata.signatures.clear()
        for name in ROOT_KEYS if role == "root" else (role,):
            metadata.sign(self._signer(name), append=True)
        name = role if role == "timestamp" else f"{metadata.signed.version}.{role}"
        path = self._metadata / f"{name}.json"
        beside = path.with_name(path.name + ".new")  # a device may be reading
        metadata.to_file(str(beside))
        beside.rename(path)
        return path

    def _signer(self, name: str) -> CryptoSigner:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from securesystemslib.signer import CryptoSigner

        path = self._keys / f"{name}.pem"
        try:
            key = load_pem_private_key(path.read_bytes(), None)
        except OSError as error:
            raise Rejected("no_key", f"the key {path} cannot be read: {error.strerror}") from error
        assert isinstance(key, Ed25519PrivateKey)
        return CryptoSigner(key)


def _check(version: str, wheels: Mapping[str, Sequence[Path]]) -> None:
    if not VERSION.fullmatch(version):
        raise Rejected("invalid", f"{version!r} is no version")
    for platform, files in wheels.items():
        if not PLATFORM.fullmatch(platform):
            raise Rejected("invalid", f"{platform!r} is no platform like cp311-aarch64, or any")
        wrong = [str(file) for file in files if not WHEEL.fullmatch(file.name)]
        if wrong or not files:
            raise Rejected("invalid", f"{platform}: no wheels: {', '.join(wrong) or 'none given'}")


def _keep_key(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
