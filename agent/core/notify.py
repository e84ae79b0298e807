"""systemd's notification socket (sd_notify(3)): ready, watchdog, status, stopping."""

from __future__ import annotations

import os
import socket


class Notifier:
    """Does nothing where the process was not started by systemd with Type=notify."""

    def __init__(self, address: str | None = None) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET") if address is None else address

    def ready(self, status: str) -> None:
        self._send(f"READY=1\nSTATUS={status}")

    def feed(self) -> None:
        self._send("WATCHDOG=1")

    def reloading(self, t: float) -> None:
        """The process is about to replace itself, at monotonic `t` s; `ready` ends that."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(t * 1e6)}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        path = self._address
        if path.startswith("@"):
            path = "\0" + path[1:]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as unix:
            unix.sendto(message.encode(), path)
