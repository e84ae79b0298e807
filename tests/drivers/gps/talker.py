"""What a receiver would say: NMEA of our own making, and a pty that it says it on."""

from __future__ import annotations

import os
import threading
import time
import tty
from collections.abc import Callable
from datetime import UTC, datetime


def sentence(body: str) -> bytes:
    checksum = 0
    for byte in body.encode():
        checksum ^= byte
    return f"${body}*{checksum:02X}\r\n".encode()


def angle(value: float, letters: str) -> str:
    degrees, width = abs(value), 2 if letters == "NS" else 3
    whole = int(degrees)
    minutes = f"{(degrees - whole) * 60:08.5f}"
    return f"{whole:0{width}d}{minutes},{letters[0] if value >= 0 else letters[1]}"


def place(lat: float, lon: float) -> str:
    return f"{angle(lat, 'NS')},{angle(lon, 'EW')}"


def rmc(utc: float, lat: float, lon: float, speed: float = 5.0, course: str = "90.0") -> bytes:
    at = datetime.fromtimestamp(utc, UTC)
    knots = speed * 3600 / 1852
    return sentence(
        f"GNRMC,{at:%H%M%S}.{at.microsecond // 10000:02d},A,{place(lat, lon)},{knots:.3f},{course},"
        f"{at:%d%m%y},,,A,V"
    )


def gga(utc: float, lat: float, lon: float, quality: int = 1) -> bytes:
    at = datetime.fromtimestamp(utc, UTC)
    return sentence(
        f"GNGGA,{at:%H%M%S}.{at.microsecond // 10000:02d},{place(lat, lon)},{quality},12,0.76,"
        "4.4,M,8.0,M,,"
    )


GSA = sentence("GNGSA,A,3,17,02,06,28,12,13,15,24,19,,,,1.48,0.76,1.27,1")
GSV = sentence("GPGSV,1,1,04,02,25,181,42,06,45,146,45,12,19,292,47,13,17,209,43,1")
START = datetime(2026, 11, 22, 6, 10, 50, tzinfo=UTC).timestamp()


def epoch(utc: float, lat: float, lon: float, speed: float = 5.0, course: str = "90.0") -> bytes:
    """As a u-blox receiver says it."""
    return rmc(utc, lat, lon, speed, course) + gga(utc, lat, lon) + GSA + GSV


class Talker:
    """A receiver on a pty; a thread makes it talk five times a second of its own time."""

    def __init__(self, *, say: Callable[[int], bytes] | None = None) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.device = os.ttyname(self._slave)
        self.silent = threading.Event()
        self._stop = threading.Event()
        self._say = say or (lambda n: epoch(START + n * 0.2, 31.0 + n * 1e-5, 121.0))
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()

    def _talk(self) -> None:
        n = 0
        os.set_blocking(self._master, False)
        while not self._stop.wait(0.2):
            n += 1
            if not self.silent.is_set():
                try:
                    os.write(self._master, self._say(n))
                except BlockingIOError:
                    time.sleep(0)  # nobody reads; a receiver does not care

    def unplug(self) -> None:
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join()
            os.close(self._master)
            os.close(self._slave)
