"""What is said to a printer, over a line that tests can bend."""

from __future__ import annotations

from drivers.printer.dialogue import Dialogue
from drivers.printer.escpos import RESYNC
from drivers.printer.transport import Settings

BYTES_PER_S = 960  # 9600 baud


class PrintServer:
    """Takes everything at once and passes it on slowly; a question waits for what is before it."""

    readable = True
    inherited = False
    keepable = False

    def __init__(self) -> None:
        self._ahead = 0
        self._asked = False

    def write(self, data: bytes) -> None:
        self._asked = data.startswith(b"\x10\x04")
        self._ahead += 0 if self._asked else len(data)

    def read(self, wait_s: float) -> bytes:
        if not self._asked or wait_s * BYTES_PER_S < self._ahead:
            return b""
        self._ahead, self._asked = 0, False
        return b"\x12"

    def fileno(self) -> int | None:
        return None

    def close(self) -> None:
        pass


def test_a_printer_behind_a_slow_line_is_given_time_to_recover() -> None:
    assert len(RESYNC) / BYTES_PER_S > Settings(uri="x").stall_s
    dialogue = Dialogue(Settings(uri="tcp://printer"), PrintServer())
    dialogue.probe()
    assert dialogue.talks
    dialogue.resync()
