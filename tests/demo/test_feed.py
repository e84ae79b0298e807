from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.contract import wire
from agent.contract.orders import MAX_BYTES, Order
from agent.demo import menu
from agent.demo.backend import Outgoing
from agent.demo.cards import Cards
from agent.demo.feed import KEPT, Feed
from agent.demo.post import Post
from agent.demo.wirelog import line_of
from agent.uplink.link import LinkDown


def test_a_reader_gets_what_is_new_since_it_last_looked():
    feed, cursor = Feed(), {}
    feed.add("wire", 1)
    assert feed.since(cursor) == {"wire": [1]}
    assert feed.since(cursor) == {}
    feed.add("wire", 2)
    assert feed.since(cursor) == {"wire": [2]}


def test_a_slow_reader_skips_what_is_no_longer_kept():
    feed, cursor = Feed(), {}
    for n in range(1000):
        feed.add("tickets", n)
    got = feed.since(cursor)["tickets"]
    assert len(got) == KEPT["tickets"]
    assert got[-1] == 999
    assert feed.total("tickets") == 1000


@pytest.mark.parametrize("number", range(1, 40))
def test_every_made_up_order_keeps_the_contract(number):
    order = menu.order(number, random.Random(number), 1_800_000_000_000)
    again = wire.decode(wire.encode(order), Order, max_bytes=MAX_BYTES)
    assert again == order


def test_the_malformed_order_breaks_it():
    with pytest.raises(wire.Rejected):
        wire.decode(menu.malformed(1), Order, max_bytes=MAX_BYTES)


@given(st.binary(max_size=300))
def test_any_bytes_can_be_shown_as_one_line(payload):
    for topic in ("edge/v1/d/evt/position", "edge/v1/d/batch/state", "edge/v1/d/state"):
        assert line_of(topic, payload, 0, up=True)["text"].isprintable()


def test_an_order_is_at_the_shop_when_the_shop_said_so():
    cards = Cards()
    order = menu.order(1, random.Random(1), 0)
    cards.add(order)
    assert (cards.on_the_way(), cards.open()) == (1, [])
    cards.said(order.order_id, "received")
    assert (cards.on_the_way(), cards.open()) == (0, [order.order_id])
    assert cards.accepted(order.order_id)["stage"] == "accepted"
    assert cards.said(order.order_id, "received") is None
    assert cards.open() == []


class Wire:
    """A link whose acknowledgements come when the test says so."""

    def __init__(self):
        self.up = True
        self.sent = []

    def publish(self, topic, payload, *, on_ack):
        if not self.up:
            raise LinkDown
        self.sent.append((topic, on_ack))


def test_no_more_is_under_way_than_the_broker_takes():
    link = Wire()
    post = Post(lambda _: None, link)
    post.up(2)
    for n in range(5):
        post.send(Outgoing(str(n), b""))
    assert [topic for topic, _ in link.sent] == ["0", "1"]
    link.sent[0][1](0)
    assert [topic for topic, _ in link.sent] == ["0", "1", "2"]


def test_what_was_under_way_when_the_link_dropped_is_sent_again_in_order():
    link = Wire()
    post = Post(lambda _: None, link)
    post.up(2)
    for n in range(4):
        post.send(Outgoing(str(n), b""))
    link.sent[1][1](0)  # "1" arrived, "0" is not known
    link.up = False
    post.send(Outgoing("4", b""))
    link.up, link.sent = True, []
    post.up(10)
    assert [topic for topic, _ in link.sent] == ["0", "2", "3", "4"]
