"""A receipt printer without paper: bytes in, replies out, and what came out as elements.

It reads ESC/POS as a printer does (an unfinished picture eats what follows, real-time commands work
inside data, GS r waits while the paper is out) and fails on command. Production code, the demo and
tests use this one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

from drivers.base import PrinterStatus
from drivers.printer.elements import Paper
from drivers.printer.interpreter import Interpreter

BUFFER_BYTES = 4096  # what a faulty printer still takes
CUTTER = (178).to_bytes(2, "little")  # GS g 2: the number of the cutter's counter


class VirtualPrinter:
    """`paper` is what was cut off, `strip` what still hangs in it. Safe to use from any thread."""

    def __init__(
        self,
        *,
        charset: str = "gb18030",
        width_dots: int = 576,
        mute: bool = False,
        buffer_bytes: int = BUFFER_BYTES,
    ) -> None:
        self.width_dots = width_dots
        self.mute = mute  # has no way back
        self._buffer_bytes = buffer_bytes
        self.paper: list[Paper] = []
        self.ignored: list[bytes] = []  # commands that it does not know
        self.cuts = 0  # kept without power
        self.counts = True  # tells `cuts` when asked
        self.cut_counts = 1  # by how much a cut moves it
        self.job_ids = True  # answers GS ( H
        self.reports = True  # knows ASB
        self.about = {66: "edge-agent", 67: "virtual", 65: "1.00", 69: "CHINA GB18030"}  # GS I
        self.connected = False
        self._charset = charset
        self._lock = threading.RLock()
        self._listeners: list[Callable[[], None]] = []
        self._faults: set[str] = set()
        self._lines_left: int | None = None
        self._drop_after: int | None = None
        self._replies = bytearray()
        self._job = Interpreter(charset)
        self._buffer = bytearray()
        self._asb = False
        self._real_time_tail = b""

    # --- the cable --------------------------------------------------------------------------------

    def listen(self, changed: Callable[[], None]) -> Callable[[], None]:
        """`changed()` is called when replies may wait or a fault came or went; returns the end."""
        self._listeners.append(changed)
        return lambda: self._listeners.remove(changed)

    def connect(self) -> bool:
        """A host plugs in; false while the power is off."""
        with self._lock:
            self.connected = "power_off" not in self._faults
            self._replies.clear()
            return self.connected

    def receive(self, data: bytes) -> int:
        """How many of the bytes it takes: fewer when its buffer is full or it hangs."""
        with self._lock:
            if self._faults & {"power_off", "stall"} or not self.connected:
                return 0
            if self._drop_after is not None:
                data = data[: self._drop_after]
                self._drop_after -= len(data)
            taken = 0
            for byte in data:
                self._real_time(byte)
                if len(self._buffer) >= self._buffer_bytes and self._blocked():
                    break
                self._buffer.append(byte)
                taken += 1
                if byte == 0x0A or len(self._buffer) >= self._buffer_bytes:
                    self._print()
            self._print()
            if self._drop_after == 0:
                self._drop_after = None
                self.drop()
        if taken:  # else nothing has changed, and whoever waits for room would never tire
            self._tell()
        return taken

    def replies(self) -> bytes:
        """What it has to say since the last call."""
        with self._lock:
            data = bytes(self._replies)
            self._replies.clear()
            return b"" if self.mute or "stall" in self._faults else data

    # --- what happens to it -----------------------------------------------------------------------

    def fault(self, name: str, *, on: bool = True) -> None:
        """paper_out, paper_low, cover_open, offline, error, stall (hangs), power_off.

        Power off loses the buffer and the settings, and drops the connection.
        """
        with self._lock:
            (self._faults.add if on else self._faults.discard)(name)
            if name == "power_off" and on:
                self._buffer.clear()
                self._job.reset()
                self._asb = False
                self.connected = False
            if name == "paper_out" and not on:
                self._lines_left = None
            if self._asb and not self.mute:
                self._replies += self._asb_bytes()
            self._print()
        self._tell()

    def paper_for(self, lines: int) -> None:
        """The paper ends after so many more lines."""
        with self._lock:
            self._lines_left = lines

    def drop(self, *, after: int | None = None) -> None:
        """The connection breaks now, or `after` so many more bytes."""
        with self._lock:
            if after is None:
                self.connected = False
            else:
                self._drop_after = after
        self._tell()

    @property
    def strip(self) -> Paper:
        """What was printed and not cut yet."""
        with self._lock:
            return Paper(tuple(self._job.elements), cut=False)

    @property
    def watched(self) -> bool:
        """Whether a host asked to be told of changes (ASB)."""
        return self._asb

    @property
    def condition(self) -> PrinterStatus:
        """Its true state, for pages that draw it."""
        faults = self._faults
        paper: Literal["ok", "low", "out"] = (
            "out" if "paper_out" in faults else "low" if "paper_low" in faults else "ok"
        )
        return PrinterStatus(
            online=not self._blocked(),
            paper=paper,
            cover_open="cover_open" in faults,
            error="error" if "error" in faults else None,
        )

    # --- inside -----------------------------------------------------------------------------------

    def _tell(self) -> None:
        for changed in list(self._listeners):
            changed()

    def _blocked(self) -> bool:
        return bool(self._faults & {"paper_out", "cover_open", "offline", "error", "stall"})

    def _real_time(self, byte: int) -> None:
        """DLE EOT n is answered at once, wherever it stands."""
        tail = self._real_time_tail
        self._real_time_tail = (tail + bytes([byte]))[-2:]
        if tail == b"\x10\x04" and 1 <= byte <= 4:
            self._replies.append(self._real_time_answer(byte))

    def _real_time_answer(self, n: int) -> int:
        faults = self._faults
        answer = 0x12
        if n == 1:
            answer |= 0x08 * self._blocked()
        elif n == 2:
            answer |= 0x04 * ("cover_open" in faults) | 0x20 * ("paper_out" in faults)
            answer |= 0x40 * ("error" in faults)
        elif n == 3:
            answer |= 0x08 * ("error" in faults)
        else:
            answer |= 0x60 * ("paper_out" in faults) | 0x0C * ("paper_low" in faults)
        return answer

    def _roll(self) -> int:
        return 0x0C * ("paper_out" in self._faults) | 0x03 * ("paper_low" in self._faults)

    def _asb_bytes(self) -> bytes:
        faults = self._faults
        first = 0x10 | 0x08 * self._blocked() | 0x20 * ("cover_open" in faults)
        return bytes([first, 0x08 * ("error" in faults), self._roll(), 0])

    def _print(self) -> None:
        """Work off the buffer until it ends in the middle of something, or a fault stops it."""
        while self._buffer and not self._blocked():
            step = self._job.step(self._buffer)
            if step is None:
                return
            used, effect = step
            command = bytes(self._buffer[:used])
            del self._buffer[:used]
            self._after(effect, command)

    def _after(self, effect: str, command: bytes) -> None:
        if effect == "line" and self._lines_left is not None:
            self._lines_left -= 1
            if self._lines_left <= 0:
                self._faults.add("paper_out")
                if self._asb:
                    self._replies += self._asb_bytes()
        elif effect == "cut":
            self.paper.append(Paper(tuple(self._job.elements)))
            self._job.elements.clear()
            self.cuts += self.cut_counts
        elif effect == "reset":
            self._asb = False
        elif effect == "status":
            self._replies.append(self._roll())
        elif effect == "asb":
            self._asb = command[2] != 0 and self.reports
            if self._asb:
                self._replies += self._asb_bytes()
        elif effect == "job_id" and self.job_ids:
            self._replies += b"\x37\x22" + command[7:11] + b"\0"
        elif effect == "counter" and self.counts and command[4:] == CUTTER:
            self._replies += b"\x5f%d\0" % self.cuts
        elif effect == "information" and command[2] in self.about:
            self._replies += b"\x5f" + self.about[command[2]].encode("ascii") + b"\0"
        elif effect == "ignored":
            self.ignored.append(command)
