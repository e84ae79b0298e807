"""What outlives this process: file descriptors and short notes, in the hands of systemd.

A printer's answer to the last ticket is lost when the agent dies before it is read, and nobody can
ask for it again. So the connection is given to the service manager while a ticket is under way
(sd_notify(3), FDSTORE=1) and comes back to the next life (sd_listen_fds(3)); so does a note, in
memory (memfd_create(2)), of what was proved and not committed yet. Neither survives the machine's
power; both end when the service is stopped.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Collection, Mapping, MutableMapping

FIRST_FD = 3  # SD_LISTEN_FDS_START
NOTE_BYTES = 64
NOTE = ".note"  # behind the name of what it is about


class FdStore:
    """For any thread: each call is one message, or one write."""

    def __init__(self, address: str, inherited: Mapping[str, int], names: Collection[str]) -> None:
        """`names` may come back; anything else that an earlier life kept is closed."""
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._inherited = dict(inherited)
        self._notes: dict[str, int] = {}
        for name in [name for name in self._inherited if name.removesuffix(NOTE) not in names]:
            self.drop(name)
            os.close(self._inherited.pop(name))

    def take(self, name: str) -> int | None:
        return self._inherited.pop(name, None)

    def keep(self, name: str, fd: int) -> None:
        self.drop(name)  # an older one of this name: which of two comes back nobody could tell
        self._send(f"FDSTORE=1\nFDNAME={name}\nFDPOLL=0", fd)

    def drop(self, name: str) -> None:
        self._send(f"FDSTOREREMOVE=1\nFDNAME={name}")

    def jot(self, name: str, text: str) -> None:
        os.pwrite(self._note(name), text.encode()[:NOTE_BYTES].ljust(NOTE_BYTES), 0)

    def jotted(self, name: str) -> str:
        return os.pread(self._note(name), NOTE_BYTES, 0).decode(errors="replace").strip()

    def _note(self, name: str) -> int:
        if name not in self._notes:
            fd = self.take(name + NOTE)
            if fd is None:
                fd = os.memfd_create(name, os.MFD_CLOEXEC)
                self.keep(name + NOTE, fd)
            self._notes[name] = fd
        return self._notes[name]

    def _send(self, message: str, *fds: int) -> None:
        """The manager is gone: then nothing is kept, as without it."""
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as unix,
        ):
            unix.connect(self._address)
            socket.send_fds(unix, [message.encode()], fds)


def store_of(environ: MutableMapping[str, str], names: Collection[str]) -> FdStore | None:
    """The store of the manager that started this process; None where there is none.

    Its variables are taken out of the environment: no child is to take our connections for its own.
    """
    count = environ.pop("LISTEN_FDS", "0")
    listed = environ.pop("LISTEN_FDNAMES", "").split(":")
    ours = environ.pop("LISTEN_PID", "") == str(os.getpid())
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return None
    inherited: dict[str, int] = {}
    for n in range(int(count) if ours and count.isdecimal() else 0):
        fd = FIRST_FD + n
        os.set_inheritable(fd, False)
        name = listed[n] if n < len(listed) else ""
        if name in inherited:
            os.close(inherited[name])  # an older one of the same name
        inherited[name] = fd
    return FdStore(address, inherited, names)
