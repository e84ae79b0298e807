"""Positions in the datum of the map that shows them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.consumer.charts import in_datum
from agent.consumer.ledger import Span
from agent.consumer.records import EventRow, GapRow, SetAside, StreamKey
from agent.consumer.records import Record as AnyRecord
from agent.positioning.datum import Datum, wgs84_to_gcj02

SHANGHAI = {"lat": 31.2304, "lon": 121.4737, "speed": 3.5, "course": 90.0, "datum": "wgs84"}


def row(kind: str, body: object) -> EventRow:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return EventRow("rd-1", "e", "telemetry", 7, kind, 1, "ntp", msgspec.Raw(text))


def body_of(record: AnyRecord) -> Any:
    assert isinstance(record, EventRow)
    return json.loads(bytes(record.body))


def test_a_position_is_stored_in_the_datum_asked_for_and_says_so() -> None:
    found = body_of(in_datum(row("position", SHANGHAI), "gcj02"))
    lat, lon = wgs84_to_gcj02(31.2304, 121.4737)
    assert found == SHANGHAI | {"lat": round(lat, 7), "lon": round(lon, 7), "datum": "gcj02"}


def test_a_device_that_sends_gcj02_is_stored_in_wgs84_too() -> None:
    there = in_datum(row("position", SHANGHAI), "gcj02")
    back = body_of(in_datum(there, "wgs84"))
    assert back["lat"] == pytest.approx(31.2304, abs=1e-7)
    assert back["lon"] == pytest.approx(121.4737, abs=1e-7)
    assert back["datum"] == "wgs84"


def test_the_position_of_an_sos_goes_with_the_others() -> None:
    sos = {"sos_id": "a", "state": "raised", "position": SHANGHAI, "position_age_s": 0.4}
    found = body_of(in_datum(row("sos", sos), "bd09"))
    assert found["position"]["datum"] == "bd09"
    assert found["position"]["lat"] != SHANGHAI["lat"]
    assert found["sos_id"] == "a"


@pytest.mark.parametrize(
    "record",
    [
        row("position", SHANGHAI | {"datum": "gcj02"}),
        row("position", SHANGHAI | {"datum": "nad27"}),
        row("position", SHANGHAI | {"lat": "north"}),
        row("position", SHANGHAI | {"lat": 1e9}),
        row("position", []),
        row("sos", {"sos_id": "a", "state": "raised"}),
        row("sos", {"sos_id": "a", "state": "raised", "position": None}),
        row("fence", SHANGHAI),
        row("position", b'{"lat":'),
        GapRow(StreamKey("d", "e", "state"), Span(1, 2), "evicted"),
        SetAside("t", b"", 0, "c", "x"),
    ],
)
def test_what_is_no_position_is_kept_as_it_came(record: AnyRecord) -> None:
    assert in_datum(record, "gcj02") is record


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
PLACE = st.fixed_dictionaries(
    {"lat": JSON, "lon": JSON, "datum": st.sampled_from(["wgs84", "gcj02", "bd09", ""])}
)


@given(
    st.sampled_from(["position", "sos"]),
    JSON | PLACE | st.fixed_dictionaries({"position": JSON | PLACE}),
    st.sampled_from(["wgs84", "gcj02", "bd09"]),
)
def test_nothing_that_a_device_says_breaks_it(kind: str, body: object, datum: Datum) -> None:
    in_datum(row(kind, body), datum)
