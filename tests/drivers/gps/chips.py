"""Receivers with an ear: on a pty, at one baud rate, in the dialects of u-blox, MediaTek, Airoha.

A pty carries bytes at any rate. What a real line does when the rates differ is done here: both ways
bytes are lost and the others are garbled, unless the termios speed of the pty is the receiver's.
"""

from __future__ import annotations

import os
import struct
import termios
import threading
import tty
from collections.abc import Callable
from contextlib import suppress
from random import Random

from drivers.gps import mtk, ubx
from tests.drivers.gps.talker import GSA, GSV, START, gga, rmc

SPEEDS = {
    getattr(termios, f"B{rate}"): rate for rate in (4800, 9600, 19200, 38400, 57600, 115200, 230400)
}
TICK_S = 0.01
EPOCH = 10  # ticks: a second of its own time takes 0.1 s


class Chip:
    """Deaf by default: it talks NMEA and understands nothing."""

    def __init__(self, baud: int = 9600, *, moves: bool = True) -> None:
        self.baud = baud
        self.gsv = True
        self.received = b""  # at the right rate
        self.moves = moves  # its time goes on
        self.silent = False
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.device = os.ttyname(self._slave)
        self._noise = Random(1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def hear(self, data: bytes) -> bytes:
        """What it answers."""
        del data
        return b""

    def epoch(self, n: int) -> bytes:
        at = START + n
        said = rmc(at, 31.0 + n * 1e-5, 121.0) + gga(at, 31.0 + n * 1e-5, 121.0) + GSA
        return said + (GSV * 4 if self.gsv else b"")

    def unplug(self) -> None:
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join()
            os.close(self._master)
            os.close(self._slave)

    def _run(self) -> None:
        n = tick = 0
        while not self._stop.wait(TICK_S):
            tick += 1
            with suppress(BlockingIOError):
                self._answer(os.read(self._master, 4096))
            if tick % EPOCH == 0 and not self.silent:
                n += self.moves
                self._say(self.epoch(n))

    def _answer(self, data: bytes) -> None:
        data = self._carried(data)
        self.received += data
        self._say(self.hear(data))

    def _say(self, data: bytes) -> None:
        with suppress(BlockingIOError):  # nobody reads; a receiver does not care
            os.write(self._master, self._carried(data))

    def _carried(self, data: bytes) -> bytes:
        if SPEEDS.get(termios.tcgetattr(self._slave)[5]) == self.baud:
            return data
        kept = bytes(byte for byte in data if self._noise.random() < 0.5)
        return bytes(byte ^ self._noise.randrange(1, 256) for byte in kept)


class Ublox(Chip):
    """`protocol` 18 is an M8, 34 an M10. `stubborn`: it says yes to another rate and keeps its
    own; `lost`: it changes to a rate that the line does not carry."""

    def __init__(
        self, baud: int = 9600, *, protocol: str = "18.00", fault: str = "", **more: bool
    ) -> None:
        self.protocol, self.fault = protocol, fault
        self.layers: set[int] = set()  # that settings were written to
        self.kept = False  # a CFG-CFG has come
        self._frames = ubx.Frames()
        super().__init__(baud, **more)

    def hear(self, data: bytes) -> bytes:
        return b"".join(self._frame(frame) for frame in self._frames.feed(data))

    def _frame(self, frame: ubx.Frame) -> bytes:
        modern = float(self.protocol) >= 27
        payload = frame.payload
        if frame.kind == ubx.MON_VER:
            said = (
                ("ROM CORE 3.01 (107888)", 30),
                ("00080000", 10),
                (f"PROTVER={self.protocol}", 30),
            )
            fields = (struct.pack(f"{size}s", text.encode()) for text, size in said)
            return ubx.encode(ubx.MON_VER, b"".join(fields))
        if frame.kind == (0x06, 0x09):
            self.kept = True
        if self.fault == "refuses":
            return ubx.encode(ubx.NAK, bytes(frame.kind))
        if frame.kind == ubx.CFG_VALSET and modern:
            return self._valset(payload)
        if frame.kind == ubx.CFG_MSG and not modern:
            self.gsv = payload != bytes((*ubx.NMEA_GSV, 0))
        elif frame.kind == ubx.CFG_PRT and not modern:
            if not payload:
                fields = struct.pack("<BBHIIHHHH", 1, 0, 0, 0x8D0, self.baud, 7, 3, 0, 0)
                return ubx.encode(ubx.CFG_PRT, fields) + ubx.encode(ubx.ACK, bytes(frame.kind))
            self._rate(struct.unpack_from("<I", payload, 8)[0])
        elif frame.kind != ubx.CFG_RATE or modern:
            return ubx.encode(ubx.NAK, bytes(frame.kind))
        return ubx.encode(ubx.ACK, bytes(frame.kind))

    def _valset(self, payload: bytes) -> bytes:
        self.layers.add(payload[1])
        key = struct.unpack_from("<I", payload, 4)[0]
        if key == ubx.GSV_UART2:
            return ubx.encode(ubx.NAK, bytes(ubx.CFG_VALSET))  # an M10 has one line
        if key == ubx.GSV_UART1:
            self.gsv = bool(payload[8])
        if key == ubx.UART1_BAUDRATE:
            self._rate(struct.unpack_from("<I", payload, 8)[0])
        return ubx.encode(ubx.ACK, bytes(ubx.CFG_VALSET))

    def _rate(self, baud: int) -> None:
        if self.fault == "lost":
            self.baud, self.fault = 57600, ""
        elif self.fault != "stubborn":
            self.baud = baud


class Mediatek(Chip):
    def __init__(self, baud: int = 9600, **more: bool) -> None:
        self._tail = b""
        super().__init__(baud, **more)

    def hear(self, data: bytes) -> bytes:
        *lines, self._tail = (self._tail + data).split(b"\n")
        return b"".join(self._line(line) for line in lines if b"$P" in line)

    def _line(self, line: bytes) -> bytes:
        body, _, checksum = line[line.rfind(b"$P") + 1 :].decode("latin-1").partition("*")
        if mtk.encode(body)[-4:-2].decode() != checksum.strip():
            return b""
        return self.obey(body)

    def obey(self, body: str) -> bytes:
        number = body[4:7]
        if body == mtk.WHO_PMTK:
            return mtk.encode("PMTK705,AXN_2.31_3339_13101700,5632,PA6H,1.0")
        if body[:4] != "PMTK" or number not in ("314", "220", "251"):
            return b""
        if number == "251":
            self.baud = int(body.split(",")[1])
            return b""
        self.gsv &= number != "314"
        return mtk.encode(f"PMTK001,{number},3")


class Airoha(Mediatek):
    def obey(self, body: str) -> bytes:
        number = body[4:7]
        if body[:4] != "PAIR":
            return b""
        if body == mtk.WHO_PAIR:
            return mtk.encode("PAIR001,020,0") + mtk.encode("PAIR020,AG3335A_V2.3.0,S,N")
        self.gsv &= body != mtk.PAIR_QUIET
        return mtk.encode(f"PAIR001,{number},{0 if number in ('062', '050') else 3}")


MAKERS: dict[str, Callable[[int], Chip]] = {
    "M8": lambda baud: Ublox(baud),
    "M10": lambda baud: Ublox(baud, protocol="34.10"),
    "MediaTek": lambda baud: Mediatek(baud),
}
