"""Recorded advertisements: CSV with at least the columns `t,address,rssi`, in any order.

t        unix seconds, never falling
address  AA:BB:CC:DD:EE:FF in either case
rssi     dBm
uuid, major, minor   of an iBeacon, optional, all three or none
tx_power             dBm at 1 m, optional
identity             as in `drivers.base.Advert`, optional; for beacons that are no iBeacon
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID

from drivers.base import Advert

REQUIRED = ("t", "address", "rssi")
COLUMNS = (*REQUIRED, "uuid", "major", "minor", "tx_power", "identity")
IDENTITY_MAX = 100
RSSI_MIN_DBM, RSSI_MAX_DBM = -126, 20  # of the HCI; 127 and -127 mean that nothing was measured
_IBEACON = "ibeacon:"
_ADDRESS = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){5}")


class NotARecording(ValueError):
    """The first line does not name the columns."""


def valid_rssi(rssi: int) -> bool:
    """Whether an RSSI was measured: drivers say 0, 127 or -127 when they do not know."""
    return RSSI_MIN_DBM <= rssi <= RSSI_MAX_DBM and rssi != 0


def read(lines: Iterable[str], rejected: Counter[str]) -> Iterator[Advert]:
    """The adverts, with `t` in unix seconds; rows that make no sense are counted by cause."""
    rows = csv.DictReader((line.replace("\0", "") for line in lines), quoting=csv.QUOTE_NONE)
    try:
        missing = [name for name in REQUIRED if name not in (rows.fieldnames or ())]
    except csv.Error as error:
        raise NotARecording(f"the first line is no CSV: {error}") from None
    if missing:
        raise NotARecording(f"the first line has no column {', '.join(missing)}")
    return _adverts(rows, rejected)


def _adverts(rows: csv.DictReader[str], rejected: Counter[str]) -> Iterator[Advert]:
    newest = -math.inf
    while True:
        try:
            row = next(rows)
            advert = _advert(row)
        except StopIteration:
            return
        except (csv.Error, ValueError):
            rejected["not_an_advert"] += 1
            continue
        if not valid_rssi(advert.rssi):
            rejected["rssi_unknown"] += 1
        elif advert.t < newest:
            rejected["out_of_order"] += 1
        else:
            newest = advert.t
            yield advert


def _advert(row: Mapping[str, str | None]) -> Advert:
    """Raises ValueError for anything that is not one."""
    t, address, rssi = (row[name] or "" for name in REQUIRED)
    seconds = float(t)
    if not (math.isfinite(seconds) and _ADDRESS.fullmatch(address.upper())):
        raise ValueError(row)
    tx_power = row.get("tx_power")
    return Advert(
        t=seconds,
        address=address.upper(),
        rssi=round(float(rssi)) if math.isfinite(float(rssi)) else 0,
        identity=_identity(row),
        power_1m=int(tx_power) if tx_power else None,
    )


def _identity(row: Mapping[str, str | None]) -> str | None:
    uuid, major, minor = row.get("uuid"), row.get("major"), row.get("minor")
    if not uuid:
        identity = row.get("identity") or None
        if identity is not None and not (identity.isprintable() and len(identity) <= IDENTITY_MAX):
            raise ValueError(row)
        return identity
    return f"ibeacon:{UUID(uuid)}/{int(major or '')}/{int(minor or '')}"


def line(advert: Advert, unix_s: float) -> str:
    """What `read` makes the same advert of again; the first line is that of COLUMNS."""
    uuid = major = minor = other = ""
    if advert.identity is not None and advert.identity.startswith(_IBEACON):
        uuid, major, minor = advert.identity.removeprefix(_IBEACON).split("/")
    elif advert.identity is not None and "," not in advert.identity:
        other = advert.identity
    power = "" if advert.power_1m is None else str(advert.power_1m)
    return ",".join(
        (f"{unix_s:.3f}", advert.address, str(advert.rssi), uuid, major, minor, power, other)
    )
