"""Advertising data -> who is sending and how loud at 1 m. Any bytes give a beacon, None or a count.

An advertisement is a row of AD structures (Bluetooth Core 5.4, vol. 3 part C, 11; the type numbers
are in the Bluetooth Assigned Numbers, 2.3):

    +--------+------+---------------------+
    | length | type | length - 1 bytes    |   0xFF: company (2, little endian), then its data
    +--------+------+---------------------+   0x16: service (2, little endian), then its data
    a length of 0 ends the row

BlueZ hands them over taken apart: `{company: data}` and `{128-bit service UUID: data}`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

APPLE = 0x004C
EDDYSTONE = "0000feaa-0000-1000-8000-00805f9b34fb"
LOSS_FIRST_METRE_DB = 41  # Eddystone states the power at 0 m (eddystone-uid/README.md)

_SERVICE_DATA_16 = b"\x16"
_MANUFACTURER = b"\xff"
_IBEACON = b"\x02\x15"
_ALTBEACON = b"\xbe\xac"
_URL_SCHEMES = ("http://www.", "https://www.", "http://", "https://")
_URL_ENDINGS = (".com/", ".org/", ".edu/", ".net/", ".info/", ".biz/", ".gov/",
                ".com", ".org", ".edu", ".net", ".info", ".biz", ".gov")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What an Eddystone-TLM frame says of its sender; None where the sender cannot measure."""

    battery_mv: int | None
    temperature_c: float | None
    adverts: int  # since power-up
    uptime_s: float


@dataclass(frozen=True, slots=True)
class Beacon:
    """`identity` is one of `ibeacon:UUID/major/minor`, `altbeacon:` + 40 hex digits,
    `eddystone-uid:namespace/instance`, `eddystone-url:URL`, `eddystone-eid:` + 16 hex digits;
    all but the URL in lower case. A TLM frame has none."""

    identity: str | None
    power_1m: int | None  # dBm
    telemetry: Telemetry | None = None


def from_bytes(data: bytes, rejected: Counter[str]) -> Beacon | None:
    """The beacon in a raw advertisement; None when it is none or is broken (counted)."""
    manufacturer: dict[int, bytes] = {}
    services: dict[str, bytes] = {}
    at = 0
    while at < len(data) and data[at]:
        body = data[at + 2 : at + 1 + data[at]]
        if len(body) != data[at] - 1:
            rejected["ad_truncated"] += 1
            break
        kind, number = data[at + 1 : at + 2], int.from_bytes(body[:2], "little")
        if kind in {_MANUFACTURER, _SERVICE_DATA_16} and len(body) < 2:
            rejected["ad_short"] += 1
        elif kind == _MANUFACTURER:
            manufacturer[number] = body[2:]
        elif kind == _SERVICE_DATA_16:
            services[f"0000{number:04x}-0000-1000-8000-00805f9b34fb"] = body[2:]
        at += 1 + data[at]
    return from_parts(manufacturer, services, rejected)


def from_parts(
    manufacturer: Mapping[int, bytes], services: Mapping[str, bytes], rejected: Counter[str]
) -> Beacon | None:
    """The beacon in an advertisement that is already taken apart; the first format that fits."""
    for company, data in manufacturer.items():
        if company == APPLE and data[:2] == _IBEACON:
            return _ibeacon(data, rejected)
        if data[:2] == _ALTBEACON:
            return _altbeacon(data, rejected)
    for service, data in services.items():
        if service.lower() == EDDYSTONE:
            return _eddystone(data, rejected)
    return None


def _ibeacon(data: bytes, rejected: Counter[str]) -> Beacon | None:
    """Apple, Proximity Beacon Specification R1 (after the company 0x004C):

    02 15 | UUID 16 | major 2 | minor 2 | power at 1 m, int8     23 bytes, big endian
    """
    if len(data) != 23:
        rejected["ibeacon_length"] += 1
        return None
    major, minor = int.from_bytes(data[18:20], "big"), int.from_bytes(data[20:22], "big")
    return Beacon(f"ibeacon:{UUID(bytes=data[2:18])}/{major}/{minor}", _int8(data[22]))


def _altbeacon(data: bytes, rejected: Counter[str]) -> Beacon | None:
    """AltBeacon/spec (after the company, which may be anyone's):

    BE AC | id 20 | power at 1 m, int8 | for the maker 1         24 bytes
    """
    if len(data) != 24:
        rejected["altbeacon_length"] += 1
        return None
    return Beacon(f"altbeacon:{data[2:22].hex()}", _int8(data[22]))


def _eddystone(data: bytes, rejected: Counter[str]) -> Beacon | None:
    """google/eddystone, protocol-specification.md (service data of 0xFEAA):

    00 | power at 0 m | namespace 10 | instance 6 | reserved 2   UID; the last 2 may miss
    10 | power at 0 m | scheme | 0 to 17 bytes                   URL
    20 | version | ...                                           TLM
    30 | power at 0 m | ephemeral id 8                           EID
    """
    frame = data[0] if data else None
    power = _int8(data[1]) - LOSS_FIRST_METRE_DB if len(data) > 1 else None
    if frame == 0x00 and len(data) in {18, 20}:
        return Beacon(f"eddystone-uid:{data[2:12].hex()}/{data[12:18].hex()}", power)
    if frame == 0x30 and len(data) == 10:
        return Beacon(f"eddystone-eid:{data[2:].hex()}", power)
    if frame == 0x20:
        return _telemetry(data, rejected)
    if frame == 0x10 and 3 <= len(data) <= 20:
        url = _url(data[2:])
        if url is None:
            rejected["eddystone_url"] += 1
            return None
        return Beacon(f"eddystone-url:{url}", power)
    known = frame in {0x00, 0x10, 0x30}
    rejected["eddystone_length" if known else "eddystone_frame"] += 1
    return None


def _telemetry(data: bytes, rejected: Counter[str]) -> Beacon | None:
    """google/eddystone, eddystone-tlm/tlm-plain.md; big endian:

    20 | 00 | mV 2 (0: mains) | degrees C, 8.8 fixed (80 00: none) | adverts 4 | uptime 4, 0.1 s
    """
    if len(data) != 14 or data[1] != 0:
        rejected["eddystone_tlm"] += 1
        return None
    volts = int.from_bytes(data[2:4], "big")
    degrees = int.from_bytes(data[4:6], "big", signed=True)
    return Beacon(
        identity=None,
        power_1m=None,
        telemetry=Telemetry(
            battery_mv=volts or None,
            temperature_c=None if degrees == -0x8000 else degrees / 256,
            adverts=int.from_bytes(data[6:10], "big"),
            uptime_s=int.from_bytes(data[10:14], "big") / 10,
        ),
    )


def _url(data: bytes) -> str | None:
    """eddystone-url/README.md: a scheme, then letters, with bytes 0 to 13 for common endings."""
    if data[0] >= len(_URL_SCHEMES):
        return None
    text = _URL_SCHEMES[data[0]]
    for byte in data[1:]:
        if byte < len(_URL_ENDINGS):
            text += _URL_ENDINGS[byte]
        elif 0x20 < byte < 0x7F:
            text += chr(byte)
        else:
            return None
    return text


def _int8(byte: int) -> int:
    return byte - 256 if byte > 127 else byte
