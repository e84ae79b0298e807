"""Elements -> the bytes of a job. Pure; the commands are named as in Epson's ESC/POS reference.

Text comes from strangers, so nothing of it can become a command: `charset.encode` drops controls,
two-byte codes never hold a byte below 40h, and inside pictures the sequences that start a real-time
command (DLE EOT, DLE ENQ, DLE DC4) are broken up by one extra dot. Lengths stay where they cannot
spell one either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from drivers.printer import charset as charsets
from drivers.printer.elements import Beep, Bitmap, Cut, Drawer, Element, Feed, Qr, Text

INIT = b"\x1b@"  # ESC @: reset
MULTIBYTE_ON = b"\x1c&"  # FS &
MULTIBYTE_OFF = b"\x1c."  # FS .
CUT = b"\x1dVB\x00"  # GS V 66 0: feed to the knife, partial cut
LINE_PITCH = b"\x1b3\x1e"  # ESC 3 30: 30 dots a line, 24 of them for the character
BARRIER = b"\x1dr\x01"  # GS r 1: answered in order
DRAWER = b"\x1bp\x00\x32\x32"  # ESC p 0: 100 ms to the drawer's pin 2
CUTS = b"\x1dg2\x00" + (178).to_bytes(2, "little")  # GS g 2: cuts since it was made
INFORMATION = b"\x1dI"  # GS I n: 65 firmware, 66 maker, 67 model, 69 language
REAL_TIME = b"\x10\x04"  # DLE EOT n: answered at once
ASB_ON = b"\x1da\xff"
ASB_OFF = b"\x1da\x00"

BAND_BYTES = 8192  # of one picture command: so many NULs finish any that broke off
RESYNC = b"\0" * BAND_BYTES + MULTIBYTE_OFF + INIT
QR_MAX_BYTES = 700
_ALIGN = {"left": 0, "center": 1, "right": 2}
_REAL_TIME_IN_DATA = re.compile(rb"\x10(?=[\x04\x05\x14])")

JOB_ID_BYTES = 4

Draw = Callable[[Text], Bitmap]
DrawQr = Callable[[Qr], Bitmap | None]


def encode(
    elements: Iterable[Element], *, charset: str, draw: Draw, draw_qr: DrawQr | None = None
) -> bytes:
    """A whole job, from reset to the last element.

    `draw` is asked for a picture of each line that `charset` (a key of `charset.CODECS`, or
    "raster") cannot write, `draw_qr` for one of each QR code; without it the printer draws those.
    """
    job = _Job(charset, draw, draw_qr)
    for element in elements:
        job.add(element)
    return job.finish()


def job_id(token: bytes) -> bytes:
    """GS ( H, function 48: the printer answers with this id when all before it is on paper."""
    return b"\x1d(H\x06\x0000" + token[:JOB_ID_BYTES].rjust(JOB_ID_BYTES, b"0")


def raster(bitmap: Bitmap) -> bytes:
    """GS v 0 m xL xH yL yH d1..dk, in bands of at most BAND_BYTES and 255 rows."""
    across = (bitmap.width + 7) // 8
    rows_a_band = max(1, min(255, BAND_BYTES // across))
    out = bytearray()
    for top in range(0, bitmap.height, rows_a_band):
        data = bitmap.rows[top * across : (top + rows_a_band) * across]
        rows = len(data) // across
        out += b"\x1dv0\x00" + across.to_bytes(2, "little") + rows.to_bytes(2, "little")
        out += _REAL_TIME_IN_DATA.sub(b"\x30", data)
    return bytes(out)


def qr_data(text: str) -> bytes:
    """What a QR code holds of a stranger's text."""
    data = charsets.clean(text).encode()[:QR_MAX_BYTES]
    return data.decode("utf-8", "ignore").encode()


def qr(text: str, size: int) -> bytes:
    """GS ( k, cn 49: model 2, module size, level M, store, print; the printer draws it."""
    data = qr_data(text)
    if not data:
        return b""
    return (
        b"\x1d(k\x04\x001A2\x00\x1d(k\x03\x001C"
        + bytes([max(1, min(size, 16))])
        + b"\x1d(k\x03\x001E1"
        + b"\x1d(k"
        + (len(data) + 3).to_bytes(2, "little")
        + b"1P0"
        + data
        + b"\x1d(k\x03\x001Q0"
    )


class _Job:
    """Remembers what the printer is set to, so that only changes are sent."""

    def __init__(self, charset: str, draw: Draw, draw_qr: DrawQr | None) -> None:
        self._charset = charset
        self._draw = draw
        self._draw_qr = draw_qr
        self._out = bytearray(INIT + LINE_PITCH)
        self._multibyte = False
        self._align = 0
        self._style = (1, 1, False, False)

    def finish(self) -> bytes:
        self._set_style((1, 1, False, False))
        if self._multibyte:
            self._out += MULTIBYTE_OFF
        return bytes(self._out)

    def add(self, element: Element) -> None:
        match element:
            case Text():
                self._text(element)
            case Qr():
                self._qr(element)
            case Feed():
                self._out += b"\x1bd" + bytes([max(0, min(element.lines, 255))])  # ESC d n
            case Cut():
                self._out += CUT
            case Beep():
                self._out += b"\x1bB" + bytes([max(1, min(element.times, 9)), 2])  # ESC B n t
            case Drawer():
                self._out += DRAWER
            case _:
                raise TypeError(f"{element} is something printed, not something to print")

    def _qr(self, code: Qr) -> None:
        drawn = None if self._draw_qr is None else self._draw_qr(code)
        if drawn is None:
            self._set_align(code.align)
            self._out += qr(code.text, code.size)
        else:
            self._set_align("left")  # the picture spans the paper
            self._out += raster(drawn)

    def _text(self, line: Text) -> None:
        pieces = [charsets.encode(run.text, self._charset) for run in line.runs]
        if self._charset == "raster" or None in pieces:
            self._set_align("left")  # the picture spans the paper
            self._out += raster(self._draw(line))
            return
        self._set_align(line.align)
        for run, data in zip(line.runs, pieces, strict=True):
            if not data:
                continue
            self._set_style((run.width, run.height, run.bold, run.inverse))
            two_byte = not data.isascii() and charsets.multibyte(self._charset)
            if two_byte and not self._multibyte:
                self._out += MULTIBYTE_ON
                self._multibyte = True
            self._out += data
        self._out += b"\n"

    def _set_align(self, align: str) -> None:
        if _ALIGN[align] != self._align:
            self._align = _ALIGN[align]
            self._out += b"\x1ba" + bytes([self._align])  # ESC a n

    def _set_style(self, style: tuple[int, int, bool, bool]) -> None:
        width, height, bold, inverse = style
        if style[:2] != self._style[:2]:
            self._out += b"\x1d!" + bytes([(width - 1) << 4 | (height - 1)])  # GS ! n
        if bold != self._style[2]:
            self._out += b"\x1bE" + bytes([bold])  # ESC E n
        if inverse != self._style[3]:
            self._out += b"\x1dB" + bytes([inverse])  # GS B n
        self._style = style
