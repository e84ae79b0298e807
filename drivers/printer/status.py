"""What printers answer: bytes in, replies out.

Epson fixes bits so that a host can tell the kinds of replies apart in one stream (ESC/POS command
reference, "Differentiating transmission data"; x = any, low bit right):

    0xx1xx10        DLE EOT n   real-time status, one byte for each question
    0xx1xx00        ASB         first of four bytes; the others are 0xx0xxxx
    0xx0xxxx        GS r n      transmitted status, in order behind what was printed
    00010001/10011  XON/XOFF    flow control on serial lines
    00110111 .. 0   GS ( H, ..  a block: 37h, identifier, data, NUL
    01011111 .. 0   GS I, GS g  printer id or a counter: 5Fh, text, NUL

DLE EOT answers, bits that are used:

    n=1  printer   bit 3 offline
    n=2  offline   bit 2 cover open   bit 5 stopped by paper end   bit 6 error
    n=3  error     bit 2 mechanical   bit 3 cutter   bit 5 unrecoverable   bit 6 will recover
    n=4  paper     bits 2,3 near end  bits 5,6 end

ASB, four bytes:

    1    bit 3 offline   bit 5 cover open
    2    bit 2 mechanical   bit 3 cutter   bit 5 unrecoverable   bit 6 will recover
    3    bits 0,1 near end   bits 2,3 end
    4    reserved

GS r 1: bits 0,1 near end, bits 2,3 end. GS ( H function 48: 37h 22h ID1-ID4 00h, sent when the job
of that id is on paper.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from drivers.base import PrinterStatus

BLOCK_MAX = 255
INFORMATION = 0x5F
_BLOCK_HEADS = (0x37, INFORMATION, 0x3B, 0x3D)
Paper = Literal["ok", "low", "out"]


@dataclass(frozen=True, slots=True)
class RealTime:
    """The answer to the oldest unanswered DLE EOT."""

    byte: int


@dataclass(frozen=True, slots=True)
class Transmitted:
    """The answer to the oldest unanswered GS r."""

    byte: int


@dataclass(frozen=True, slots=True)
class Automatic:
    """ASB: the printer says by itself that something changed."""

    status: PrinterStatus


@dataclass(frozen=True, slots=True)
class JobDone:
    """GS ( H: everything up to this id is on paper."""

    id: bytes


@dataclass(frozen=True, slots=True)
class Information:
    """GS I and GS g 2: a name or a number, as text."""

    text: str


Reply = RealTime | Transmitted | Automatic | JobDone | Information


@dataclass(slots=True)
class ReplyParser:
    """Takes bytes as they come; what is no reply is counted in `rejected`, by cause."""

    rejected: Counter[str] = field(default_factory=Counter)
    _asb: bytearray = field(default_factory=bytearray)
    _block: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[Reply]:
        replies = []
        for byte in data:
            reply = self._byte(byte)
            if reply is not None:
                replies.append(reply)
        return replies

    def _byte(self, byte: int) -> Reply | None:
        if self._block:
            return self._in_block(byte)
        if self._asb:
            if byte & 0x90 == 0:
                return self._in_asb(byte)
            self._reject("asb_cut_short")
            self._asb.clear()
        if byte in _BLOCK_HEADS:
            self._block.append(byte)
        elif byte & 0x93 == 0x12:
            return RealTime(byte)
        elif byte & 0x93 == 0x10:
            self._asb.append(byte)
        elif byte & 0x90 == 0:
            return Transmitted(byte)
        elif byte not in (0x11, 0x13):
            self._reject("not_a_reply")
        return None

    def _in_asb(self, byte: int) -> Reply | None:
        self._asb.append(byte)
        if len(self._asb) < 4:
            return None
        status = automatic_status(bytes(self._asb))
        self._asb.clear()
        return Automatic(status)

    def _in_block(self, byte: int) -> Reply | None:
        if byte:
            self._block.append(byte)
            if len(self._block) > BLOCK_MAX:
                self._reject("block_too_long")
                self._block.clear()
            return None
        block = bytes(self._block)
        self._block.clear()
        if block[:2] == b"\x37\x22" and len(block) == 6:
            return JobDone(block[2:])
        if block[0] == INFORMATION:
            return Information(block[1:].decode("ascii", "replace"))
        self._reject("block_unknown")
        return None

    def _reject(self, cause: str) -> None:
        self.rejected[cause] += 1


def real_time_status(answers: Mapping[int, int]) -> PrinterStatus:
    """What the DLE EOT answers (n -> byte) say together; what was not answered stays None."""
    printer, offline, error, paper = (answers.get(n) for n in (1, 2, 3, 4))
    state: Paper | None = None
    if paper is not None:
        state = "out" if paper & 0x60 else "low" if paper & 0x0C else "ok"
    if offline is not None and offline & 0x20:
        state = "out"
    return PrinterStatus(
        online=None if printer is None else not printer & 0x08,
        paper=state,
        cover_open=None if offline is None else bool(offline & 0x04),
        error=_error(error) or ("error" if offline is not None and offline & 0x40 else None),
    )


def automatic_status(asb: bytes) -> PrinterStatus:
    """The status in four bytes of ASB."""
    return PrinterStatus(
        online=not asb[0] & 0x08,
        cover_open=bool(asb[0] & 0x20),
        error=_error(asb[1]),
        paper=_roll(asb[2]),
    )


def _roll(byte: int) -> Paper:
    return "out" if byte & 0x0C else "low" if byte & 0x03 else "ok"


def _error(byte: int | None) -> str | None:
    if byte is None:
        return None
    names = {0x08: "cutter jammed", 0x04: "mechanical error", 0x20: "unrecoverable error"}
    for bit, name in names.items():
        if byte & bit:
            return name
    return "head too hot or a like error that passes" if byte & 0x40 else None
