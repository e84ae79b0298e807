from __future__ import annotations

import random

import pytest
from msgspec import UNSET, Raw, structs

from agent.contract import wire
from agent.contract.commands import Ack
from agent.contract.events import Event, Gap, OrderEvent, Position
from agent.contract.orders import MAX_BYTES, Order
from agent.contract.presence import Presence, StreamState
from agent.demo import menu
from agent.demo.backend import BackEnd

NOW = 1_800_000_000_000
SHOP = "sh-021-01"


def event(seq, body, *, stream=None, kind=UNSET, t=NOW):
    stream = stream or body.STREAM
    return Event("e1", stream, seq, t, "ntp", Raw(wire.encode(body)), kind)


def single(backend, seq, body, **more):
    payload = wire.encode(event(seq, body, **more))
    return backend.receive(f"edge/v1/{SHOP}/evt/{body.KIND}", payload, None, NOW)


def position(fix_t=NOW, **more):
    values = {"lat": 31.23, "lon": 121.47, "acc": 3.0, "speed": 0.0, "course": None}
    values |= {"reason": "moved", "profile": "seed", "datum": "wgs84", "fix_t": fix_t}
    return Position(**(values | more))


def acks(reaction):
    return [
        (out.topic, wire.decode(out.payload, Ack, max_bytes=1000).seq)
        for out in reaction.publish
        if "/ack/" in out.topic
    ]


def test_what_is_stored_is_acknowledged():
    reaction = single(BackEnd(), 1, OrderEvent(action="received", order_id="demo-00001"))
    assert acks(reaction) == [(f"edge/v1/{SHOP}/ack/critical", 1)]


def test_an_event_that_comes_twice_is_stored_once_and_acknowledged_twice():
    backend = BackEnd()
    body = OrderEvent(action="received", order_id="demo-00001")
    first, second = single(backend, 1, body), single(backend, 1, body)
    assert [len(first.heard), len(second.heard)] == [1, 0]
    assert acks(second) == acks(first)


def test_what_lies_behind_a_hole_is_stored_but_not_acknowledged():
    backend = BackEnd()
    single(backend, 1, position())
    assert acks(single(backend, 3, position())) == [(f"edge/v1/{SHOP}/ack/telemetry", 1)]
    assert acks(single(backend, 2, position())) == [(f"edge/v1/{SHOP}/ack/telemetry", 3)]


def test_a_batch_is_stored_like_its_events():
    backend = BackEnd()
    events = [event(n, position(NOW - n), kind="position") for n in (1, 2, 3)]
    payload, content_type = wire.encode_batch(wire.encode_lines(events))
    reaction = backend.receive(f"edge/v1/{SHOP}/batch/telemetry", payload, content_type, NOW)
    assert acks(reaction) == [(f"edge/v1/{SHOP}/ack/telemetry", 3)]
    assert len(reaction.heard) == 3


def test_a_gap_closes_the_hole_that_it_explains():
    backend = BackEnd()
    single(backend, 1, position())
    gap = Gap(first=2, last=1000, reason="restart")
    assert acks(single(backend, 1000, gap, stream="telemetry"))[0][1] == 1000


def test_orders_that_a_reborn_device_lacks_are_sent_again():
    backend = BackEnd()
    orders = [menu.order(n, random.Random(1), NOW) for n in (1, 2, 3)]
    for order in orders:
        backend.order(SHOP, order)
    backend.order(SHOP, structs.replace(orders[1], version=2))
    has = {orders[0].order_id: 1, orders[1].order_id: 1}
    reaction = single(backend, 1, OrderEvent(action="reconcile", orders=has))
    sent = [
        wire.decode(out.payload, Order, max_bytes=MAX_BYTES)
        for out in reaction.publish
        if "/order/" in out.topic
    ]
    assert [(o.order_id, o.version) for o in sent] == [("demo-00002", 2), ("demo-00003", 1)]


def presence(state, bd_seq, last=0):
    streams = {"critical": StreamState(first_unacked=last + 1, last=last)}
    return wire.encode(
        Presence(state, bd_seq, "b", "0", "shop", "s", NOW, epoch="e1", streams=streams)
    )


def test_a_late_will_does_not_mark_a_living_device_dead():
    backend = BackEnd()
    topic = f"edge/v1/{SHOP}/state"
    backend.receive(topic, presence("online", 1), None, NOW)
    backend.receive(topic, presence("online", 2), None, NOW)
    backend.receive(topic, presence("lost", 1), None, NOW)
    assert backend.presences[SHOP].state == "online"
    backend.receive(topic, presence("lost", 2), None, NOW)
    assert backend.presences[SHOP].state == "lost"


def test_what_a_device_says_it_recorded_counts_as_missing_until_it_arrives():
    backend = BackEnd()
    backend.receive(f"edge/v1/{SHOP}/state", presence("online", 1, last=2), None, NOW)
    assert backend.ledger.book(SHOP, "e1", "critical").holes() == 2


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (f"edge/v1/{SHOP}/evt/position", b"\xff\x00"),
        (f"edge/v1/{SHOP}/evt/nonsense", wire.encode(event(1, position()))),
        (f"edge/v1/{SHOP}/batch/telemetry", b"not a batch"),
        (f"edge/v1/{SHOP}/state", b"[]"),
    ],
)
def test_what_breaks_the_contract_is_counted_and_not_acknowledged(topic, payload):
    backend = BackEnd()
    assert acks(backend.receive(topic, payload, None, NOW)) == []
    assert backend.rejected == 1


def test_the_belief_goes_on_at_constant_speed_and_never_back():
    backend = BackEnd()
    single(backend, 1, position(NOW, speed=10.0, course=90.0))
    single(backend, 2, position(NOW - 60_000, lat=30.0), t=NOW - 60_000)
    belief = backend.beliefs[SHOP]
    lat, lon = belief.at(NOW + 1000)
    assert lat == pytest.approx(31.23)
    assert (lon - 121.47) * 111_195 * 0.855 == pytest.approx(10, abs=0.1)


def test_after_a_loss_nothing_is_claimed_until_a_position_comes_in_time():
    backend = BackEnd()
    single(backend, 1, position())
    assert backend.beliefs[SHOP].fresh
    backend.receive(f"edge/v1/{SHOP}/state", presence("lost", 1), None, NOW)
    single(backend, 2, position(), t=NOW - 60_000)
    assert not backend.beliefs[SHOP].fresh
    single(backend, 3, position(NOW + 1))
    assert backend.beliefs[SHOP].fresh
