from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.consumer import intake
from agent.consumer.ledger import Span
from agent.consumer.records import EventRow, GapRow, SetAside, StateRow, StreamKey
from agent.contract import wire
from agent.contract.wire import NDJSON, NDJSON_ZLIB
from tests.agent.consumer.support import batch, event, gap, presence

KEY = StreamKey("d", "e1", "critical")
ORDER = "edge/v1/d/evt/order"


def read(topic, payload, content_type=None):
    return intake.read(topic, payload, content_type)


def test_an_event_keeps_its_body_as_it_was_sent():
    (row,) = read(ORDER, event(7, body='{"new":"字段", "n":1.50}'))
    assert isinstance(row, EventRow)
    assert (row.key, row.seq, row.kind, row.t, row.tq) == (KEY, 7, "order", 1007, "ntp")
    assert bytes(row.body).decode() == '{"new":"字段", "n":1.50}'


def test_a_kind_that_is_not_known_yet_is_no_reason_to_lose_it():
    assert [r.kind for r in read("edge/v1/d/evt/humidity", event(1))] == ["humidity"]


@pytest.mark.parametrize("packed", [False, True])
def test_a_batch_gives_its_events(packed):
    lines = batch(event(1, kind="order"), event(2, kind="print"))
    payload = zlib.compress(lines) if packed else lines
    rows = read("edge/v1/d/batch/critical", payload, NDJSON_ZLIB if packed else NDJSON)
    assert [(row.seq, row.kind) for row in rows] == [(1, "order"), (2, "print")]


def test_one_bad_line_takes_nothing_from_the_others():
    lines = batch(event(1, kind="order"), b"{nonsense", event(3, kind="order"))
    first, bad, last = read("edge/v1/d/batch/critical", lines)
    assert (first.seq, last.seq) == (1, 3)
    assert isinstance(bad, SetAside)
    assert bad.payload == b"{nonsense"


@pytest.mark.parametrize(
    "line",
    [
        event(5, kind="order").replace(b'"ntp"', b'"sundial"'),
        event(5, kind="order").replace(b'"t":1005', b'"t":99999999999999999999'),
        event(5, kind="no name"),
        event(5),  # in a batch its kind would have to stand in it
        event(5, kind="order", body='"\xff"').replace("\xff".encode(), b"\xff"),
        event(5, kind="gap", body='{"from":9,"to":12,"reason":"evicted"}'),
        event(5, kind="gap", body="7"),
    ],
)
def test_what_cannot_be_kept_but_has_a_number_lets_the_device_go_on(line):
    aside, number = read("edge/v1/d/batch/critical", line)
    assert isinstance(aside, SetAside)
    assert number == GapRow(KEY, Span(5, 5), "set_aside")


def test_a_gap_explains_up_to_its_own_number_and_is_no_event():
    assert read("edge/v1/d/evt/gap", gap(3, 9)) == [GapRow(KEY, Span(3, 9), "evicted")]
    beyond = event(9, body='{"from":3,"to":99,"reason":"restart"}')
    assert read("edge/v1/d/evt/gap", beyond) == [GapRow(KEY, Span(3, 9), "restart")]
    early = event(9, body='{"from":3,"to":5,"reason":"some_new_reason"}')
    assert read("edge/v1/d/evt/gap", early) == [
        GapRow(KEY, Span(3, 5), "some_new_reason"),
        GapRow(KEY, Span(9, 9), "some_new_reason"),
    ]


@pytest.mark.parametrize(
    ("topic", "payload", "code"),
    [
        (ORDER, b"", "not_json"),
        (ORDER, b"{}", "invalid"),
        (ORDER, event(0), "invalid"),
        (ORDER, event(2**63), "invalid"),
        (ORDER, event(1, epoch="e\n1"), "invalid"),
        (ORDER, event(1, epoch="e" * 65), "invalid"),
        (ORDER, b'"' + b"x" * 2**20, "too_large"),
        (f"edge/v1/{'d' * 65}/evt/order", event(1), "bad_device"),
        ("edge/v1/d\n/evt/order", event(1), "bad_device"),
        ("edge/v1/d/state", b"[]", "invalid"),
        ("edge/v1/d/state", presence(since=2**63), "invalid"),
    ],
)
def test_what_says_nothing_is_set_aside_with_the_reason(topic, payload, code):
    (aside,) = read(topic, payload)
    assert isinstance(aside, SetAside)
    assert (aside.code, aside.size) == (code, len(payload))
    assert len(aside.payload) <= intake.MAX_BYTES
    assert aside.topic.isprintable()


def test_a_bomb_is_set_aside_as_it_came():
    bomb = zlib.compress(b"\n" * (wire.MAX_BATCH_BYTES + 1))
    (aside,) = read("edge/v1/d/batch/state", bomb, NDJSON_ZLIB)
    assert (aside.code, aside.payload) == ("too_large", bomb)


def test_presence_says_where_the_streams_stand():
    (state,) = read("edge/v1/d/state", presence(bd_seq=4, critical=7, pigeon=1))
    assert isinstance(state, StateRow)
    assert (state.bd_seq, state.epoch, state.streams) == (4, "e1", (("critical", Span(7, 16)),))


@pytest.mark.parametrize("topic", ["", "weather", "edge/v1/d/order/o1", "edge/v2/d/evt/order"])
def test_what_is_not_for_us_is_nothing(topic):
    assert read(topic, b"junk") == []
    assert read("edge/v1/d/state", b"") == []  # a retained message that was cleared


@settings(max_examples=200)
@given(
    st.sampled_from(["evt/order", "evt/gap", "evt", "batch/critical", "state", "evt/\0\ud800"]),
    st.one_of(
        st.binary(max_size=80),
        st.builds(
            lambda at, new: event(3, kind="gap", body='{"from":1,"to":3}')[:at] + new,
            st.integers(0, 110),
            st.binary(max_size=6),
        ),
        st.builds(
            lambda at, new: presence(critical=3)[:at] + new, st.integers(0, 190), st.binary()
        ),
    ),
    st.sampled_from([None, NDJSON, NDJSON_ZLIB]),
)
def test_any_bytes_give_records(rest, payload, content_type):
    for record in read(f"edge/v1/d/{rest}", payload, content_type):
        if isinstance(record, SetAside):
            record.values(1)
