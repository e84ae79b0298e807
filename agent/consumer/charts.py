"""Stores positions in the datum of the map that shows them; pure.

Devices say in which datum a position is (`datum`); whoever shows it on a Chinese map wants GCJ-02
or BD-09. What is converted is labelled so, and what cannot be is kept as it came.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from agent.consumer.records import EventRow, Record
from agent.contract.events import Position, Sos
from agent.positioning.datum import Datum, convert


class _Placed(msgspec.Struct):
    """The part of a `position` that a datum concerns."""

    lat: float
    lon: float
    datum: Literal["wgs84", "gcj02", "bd09"]


def in_datum(record: Record, wanted: Datum) -> Record:
    """The record; if it is an event with a position, with that position in `wanted`."""
    if not isinstance(record, EventRow) or record.kind not in (Position.KIND, Sos.KIND):
        return record
    try:
        body = msgspec.json.decode(record.body)
        place = body if record.kind == Position.KIND else body["position"]
        found = msgspec.convert(place, _Placed)
    except (msgspec.DecodeError, KeyError, TypeError):
        return record
    if found.datum == wanted or not (abs(found.lat) <= 90 and abs(found.lon) <= 180):
        return record
    place |= _as_fields(*convert(found.lat, found.lon, found.datum, wanted), wanted)
    return msgspec.structs.replace(record, body=msgspec.Raw(msgspec.json.encode(body)))


def _as_fields(lat: float, lon: float, datum: Datum) -> dict[str, Any]:
    return {"lat": round(lat, 7), "lon": round(lon, 7), "datum": datum}
