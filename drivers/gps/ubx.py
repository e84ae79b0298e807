r"""UBX, the binary protocol of u-blox receivers: frames in and out. No I/O, no clock.

    B5 62 | class | id | length (2, little endian) | payload | CK_A CK_B (Fletcher-8, class on)

    0A 04  MON-VER    empty asks; answer: software[30] hardware[10] extension[30]*, one of them
                      "PROTVER=18.00" or "PROTVER 15.00"
    05 01  ACK-ACK    class id of what was done;   05 00 ACK-NAK of what was refused
    06 01  CFG-MSG    class id rate               on the port that it comes in by
    06 08  CFG-RATE   measurement ms(2) cycles(2) reference(2)
    06 00  CFG-PRT    empty asks for this port; port reserved txready(2) mode(4) baud(4) in(2)
                      out(2) flags(2) reserved(2); port 1 and 2 are serial lines, 3 is USB
    06 8A  CFG-VALSET 0 layers reserved(2) [key(4) value]*; instead of the three before since
                      protocol 27 (generation 9); layer 1 is RAM, 2 battery-backed, 4 flash

Nothing here writes elsewhere than to RAM: CFG-MSG, -RATE and -PRT do until a CFG-CFG, which is
never sent. Sources: u-blox 8/M8 receiver description (UBX-13003221), u-blox M9 and M10 interface
descriptions.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import NamedTuple

SYNC = b"\xb5\x62"
PAYLOAD_MAX = 1024  # a MON-VER with 30 extensions is 940 bytes; longer is noise
RAM = 1
VALSET_SINCE = 27.0  # protocol version

GSV_UART1, GSV_UART2, GSV_USB = 0x209100C5, 0x209100C6, 0x209100C7  # messages an epoch
RATE_MEAS, RATE_NAV = 0x30210001, 0x30210002  # ms a measurement, measurements a fix
UART1_BAUDRATE = 0x40520001
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8}  # bytes of a value, by bits 28 to 30 of its key
_PROTOCOL = re.compile(rb"PROTVER[ =]([0-9]{1,3}\.[0-9]{1,2})")


class Frame(NamedTuple):
    kind: tuple[int, int]  # class, id
    payload: bytes


ACK, NAK = (0x05, 0x01), (0x05, 0x00)
MON_VER, CFG_PRT, CFG_MSG, CFG_RATE, CFG_VALSET = (
    (0x0A, 0x04),
    (0x06, 0x00),
    (0x06, 0x01),
    (0x06, 0x08),
    (0x06, 0x8A),
)
NMEA_GSV = (0xF0, 0x03)


def checksum(data: bytes) -> bytes:
    """Fletcher-8 (RFC 1145) over class, id, length and payload."""
    a = b = 0
    for byte in data:
        a = (a + byte) & 0xFF
        b = (b + a) & 0xFF
    return bytes((a, b))


def encode(kind: tuple[int, int], payload: bytes = b"") -> bytes:
    body = struct.pack("<BBH", *kind, len(payload)) + payload
    return SYNC + body + checksum(body)


class Frames:
    """Feed it bytes as they come, NMEA in between too; it gives the frames with a good checksum."""

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, data: bytes) -> list[Frame]:
        rest, frames = self._tail + data, []
        while (start := rest.find(SYNC)) >= 0:
            rest = rest[start:]
            if len(rest) < 6:
                break
            length = int.from_bytes(rest[4:6], "little")
            if length <= PAYLOAD_MAX and len(rest) < 8 + length:
                break
            body = rest[2 : 6 + length]
            if length <= PAYLOAD_MAX and rest[6 + length : 8 + length] == checksum(body):
                frames.append(Frame((body[0], body[1]), body[4:]))
                rest = rest[8 + length :]
            else:
                rest = rest[2:]  # no frame after all; one may begin within it
        self._tail = rest if start >= 0 else rest[-1:]
        return frames


def verdict(frame: Frame, of: tuple[int, int]) -> bool | None:
    """Whether this frame says that a message of that kind was taken; None: it is about another."""
    if frame.kind not in (ACK, NAK) or frame.payload != bytes(of):
        return None
    return frame.kind == ACK


def protocol(version: Frame) -> float:
    """The protocol version in a MON-VER answer; 0.0 where it names none (u-blox 6 and older)."""
    found = _PROTOCOL.search(version.payload[40:])
    return float(found[1]) if found else 0.0


def model(version: Frame) -> str:
    """What a MON-VER answer calls itself, printable: module where it says so, and firmware."""
    parts = [version.payload[:30], version.payload[30:40]]
    parts += [version.payload[n : n + 30] for n in range(40, len(version.payload), 30)]
    texts = [part.split(b"\0")[0].decode("ascii", "replace") for part in parts]
    names = [text.removeprefix("MOD=") for text in texts if text.startswith("MOD=")]
    told = " ".join(["u-blox", *(names or texts[1:2]), *texts[:1]])
    return "".join(letter if letter.isprintable() else "?" for letter in told)[:80]


# --- what is asked and set ------------------------------------------------------------------------


def message_rate(message: tuple[int, int], rate: int) -> bytes:
    """Of the port that it comes in by; 0 is off."""
    return encode(CFG_MSG, bytes((*message, rate)))


def measurement_rate(ms: int) -> bytes:
    """One fix a measurement, aligned to UTC's sibling GPS time."""
    return encode(CFG_RATE, struct.pack("<HHH", ms, 1, 1))


def port_baud(port: Frame, baud: int) -> bytes | None:
    """A CFG-PRT answer with another baud rate; None where the port is no serial line."""
    if len(port.payload) != 20 or port.payload[0] not in (1, 2):
        return None
    return encode(CFG_PRT, port.payload[:8] + struct.pack("<I", baud) + port.payload[12:])


def valset(values: Mapping[int, int]) -> bytes:
    """Settings by key, in RAM alone."""
    items = (
        struct.pack("<I", key) + value.to_bytes(_SIZES[key >> 28 & 7], "little")
        for key, value in values.items()
    )
    return encode(CFG_VALSET, struct.pack("<BBH", 0, RAM, 0) + b"".join(items))
