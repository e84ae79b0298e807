"""What the agent keeps on the disk, and who may read it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket as sockets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from agent.checks import Finding
from agent.config import Config
from agent.contract.local import socket_path

DISK_LOW = 0.1  # of the file system
BUSY_S = 2.0
_STREAMS = ("critical", "state", "telemetry")


def disk(config: Config) -> Iterator[Finding]:
    folder = Path(config.store.path).parent
    if not folder.is_dir():
        return  # `folders` says so
    usage = shutil.disk_usage(folder)
    share = usage.free / usage.total
    text = f"{usage.free >> 20} MB free ({share:.0%}) in {folder}"
    yield Finding("disk", share > DISK_LOW, text + ("" if share > DISK_LOW else " → free space"))
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        yield Finding("disk", False, f"{folder} can only be read → change the card")


def folders(config: Config) -> Iterator[Finding]:
    folder = Path(config.store.path).parent
    if folder.is_dir():
        yield Finding("folders", True, f"{folder} is there")
        return
    text = f"{folder} does not exist → create it for the agent's user"
    yield Finding("folders", False, text, fix="folder", about=str(folder))


def secrets(config: Config) -> Iterator[Finding]:
    """Keys and passwords are for the agent alone."""
    page = config.page
    files = [config.uplink.password_file, config.uplink.key, page.key if page else None]
    for file in filter(None, files):
        path = Path(file)
        try:
            mode = path.stat().st_mode
        except OSError as error:
            text = f"{path} cannot be read: {error.strerror} → check the configuration"
            yield Finding("secrets", False, text)
            continue
        if mode & 0o007:
            text = f"{path} can be read by every user → chmod o-rwx {path}"
            yield Finding("secrets", False, text, fix="mode", about=str(path))
        elif not os.access(path, os.R_OK):
            text = f"{path} cannot be read by this user → chgrp edge-agent {path}; chmod 640 {path}"
            yield Finding("secrets", False, text)
        else:
            yield Finding("secrets", True, f"{path} is for the agent alone")


def database(config: Config) -> Iterator[Finding]:
    path = Path(config.store.path)
    if not path.exists():
        yield Finding("database", True, "there is none yet; the agent makes it")
        return
    try:
        with opened(path) as connection:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            (size,) = connection.execute("PRAGMA page_size").fetchone()
    except sqlite3.Error as error:
        text = f"{path} cannot be checked ({error}) → run this as root or as the agent's user"
        yield Finding("database", False, text)
        return
    if verdict == "ok":
        yield Finding("database", True, f"whole, {pages * size >> 20} MB")
    else:
        text = (
            f"{path} is damaged ({verdict}) → stop the agent, keep a copy of the file, start the"
            " agent: it sets the file aside and begins a new one"
        )
        yield Finding("database", False, text)


def queue(config: Config) -> Iterator[Finding]:
    """What waits, and what was set aside."""
    path = Path(config.store.path)
    if not path.exists():
        return
    try:
        with opened(path) as connection:
            counts = [_count(connection, stream) for stream in _STREAMS]
            poison, first = connection.execute("SELECT count(*), min(t) FROM poison").fetchone()
    except sqlite3.Error:
        return  # `database` says why
    waiting = ", ".join(f"{n} {name}" for n, name in zip(counts, _STREAMS, strict=True) if n)
    yield Finding("queue", True, f"waiting on the disk: {waiting or '-'}")
    if poison:
        text = f"{poison} messages were set aside → edge-agent queue retry, and tell support"
        yield Finding("queue", False, text, since=first, fix="retry")


def socket(config: Config) -> Iterator[Finding]:
    """One that nobody listens at is left over from a power cut, and does no harm but confuse."""
    path = socket_path(Path(config.store.path))
    if not path.exists():
        return
    with sockets.socket(sockets.AF_UNIX) as unix:
        unix.settimeout(BUSY_S)
        try:
            unix.connect(str(path))
        except ConnectionRefusedError:
            text = f"{path} is left over, no agent listens there → delete it, start the agent"
            yield Finding("socket", False, text, fix="socket", about=str(path))
        except PermissionError:
            text = f"{path} may not be used by this user → adduser $USER edge-agent, log in again"
            yield Finding("socket", False, text)
        except OSError as error:
            why = error.strerror or "nothing answers"
            text = f"{path} does not answer: {why} → systemctl restart edge-agent"
            yield Finding("socket", False, text)
        else:
            yield Finding("socket", True, f"an agent listens at {path}")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """For reading, beside a running agent. Without a log beside it nobody writes, and a folder
    that we may not write to is no matter."""
    how = "mode=ro" if Path(f"{path}-wal").exists() else "mode=ro&immutable=1"
    with contextlib.closing(
        sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True, timeout=BUSY_S)
    ) as connection:
        yield connection


def _count(connection: sqlite3.Connection, stream: str) -> int:
    (count,) = connection.execute(f"SELECT count(*) FROM {stream}").fetchone()  # noqa: S608 - ours
    return int(count)
