"""Stages of an order, and what is masked before it is kept."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.contract.orders import Customer, Item, Order, Status
from agent.orders.lifecycle import Action, Stage, after_action, after_document, mask

ORDER = Order(
    order_id="o1", version=1, status="pending", placed_at=0, items=[Item(name="面")]
)  # fmt: skip


@pytest.mark.parametrize(
    ("stage", "action", "after"),
    [
        ("received", "accepted", "accepted"),
        ("accepted", "accepted", "accepted"),
        ("received", "rejected", "rejected"),
        ("accepted", "rejected", None),
        ("rejected", "accepted", None),
        ("accepted", "ready", "ready"),
        ("ready", "picked_up", "picked_up"),
        ("received", "picked_up", None),
        ("cancelled", "accepted", None),
        ("closed", "ready", "closed"),
        ("ready", "accepted", "ready"),
        ("cancelled", "rejected", "cancelled"),
        ("rejected", "ready", None),
    ],
)
def test_what_staff_may_do(stage: Stage, action: Action, after: Stage | None) -> None:
    assert after_action(stage, action) == after


@pytest.mark.parametrize(
    ("stage", "status", "after"),
    [
        (None, "pending", "received"),
        (None, "cancelled", "cancelled"),
        ("received", "preparing", "accepted"),
        ("accepted", "pending", "accepted"),
        ("ready", "preparing", "ready"),
        ("rejected", "pending", "rejected"),
        ("rejected", "preparing", "accepted"),
        ("closed", "delivering", "closed"),
        ("closed", "cancelled", "cancelled"),
        ("accepted", "cancelled", "cancelled"),
        ("picked_up", "completed", "closed"),
    ],
)
def test_what_the_back_end_says_moves_on_but_never_back(
    stage: Stage | None, status: Status, after: Stage
) -> None:
    assert after_document(stage, status) == after


@given(st.sampled_from(get_args(Stage)), st.lists(st.sampled_from(get_args(Status)), max_size=6))
def test_a_cancelled_order_stays_cancelled(stage: Stage, statuses: list[Status]) -> None:
    now = after_document(stage, "cancelled")
    for status in statuses:
        now = after_document(now, status)
    assert now == "cancelled"


@pytest.mark.parametrize(
    ("phone", "masked"),
    [
        ("13812345678", "*******5678"),
        ("+86 138-1234-5678", "+** ***-****-5678"),
        ("138****5678", "138****5678"),
        ("110", "110"),
        (None, None),
    ],
)
def test_a_phone_keeps_its_last_four_digits(phone: str | None, masked: str | None) -> None:
    customer = mask(order(phone, None)).customer
    assert customer is not None
    assert customer.phone == masked


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("南京东路100号3栋502室", "南京东路100号*栋***室"),
        ("人民广场", "人民广场"),
        ("12 Main St, flat 4b", "12 Main St, flat *b"),
    ],
)
def test_an_address_keeps_its_street_and_house(address: str, masked: str) -> None:
    customer = mask(order(None, address)).customer
    assert customer is not None
    assert customer.address == masked


def order(phone: str | None, address: str | None) -> Order:
    return Order(
        order_id="o1", version=1, status="pending", placed_at=0, items=ORDER.items,
        customer=Customer(phone=phone, address=address),
    )  # fmt: skip
