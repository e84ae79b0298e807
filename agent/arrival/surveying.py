"""A survey becomes a place of `places.toml`: which beacon, which threshold, and the new text.

The rest of the file stays as its author wrote it, comments included.
"""

from __future__ import annotations

import itertools
import json
import re
import tomllib
from collections.abc import Sequence

from agent.arrival.learning import Sample, stood, surveyed
from agent.arrival.places import BeaconRule, Place
from agent.arrival.presence import percentile75
from agent.layers import ConfigError
from drivers.base import Advert

ROTATES = "eddystone-eid:"
_BLOCK = re.compile(r"^[ \t]*\[\[[ \t]*place[ \t]*\]\]", re.MULTILINE)


def rule(inside: Sequence[Advert], outside: Sequence[Advert], wanted: str | None
         ) -> BeaconRule | None:  # fmt: skip
    """The loudest beacon inside, or the one `wanted` by identity or address, with its threshold;
    None when too little was heard of it. An identity that rotates is none to go by."""
    heard: dict[str, list[int]] = {}
    for advert in inside:
        if wanted in {None, advert.identity, advert.address}:
            heard.setdefault(_name(advert), []).append(advert.rssi)
    if not heard:
        return None
    name = max(heard, key=lambda name: percentile75(sorted(heard[name])))
    samples = [Sample(a.t, a.rssi, inside=True) for a in inside if _name(a) == name]
    beyond = [Sample(a.t, a.rssi, inside=False) for a in outside if _name(a) == name]
    level = surveyed([*samples, *beyond]) if beyond else None
    level = stood(samples) if level is None else level
    if level is None:
        return None
    is_address = name == next(a.address for a in inside if _name(a) == name)
    if is_address:
        return BeaconRule(address=name, enter_rssi=round(level, 1))
    return BeaconRule(identity=name, enter_rssi=round(level, 1))


def _name(advert: Advert) -> str:
    identity = advert.identity
    return advert.address if identity is None or identity.startswith(ROTATES) else identity


def merged(text: str, place: Place) -> str:
    """`text` with the place instead of, or behind, those that it has; ConfigError when the result
    would not say what it should."""
    starts = [match.start() for match in _BLOCK.finditer(text)]
    edges = [0, *starts, len(text)]
    parts = [text[a:b] for a, b in itertools.pairwise(edges)]
    new = written(place)
    where = next((n for n, part in enumerate(parts) if n and _id(part) == place.id), None)
    if where is None:
        joined = f"{text.rstrip()}\n\n{new}" if text.strip() else new
    else:
        parts[where] = new if where == len(parts) - 1 else f"{new}\n"
        joined = "".join(parts)
    _check(text, joined, place)
    return joined


def with_floor_model(text: str, file: str) -> str:
    """`text` with a `floor_model` above all else, for one that has none."""
    new = f"floor_model = {_text(file)}\n\n{text}"
    try:
        changed, before = tomllib.loads(new), tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"the file of places cannot be changed: {error}"]) from error
    assert changed == {"floor_model": file} | before
    return new


def has(text: str, place: str) -> bool:
    return any(other.get("id") == place for other in tomllib.loads(text).get("place", []))


def written(place: Place) -> str:
    """As TOML; JSON's strings are basic strings of TOML."""
    lines = ["[[place]]", f"id = {_text(place.id)}"]
    lines += [f"floor = {_text(place.floor)}"] if place.floor else []
    for beacon in place.beacon:
        lines += ["", "[[place.beacon]]"]
        lines += [f"address = {_text(beacon.address)}"] if beacon.address else []
        lines += [f"identity = {_text(beacon.identity)}"] if beacon.identity else []
        lines.append(f"enter_rssi = {beacon.enter_rssi}")
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def _id(part: str) -> object:
    try:
        return tomllib.loads(part)["place"][0].get("id")
    except (tomllib.TOMLDecodeError, KeyError, IndexError, AttributeError):
        return None


def _check(before: str, after: str, place: Place) -> None:
    """Every other place, and what stands above them, is as it was."""
    try:
        old, new = tomllib.loads(before), tomllib.loads(after)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"the file of places cannot be changed: {error}"]) from error

    def others(data: dict[str, object]) -> object:
        places = data.pop("place", [])
        assert isinstance(places, list)
        return data, [other for other in places if other.get("id") != place.id]

    if others(old) != others(new):
        raise ConfigError(["the file of places is written in a way that only its author can edit"])
