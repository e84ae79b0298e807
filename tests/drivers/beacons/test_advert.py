from __future__ import annotations

import uuid
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drivers.beacons.advert import EDDYSTONE, Beacon, Telemetry, from_bytes, from_parts

UUID = "f7826da6-4fa2-4e98-8024-bc5b71e0893e"
IBEACON = b"\x02\x15" + uuid.UUID(UUID).bytes + b"\x00\x07\x00\x2a\xc5"
ALTBEACON = b"\xbe\xac" + bytes(range(20)) + b"\xc5\x00"
UID = b"\x00\xee" + bytes(range(10)) + bytes(range(6))
FLAGS = b"\x02\x01\x06"


def manufacturer(company: int, data: bytes) -> bytes:
    return bytes([len(data) + 3, 0xFF]) + company.to_bytes(2, "little") + data


def service(data: bytes, number: int = 0xFEAA) -> bytes:
    return bytes([len(data) + 3, 0x16]) + number.to_bytes(2, "little") + data


@pytest.mark.parametrize(
    ("raw", "beacon"),
    [
        (FLAGS + manufacturer(0x4C, IBEACON), Beacon(f"ibeacon:{UUID}/7/42", -59)),
        (
            manufacturer(0x118, ALTBEACON),
            Beacon("altbeacon:000102030405060708090a0b0c0d0e0f10111213", -59),
        ),
        (
            FLAGS + b"\x03\x03\xaa\xfe" + service(UID + b"\x00\x00"),
            Beacon("eddystone-uid:00010203040506070809/000102030405", -59),
        ),
        (service(UID), Beacon("eddystone-uid:00010203040506070809/000102030405", -59)),
        (service(b"\x10\xee\x03shop\x07x"), Beacon("eddystone-url:https://shop.comx", -59)),
        (service(b"\x10\x00\x01a\x00b"), Beacon("eddystone-url:https://www.a.com/b", -41)),
        (service(b"\x30\xee12345678"), Beacon("eddystone-eid:3132333435363738", -59)),
        (
            service(bytes.fromhex("2000 0bb8 1880 00000064 000003e8")),
            Beacon(None, None, Telemetry(3000, 24.5, 100, 100.0)),
        ),
        (
            service(bytes.fromhex("2000 0000 8000 00000001 0000000a")),
            Beacon(None, None, Telemetry(None, None, 1, 1.0)),
        ),
        (FLAGS + manufacturer(0x4C, b"\x10\x05\x01\x18\x1c"), None),  # an iPhone, no beacon
        (service(b"\x00\xee", number=0x180F), None),
        (FLAGS + b"\x00" + manufacturer(0x4C, IBEACON), None),  # the row has ended
        (b"", None),
    ],
)
def test_an_advertisement_gives_its_beacon(raw: bytes, beacon: Beacon | None) -> None:
    rejected: Counter[str] = Counter()
    assert from_bytes(raw, rejected) == beacon
    assert not rejected


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (manufacturer(0x4C, IBEACON[:-1]), "ibeacon_length"),
        (manufacturer(0x4C, IBEACON + b"\x00"), "ibeacon_length"),
        (manufacturer(0x118, ALTBEACON[:-1]), "altbeacon_length"),
        (service(UID[:-1]), "eddystone_length"),
        (service(b"\x30\xee1234567"), "eddystone_length"),
        (service(b"\x10\xee"), "eddystone_length"),
        (service(b"\x10\xee\x03" + b"a" * 18), "eddystone_length"),
        (service(b"\x10\xee\x04a"), "eddystone_url"),
        (service(b"\x10\xee\x03\x1b[2J"), "eddystone_url"),
        (service(b"\x20\x01" + bytes(12)), "eddystone_tlm"),
        (service(b"\x20\x00"), "eddystone_tlm"),
        (service(b"\x40"), "eddystone_frame"),
        (service(b""), "eddystone_frame"),
        (manufacturer(0x4C, IBEACON)[:-1], "ad_truncated"),
        (b"\x02\xff\x4c", "ad_short"),
        (b"\x01\x16", "ad_short"),
        (b"\x05", "ad_truncated"),
    ],
)
def test_a_broken_advertisement_is_counted_by_cause(raw: bytes, cause: str) -> None:
    rejected: Counter[str] = Counter()
    assert from_bytes(raw, rejected) is None
    assert rejected == {cause: 1}


def test_what_bluez_gives_is_the_same_beacon() -> None:
    rejected: Counter[str] = Counter()
    assert from_parts({0x4C: IBEACON}, {}, rejected) == Beacon(f"ibeacon:{UUID}/7/42", -59)
    beacon = from_parts({}, {EDDYSTONE.upper(): UID}, rejected)
    assert beacon is not None
    assert beacon.power_1m == -59


HEADS = [
    manufacturer(0x4C, IBEACON),
    manufacturer(9, ALTBEACON),
    service(UID),
    service(b"\x20\x00"),
]


@settings(max_examples=300)
@given(
    st.one_of(
        st.binary(max_size=64),
        st.builds(
            lambda head, at, byte, tail: head[:at] + byte + head[at + 1 :] + tail,
            st.sampled_from(HEADS),
            st.integers(0, 30),
            st.binary(max_size=2),
            st.binary(max_size=8),
        ),
    )
)
@example(b"\xff" * 31)
def test_any_bytes_give_a_beacon_or_nothing(raw: bytes) -> None:
    beacon = from_bytes(raw, Counter())
    if beacon is not None and beacon.identity is not None:
        assert beacon.identity.isprintable()
        assert beacon.power_1m is not None
        assert -128 - 41 <= beacon.power_1m <= 127


@settings(max_examples=150)
@given(
    st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=30), max_size=3),
    st.dictionaries(st.sampled_from([EDDYSTONE, "x", ""]), st.binary(max_size=30), max_size=3),
)
def test_any_parts_give_a_beacon_or_nothing(
    makers: dict[int, bytes], services: dict[str, bytes]
) -> None:
    from_parts(makers, services, Counter())
