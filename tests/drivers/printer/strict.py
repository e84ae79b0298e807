"""ESC/POS read a second time, by nothing of the product: strict, with only the commands we send.

Written from Epson's reference; whatever it does not know, or what is not whole, is an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field

CODECS = {"gb18030": "gbk", "gbk": "gbk", "big5": "big5", "shift_jis": "shift_jis",
          "euc_kr": "euc_kr", "raster": "ascii"}  # fmt: skip
# Command -> its parameter bytes, and what each of them may be.
FIXED = {
    b"\x1b@": [],
    b"\x1b3": [range(256)],
    b"\x1ba": [range(3)],
    b"\x1bd": [range(256)],
    b"\x1bE": [range(2)],
    b"\x1bB": [range(1, 10), range(1, 10)],
    b"\x1bp": [range(2), range(256), range(256)],
    b"\x1d!": [range(256)],
    b"\x1dB": [range(2)],
    b"\x1dV": [range(66, 67), range(256)],
}


@dataclass
class Read:
    lines: list[str] = field(default_factory=list)
    pictures: list[tuple[int, int, bytes]] = field(default_factory=list)  # bytes across, rows, dots
    codes: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)  # "text", "picture", "code", or a command's name


class NotEscPos(Exception):
    pass


def read(data: bytes, charset: str) -> Read:
    found, at, multibyte = Read(), 0, False
    line: list[str] = []
    code = ""
    while at < len(data):
        byte, head = data[at], data[at : at + 2]
        if byte == 0x0A:
            found.lines.append("".join(line))
            found.order.append("text")
            line, at = [], at + 1
        elif head in (b"\x1c&", b"\x1c."):
            multibyte, at = head == b"\x1c&", at + 2
        elif head in FIXED:
            for n, allowed in enumerate(FIXED[head]):
                if data[at + 2 + n] not in allowed:
                    raise NotEscPos(f"{head!r} {data[at + 2 + n]} at {at}")
            if line and head not in (b"\x1d!", b"\x1bE", b"\x1dB"):
                raise NotEscPos(f"{head!r} within a line at {at}")
            found.order.append(head.decode("latin-1"))
            at += 2 + len(FIXED[head])
        elif data[at : at + 4] == b"\x1dv0\x00":
            across, rows = (int.from_bytes(data[at + k : at + k + 2], "little") for k in (4, 6))
            dots = data[at + 8 : at + 8 + across * rows]
            if line or len(dots) != across * rows:
                raise NotEscPos(f"picture at {at}")
            found.pictures.append((across, rows, dots))
            found.order.append("picture")
            at += 8 + across * rows
        elif data[at : at + 3] == b"\x1d(k":
            size = int.from_bytes(data[at + 3 : at + 5], "little")
            body = data[at + 5 : at + 5 + size]
            if len(body) != size or body[0] != 49 or body[1] not in b"ACEPQ":
                raise NotEscPos(f"two-dimensional code at {at}")
            if body[1:3] == b"P0":
                code = body[3:].decode("utf-8")
            elif body[1:3] == b"Q0":
                found.codes.append(code)
                found.order.append("code")
            at += 5 + size
        elif byte < 0x20 or byte == 0x7F:
            raise NotEscPos(f"{byte:#04x} at {at}")
        else:
            size = _character(data[at : at + 4], charset, multibyte=multibyte)
            codec = CODECS.get(charset, "utf-8")
            line.append(data[at : at + size].decode(codec))
            at += size
    if line:
        raise NotEscPos("the last line does not end")
    return found


def _character(data: bytes, charset: str, *, multibyte: bool) -> int:
    """Bytes of the character that begins here."""
    if data[0] < 0x80:
        return 1
    if charset == "utf8":
        return 2 if data[0] < 0xE0 else 3 if data[0] < 0xF0 else 4
    if not multibyte:
        raise NotEscPos(f"{data[0]:#04x} without FS &")
    return 2
