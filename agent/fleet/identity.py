"""Where a device keeps its key and certificate, so that a power cut at any moment leaves one pair.

    identity/
      7/  key.pem  cert.pem  ca.pem  about.json     a generation: written once, then only deleted
      8/
      new/                                          being asked for; worth nothing yet
      current -> 7                                  in use
      next -> 8                                     being tried; the broker has not accepted it yet

A generation becomes the one in use by the renaming of one symbolic link. Keys never leave `new/`
or their generation. No cryptography here: the daemon reads `about.json` instead of certificates.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from agent.uplink.values import TlsFiles
from drivers.base import DriverError

if TYPE_CHECKING:  # the process with the cryptography needs no settings
    from agent.config import Config

KEY, CERT, CA, ABOUT = "key.pem", "cert.pem", "ca.pem", "about.json"
CURRENT, NEXT, NEW = "current", "next", "new"
SERIAL_MAX = 64


class About(msgspec.Struct, frozen=True):
    """What is known of a certificate without reading it."""

    device: str
    serial: str  # of the certificate, hex
    hardware: str  # serial number of the machine for which it was made
    not_before: int  # unix s
    not_after: int


class Identity:
    """The folder of a device's identity. Methods raise DriverError where the disk refuses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def hidden(self) -> bool:
        """Whether this process may not look into it: only the agent's user and root may."""
        return self.folder.exists() and not os.access(self.folder, os.R_OK | os.X_OK)

    @property
    def enrolled(self) -> bool:
        return not self.hidden and (self.folder / CURRENT / KEY).exists()

    @property
    def trying(self) -> bool:
        """Whether there is a generation that no broker has accepted yet."""
        return (self.folder / NEXT / KEY).exists()

    def files(self, which: str = CURRENT) -> TlsFiles:
        """What a connection needs; `cert` has the chain up to the root's child."""
        at = self.folder / which
        return TlsFiles(ca=at / CA, cert=at / CERT, key=at / KEY)

    def in_use(self, ca: Path | None) -> TlsFiles:
        """What a connection uses now; `ca`: what the configuration says to trust instead."""
        if not self.enrolled:
            return TlsFiles(ca)
        own = self.files()
        return own if ca is None else own._replace(ca=ca)

    def about(self, which: str = CURRENT) -> About | None:
        """None where there is none, or where it cannot be read."""
        try:
            return msgspec.json.decode((self.folder / which / ABOUT).read_bytes(), type=About)
        except (OSError, msgspec.DecodeError):
            return None

    def begin(self) -> Path:
        """An empty folder for a new key; what an earlier attempt left in it is gone."""
        with _told(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _give(self.folder, self.folder.parent)
            new = self.folder / NEW
            if new.exists():
                shutil.rmtree(new)
            new.mkdir(mode=0o700)
            _give(new, self.folder)
        return new

    def write(self, name: str, content: bytes) -> None:
        """A file of the generation that is being asked for: on the disk when this returns."""
        path = self.folder / NEW / name
        with _told(path):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            _give(path, self.folder)
            _sync(path.parent)

    def adopt(self, *, trial: bool) -> None:
        """What was asked for is complete: use it, or (trial) let it be tried first."""
        with _told(self.folder):
            generation = str(max(self._generations(), default=0) + 1)
            (self.folder / NEW).rename(self.folder / generation)
            self._link(NEXT if trial else CURRENT, generation)
            if not trial:
                self._tidy()

    def promote(self) -> None:
        """The broker accepted the one that was tried: from now on it is the one in use."""
        with _told(self.folder):
            self._link(CURRENT, str((self.folder / NEXT).readlink()))
            (self.folder / NEXT).unlink()
            self._tidy()

    def drop(self) -> None:
        """What was tried is no good."""
        with _told(self.folder):
            (self.folder / NEXT).unlink(missing_ok=True)
            self._tidy()

    def _generations(self) -> list[int]:
        return [int(at.name) for at in self.folder.iterdir() if at.name.isdigit()]

    def _link(self, name: str, generation: str) -> None:
        made = self.folder / f"{name}.tmp"
        made.unlink(missing_ok=True)
        made.symlink_to(generation)
        _sync(self.folder / generation)
        made.rename(self.folder / name)
        _sync(self.folder)

    def _tidy(self) -> None:
        """Only what is linked stays."""
        linked = {
            str((self.folder / name).readlink())
            for name in (CURRENT, NEXT)
            if (self.folder / name).is_symlink()
        }
        for generation in map(str, self._generations()):
            if generation not in linked:
                shutil.rmtree(self.folder / generation)
        _sync(self.folder)


class _told:  # noqa: N801 - used as a statement
    """What the disk refuses is the world's fault."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError):
            raise DriverError(
                f"the identity in {self._path} cannot be written: {error.strerror or error}"
            ) from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _give(path: Path, like: Path) -> None:
    """Made by root for the agent's user: the owner of the folder around it."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def beside(store: Path) -> Identity:
    """The identity that belongs to a store."""
    return Identity(store.parent / "identity")


def looked_after(config: Config) -> Identity | None:
    """The one that the agent renews by itself; None where the configuration names a certificate, a
    user name, or no TLS."""
    uplink = config.uplink
    if not uplink.url.startswith("mqtts:") or uplink.cert or uplink.username:
        return None
    return beside(Path(config.store.path))


def tls_files(config: Config) -> TlsFiles:
    """What a connection with this configuration uses now; OSError where we may not see it."""
    uplink, own = config.uplink, looked_after(config)
    if own is not None and own.hidden:
        raise OSError(f"the certificate in {own.folder} is for the agent's user alone: use sudo")
    ca, cert, key = (Path(file) if file else None for file in (uplink.ca, uplink.cert, uplink.key))
    return TlsFiles(ca, cert, key) if own is None else own.in_use(ca)


def hardware(root: Path = Path("/")) -> str:
    """Serial number of this machine: the board's where it has one, else the system's own id.

    Sources: the device tree of a Raspberry Pi; DMI (readable by root alone); machine-id(5).
    """
    for name in (
        "proc/device-tree/serial-number",
        "sys/class/dmi/id/product_serial",
        "etc/machine-id",
    ):
        try:
            raw = (root / name).read_bytes()
        except OSError:
            continue
        text = "".join(c for c in raw.decode("ascii", "ignore") if c.isalnum() or c in "-_.")
        if text.strip("0-_.") and len(text) <= SERIAL_MAX:
            return text
    return "unknown"
