"""ESC/POS as a printer reads it: bytes in, elements out, one command at a time. Pure.

Longer than most files here, because it is a protocol.
"""

from __future__ import annotations

import base64
import struct
import zlib

from drivers.printer.charset import CODECS
from drivers.printer.elements import Align, Beep, Drawer, Element, Feed, Image, Qr, Run, Text

_ALIGNS: dict[int, Align] = {
    0: "left",
    1: "center",
    2: "right",
    48: "left",
    49: "center",
    50: "right",
}

# Parameter bytes of the commands that are skipped: prefix -> count.
_SKIP = {
    b"\x1b3": 1,
    b"\x1b2": 0,
    b"\x1bt": 1,
    b"\x1bR": 1,
    b"\x1bM": 1,
    b"\x1b-": 1,
    b"\x1b ": 1,
    b"\x1bG": 1,
    b"\x1b{": 1,
    b"\x1b=": 1,
    b"\x1b\\": 2,
    b"\x1b$": 2,
    b"\x1dL": 2,
    b"\x1dW": 2,
    b"\x1dh": 1,
    b"\x1dw": 1,
    b"\x1dH": 1,
    b"\x1df": 1,
    b"\x1c!": 1,
    b"\x1cC": 1,
    b"\x1cS": 2,
}


class Interpreter:
    """The state machine between ESC @ and ESC @: styles, modes, the line under the head."""

    def __init__(self, charset: str) -> None:
        self._codec = CODECS.get(charset, "gbk")
        self.elements: list[Element] = []
        self._qr = ""
        self.reset()

    def reset(self) -> None:
        """Power on, or ESC @: a line that was not printed yet never will be."""
        self._runs: list[Run] = []
        self._text = bytearray()
        self._style = (1, 1, False, False)  # width, height, bold, inverse
        self._align: Align = "left"
        self._multibyte = False
        self._qr_size = 3

    def step(self, data: bytearray) -> tuple[int, str] | None:
        """Bytes used and their effect; None when the command is not whole yet."""
        first = data[0]
        if first in (0x1B, 0x1C, 0x1D):
            return self._command(data)
        if first == 0x10:
            return self._dle(data)
        if first == 0x0A:
            self._line()
            return 1, "line"
        if first < 0x20 or first == 0x7F:
            return 1, ""
        self._text.append(first)
        # A lead byte of the two-byte mode takes the next byte with it, whatever that is.
        if self._multibyte and first >= 0x81:
            if len(data) < 2:
                self._text.pop()
                return None
            self._text.append(data[1])
            return 2, ""
        return 1, ""

    def _dle(self, data: bytearray) -> tuple[int, str] | None:
        if len(data) < 3:
            return None if len(data) < 2 or data[1] in (0x04, 0x05, 0x14) else (1, "")
        sizes = {0x04: 3, 0x05: 3, 0x14: 5}
        size = sizes.get(data[1], 1)
        return (size, "") if len(data) >= size else None

    def _command(self, data: bytearray) -> tuple[int, str] | None:
        if len(data) < 2:
            return None
        head = bytes(data[:2])
        if head == b"\x1b@":
            self.reset()
            return 2, "reset"
        if head in (b"\x1c&", b"\x1c."):
            self._flush_run()
            self._multibyte = head == b"\x1c&"
            return 2, ""
        if head in (b"\x1d(", b"\x1d8"):
            return self._block(data)
        if head == b"\x1dv":
            return self._raster(data)
        if head == b"\x1b*":
            return self._bit_image(data)
        if head == b"\x1dV":
            return self._cut(data)
        if head == b"\x1bp":  # ESC p m t1 t2
            if len(data) < 5:
                return None
            self.elements.append(Drawer())
            return 5, ""
        if head == b"\x1dg":  # GS g 0 or 2: clear or tell a counter
            return (6, "counter" if data[2] == 0x32 else "ignored") if len(data) >= 6 else None
        if head == b"\x1dI":
            return (3, "information") if len(data) >= 3 else None
        if head in _SKIP:
            size = 2 + _SKIP[head]
            return (size, "") if len(data) >= size else None
        return self._setting(head, data)

    def _setting(self, head: bytes, data: bytearray) -> tuple[int, str] | None:
        """Commands with one byte that says how."""
        size = 4 if head == b"\x1bB" else 3
        known = (b"\x1ba", b"\x1d!", b"\x1b!", b"\x1bE", b"\x1dB", b"\x1bd", b"\x1bB", b"\x1dr")
        if head not in known and head not in (b"\x1da", b"\x1bJ"):
            return 2, "ignored"
        if len(data) < size:
            return None
        n = data[2]
        width, height, bold, inverse = self._style
        if head == b"\x1ba":
            self._align = _ALIGNS.get(n, "left")
        elif head == b"\x1d!":
            self._restyle((n >> 4 & 7) + 1, (n & 7) + 1, bold, inverse)
        elif head == b"\x1b!":
            self._restyle(1 + (n >> 5 & 1), 1 + (n >> 4 & 1), bool(n & 8), inverse)
        elif head == b"\x1bE":
            self._restyle(width, height, bool(n & 1), inverse)
        elif head == b"\x1dB":
            self._restyle(width, height, bold, bool(n & 1))
        elif head in (b"\x1bd", b"\x1bJ"):
            self._style_ends()
            self.elements.append(Feed(n if head == b"\x1bd" else max(1, n // 30)))
        elif head == b"\x1bB":
            self.elements.append(Beep(n))
        return size, {b"\x1dr": "status", b"\x1da": "asb"}.get(head, "")

    def _cut(self, data: bytearray) -> tuple[int, str] | None:
        if len(data) < 3 or (data[2] >= 65 and len(data) < 4):
            return None
        self._style_ends()
        return (4 if data[2] >= 65 else 3), "cut"

    def _block(self, data: bytearray) -> tuple[int, str] | None:
        """GS ( fn pL pH .. and GS 8 fn p1-p4 ..; GS ( k is a QR code, GS ( H asks for a job id."""
        wide = data[1] == 0x38
        start = 7 if wide else 5
        if len(data) < start:
            return None
        size = start + int.from_bytes(data[3:start], "little")
        if len(data) < size:
            return None
        body = bytes(data[start:size])
        if data[2] == 0x6B and body[:1] == b"1":
            self._qr_function(body)
            return size, "line" if body[1:2] == b"Q" else ""
        if data[2] == 0x48 and body[:2] == b"\x30\x30":
            return size, "job_id"
        return size, "" if data[2] in (0x6B, 0x48, 0x44, 0x41) else "ignored"

    def _qr_function(self, body: bytes) -> None:
        function = body[1:2]
        if function == b"C" and len(body) > 2:
            self._qr_size = body[2]
        elif function == b"P":
            self._qr = body[3:].decode("utf-8", "replace")
        elif function == b"Q" and self._qr:
            self._style_ends()
            self.elements.append(Qr(self._qr, self._align, self._qr_size))

    def _raster(self, data: bytearray) -> tuple[int, str] | None:
        """GS v 0 m xL xH yL yH d1..dk"""
        if len(data) < 8:
            return None
        across = int.from_bytes(data[4:6], "little")
        height = int.from_bytes(data[6:8], "little")
        size = 8 + across * height
        if len(data) < size:
            return None
        self._picture(across, height, bytes(data[8:size]))
        return size, "line"

    def _bit_image(self, data: bytearray) -> tuple[int, str] | None:
        """ESC * m nL nH d1..dk, skipped."""
        if len(data) < 5:
            return None
        dots = int.from_bytes(data[3:5], "little")
        size = 5 + dots * (3 if data[2] in (32, 33) else 1)
        return (size, "ignored") if len(data) >= size else None

    def _picture(self, across: int, height: int, rows: bytes) -> None:
        self._style_ends()
        if across and height:
            png = base64.b64encode(png_of(across * 8, height, rows)).decode()
            self.elements.append(Image(png, across * 8, height, self._align))

    # --- text -------------------------------------------------------------------------------------

    def _restyle(self, width: int, height: int, bold: bool, inverse: bool) -> None:  # noqa: FBT001 - the printer's style, as it has it
        if (width, height, bold, inverse) != self._style:
            self._flush_run()
            self._style = (width, height, bold, inverse)

    def _flush_run(self) -> None:
        if self._text:
            multibyte = self._multibyte or self._codec == "utf-8"
            text = self._text.decode(self._codec if multibyte else "cp437", "replace")
            width, height, bold, inverse = self._style
            self._runs.append(Run(text, bold, width, height, inverse))
            self._text.clear()

    def _line(self) -> None:
        self._flush_run()
        self.elements.append(Text(tuple(_joined(self._runs)), self._align))
        self._runs = []

    def _style_ends(self) -> None:
        """What stands under the head is printed before the paper moves on."""
        if self._text or self._runs:
            self._line()


def _joined(runs: list[Run]) -> list[Run]:
    """Runs that differ in nothing but where a mode was switched are one."""
    out: list[Run] = []
    for run in runs:
        last = out[-1] if out else None
        same = last and (last.bold, last.width, last.height, last.inverse) == (
            run.bold, run.width, run.height, run.inverse,
        )  # fmt: skip
        if last is not None and same:
            out[-1] = Run(last.text + run.text, *_style(run))
        else:
            out.append(run)
    return out


def _style(run: Run) -> tuple[bool, int, int, bool]:
    return run.bold, run.width, run.height, run.inverse


def png_of(width: int, height: int, rows: bytes) -> bytes:
    """A one-bit PNG (W3C PNG 11.2); 1 is black here and white there."""
    across = width // 8
    inverted = bytes(255 - byte for byte in rows)
    lines = b"".join(
        b"\0" + inverted[top : top + across] for top in range(0, across * height, across)
    )

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body)
        return len(body).to_bytes(4, "big") + kind + body + crc.to_bytes(4, "big")

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines, 6))
        + chunk(b"IEND", b"")
    )
