"""Bytes to and from one device. Blocking, with a deadline on every call; for one thread."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from typing import Literal, Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec

from drivers.base import DriverError, Keeper, WriteError

CHUNK = 4096
DRAIN_FIRST_S = 0.001  # between looks at what the kernel still holds; doubles up to
DRAIN_SLICE_S = 0.1
READ_MAX = 1024


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every kind of printer is told; a printer's settings come from its section and URI."""

    uri: str
    name: str = "printer"  # for messages
    width_dots: int = 576  # 576 for 80 mm, 384 for 58 mm
    connect_s: float = 2.0
    stall_s: float = 5.0  # without progress for so long, a printer is taken for dead
    probe_s: float = 0.6  # for the first answer, which shows whether there is a way back
    answer_s: float = 1.0  # for any later one; printers give it in milliseconds
    watch: bool = False  # ours alone: let it report changes by itself (ASB)
    evidence: Literal["barrier", "job_id", "counter"] = "barrier"  # what it was seen to give
    keeper: Keeper | None = None  # of the connection, should this process die

    def parts(self) -> tuple[str, dict[str, str]]:
        """What stands behind `scheme://`, and the options behind `?`."""
        split = urlsplit(self.uri)
        return split.netloc + split.path, dict(parse_qsl(split.query))


class Transport(Protocol):
    readable: bool  # whether there is a way back at all
    inherited: bool  # by this process from one that died: what that asked may still be answered
    keepable: bool  # whether its descriptor can be inherited so

    def write(self, data: bytes) -> None:
        """All of it, or WriteError that says how many bytes may have arrived."""
        ...

    def drain(self) -> None:
        """Wait until the device has taken what was written; DriverError when it stops taking."""
        ...

    def read(self, wait_s: float) -> bytes:
        """What has arrived; empty after `wait_s` of silence. DriverError when it is gone."""
        ...

    def fileno(self) -> int | None:
        """For waiting until something can be read, and for keeping."""
        ...

    def close(self) -> None: ...


class FdTransport:
    """A non-blocking file descriptor: socket, serial line, device file.

    `ends` is true where an empty read means that the other side is gone (a socket), false where it
    means that nothing is there (usblp).
    """

    def __init__(
        self,
        fd: int,
        settings: Settings,
        close: Callable[[], None],
        *,
        readable: bool = True,
        ends: bool = False,
        unsent: Callable[[], int] = lambda: 0,
        keepable: bool = False,
        inherited: bool = False,
    ) -> None:
        """`unsent` says how many bytes the kernel still holds for the device."""
        self.readable = readable
        self.inherited = inherited
        self.keepable = keepable
        self._fd = fd
        self._settings = settings
        self._close = close
        self._ends = ends
        self._unsent = unsent

    def write(self, data: bytes) -> None:
        done = 0
        while done < len(data):
            try:
                if not self._ready(select.POLLOUT, self._settings.stall_s):
                    raise WriteError(
                        f"printer {self._settings.name} takes no more data; is it switched on, "
                        "with paper in and the cover closed?",
                        accepted=done,
                    )
                done += os.write(self._fd, data[done : done + CHUNK])
            except BlockingIOError:
                continue
            except OSError as error:
                raise WriteError(
                    f"printer {self._settings.name} broke off: {error.strerror}", accepted=done
                ) from error

    def drain(self) -> None:
        waiting, idle, pause = self._unsent(), 0.0, DRAIN_FIRST_S
        while waiting:
            select.select([], [], [], pause)
            left = self._unsent()
            idle = idle + pause if left == waiting else 0.0
            waiting, pause = left, min(pause * 2, DRAIN_SLICE_S)
            if idle >= self._settings.stall_s:
                raise DriverError(
                    f"printer {self._settings.name} takes no more data; is it switched on, with "
                    "paper in and the cover closed?"
                )

    def read(self, wait_s: float) -> bytes:
        if not self.readable or not self._ready(select.POLLIN, wait_s):
            return b""
        try:
            data = os.read(self._fd, READ_MAX)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise DriverError(
                f"printer {self._settings.name} is gone: {error.strerror}; check its cable"
            ) from error
        if not data and self._ends:
            raise DriverError(f"printer {self._settings.name} closed the connection")
        return data

    def fileno(self) -> int | None:
        return self._fd

    def close(self) -> None:
        self._close()

    def _ready(self, event: int, wait_s: float) -> bool:
        poll = select.poll()
        poll.register(self._fd, event)
        return bool(poll.poll(wait_s * 1000))
