"""Whether something keeps the machine's clock, asked of systemd-timedated.

The kernel knows (adjtimex(2)), but with `ProtectClock=` a service may neither set the clock nor
ask. timedated may, and tells everybody over D-Bus, whichever program keeps the clock: timesyncd,
chrony or ntpd.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

COMMAND = ("timedatectl", "show", "--property=NTPSynchronized", "--value")
KEPT_S = 1800.0  # the kernel itself gives a lost source up only after hours
WAITING_S = 30.0
STUCK_S = 60.0  # a D-Bus call ends after 25 s


class TimeDaemon:
    """Asked again and again; the answer is the last one, until a new one is there. Never waits."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = command
        self._kept = False
        self._asked = 0.0
        self._due = 0.0
        self._child: subprocess.Popen[str] | None = None

    def keeps(self, now: float) -> bool:
        """`now`: monotonic seconds. False as long as nobody could be asked."""
        if self._child is not None:
            self._collect(self._child, now)
        if self._child is None and now >= self._due:
            self._ask(now)
        return self._kept

    def _ask(self, now: float) -> None:
        self._asked, self._due = now, now + WAITING_S
        try:
            self._child = subprocess.Popen(  # noqa: S603 - our own command
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        except OSError:
            self._kept, self._due = False, now + KEPT_S  # no such program here

    def _collect(self, child: subprocess.Popen[str], now: float) -> None:
        if child.poll() is None:
            if now - self._asked < STUCK_S:
                return
            child.kill()
        said, _ = child.communicate()
        self._child = None
        self._kept = child.returncode == 0 and said.strip() == "yes"
        self._due = now + (KEPT_S if self._kept else WAITING_S)
