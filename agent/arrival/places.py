"""`places.toml`: which beacons stand at which place, and from which RSSI on one is there.

floor_model = "mall.json"       # optional, beside this file

[[place]]
id = "shop-021"
floor = "3F"                    # optional

[[place.beacon]]
address = "C0:00:00:00:00:01"   # address or identity or both; an identity alone may be
identity = "ibeacon:.../1/21"   # sent by hundreds of beacons of a chain
enter_rssi = -72.0              # dBm
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from agent.arrival.floor import FloorModel
from agent.layers import ConfigError

PLACES = "/etc/edge-agent/places.toml"
_ADDRESS = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){5}")
_IDENTITY = re.compile(
    r"ibeacon:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/\d{1,5}/\d{1,5}"
    r"|altbeacon:[0-9a-f]{40}"
    r"|eddystone-uid:[0-9a-f]{20}/[0-9a-f]{12}"
    r"|eddystone-eid:[0-9a-f]{16}"
    r"|eddystone-url:.+"
)


class BeaconRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the file says of a beacon, in the spelling of `drivers.base.Advert`."""

    enter_rssi: Annotated[float, msgspec.Meta(ge=-120, le=0)]  # dBm
    address: str | None = None
    identity: str | None = None


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    floor: Annotated[str, msgspec.Meta(min_length=1, max_length=50)] | None = None
    beacon: list[BeaconRule] = []


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The top level; places one by one, so that every wrong one is named."""

    place: list[Any] = []
    floor_model: str | None = None


@dataclass(frozen=True, slots=True)
class Places:
    places: Sequence[Place] = ()
    floor_model: FloorModel | None = None
    building: str = ""  # the floor model's name
    floor_file: str = ""  # as `floor_model` names it, beside places.toml


def configured(path: str | None) -> Places:
    """Of `beacons.places`; where nothing is set, the usual file may also miss."""
    return load(Path(path or PLACES)) if path or Path(PLACES).exists() else Places()


def load(path: Path) -> Places:
    """The places, or ConfigError with everything that is wrong with the file."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from error
    problems: list[str] = []
    model = building = None
    try:
        top = msgspec.convert(data, _File)
    except msgspec.ValidationError as error:
        raise ConfigError([f"{path}: {error}"]) from error
    if top.floor_model is not None:
        building = path.parent / top.floor_model
        model = _floor_model(building, problems)
    places = _places(top.place, problems)
    if problems:
        raise ConfigError([f"{path}: {problem}" for problem in problems])
    return Places(places, model, building.stem if building else "", top.floor_model or "")


def _places(tables: Sequence[object], problems: list[str]) -> list[Place]:
    places: list[Place] = []
    for number, table in enumerate(tables, 1):
        where = (
            f"place {table.get('id', number)!r}" if isinstance(table, dict) else f"place {number}"
        )
        try:
            place = msgspec.convert(table, Place)
        except msgspec.ValidationError as error:
            problems.append(f"{where}: {error}")
            continue
        if place.id in {other.id for other in places}:
            problems.append(f"{where}: is listed twice")
        if not place.beacon:
            problems.append(f"{where}: has no [[place.beacon]]")
        rules = [_spelled(rule) for rule in place.beacon]
        problems += [f"{where}: {problem}" for rule in rules for problem in _wrong(rule)]
        places.append(msgspec.structs.replace(place, beacon=rules))
    return places


def _spelled(rule: BeaconRule) -> BeaconRule:
    """As drivers spell it: addresses in capitals, identities small except for URLs."""
    identity = rule.identity
    if identity is not None and not identity.startswith("eddystone-url:"):
        identity = identity.lower()
    address = None if rule.address is None else rule.address.upper()
    return msgspec.structs.replace(rule, address=address, identity=identity)


def _wrong(rule: BeaconRule) -> list[str]:
    problems = []
    if rule.address is None and rule.identity is None:
        problems.append("a beacon needs an address or an identity")
    if rule.address is not None and not _ADDRESS.fullmatch(rule.address):
        problems.append(f"address {rule.address!r} is not like C0:00:00:00:00:01")
    if rule.identity is not None and not _IDENTITY.fullmatch(rule.identity):
        problems.append(f"identity {rule.identity!r} is not like ibeacon:UUID/major/minor")
    return problems


def _floor_model(path: Path, problems: list[str]) -> FloorModel | None:
    try:
        model = msgspec.json.decode(path.read_bytes(), type=FloorModel)
    except OSError as error:
        problems.append(f"floor_model {path}: cannot be read: {error.strerror}")
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        problems.append(f"floor_model {path}: {error}")
        return None
    problems += [f"floor_model {path}: {problem}" for problem in model.problems()]
    beacons = {address.upper(): floors for address, floors in model.beacons.items()}
    return msgspec.structs.replace(model, beacons=beacons)
