"""Nasty orders of other platforms: what a cook or a courier must know is on the paper."""

from __future__ import annotations

import contextlib
import re
from copy import deepcopy
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config import PrinterConfig
from agent.contract.errors import Rejected
from agent.contract.orders import MAX_BYTES, Order
from agent.contract.wire import decode, encode
from agent.orders.foreign import SOURCES
from agent.printing.layout import layout
from agent.printing.render import Renderer, columns_of
from agent.printing.routing import tickets
from agent.printing.templates import Templates
from agent.printing.values import Stamp
from drivers.printer.elements import Text
from tests.drivers.printer.strict import read as strictly

TEMPLATES = Templates()
STAMP = Stamp(now_ms=0, zone=UTC)


def brl(value: float | str) -> dict[str, Any]:
    return {"value": value, "currency": "BRL"}


def dish(name: str, qty: Any = 1, **more: Any) -> dict[str, Any]:
    return {"id": name, "name": name, "quantity": qty} | more


def nested(names: list[str], below: str) -> list[dict[str, Any]]:
    head, *tail = names
    return [dish(head, **{below: nested(tail, below)} if tail else {})]


DEEP = [f"Camada{n}" for n in range(1, 9)]
TAKEOUT: dict[str, Any] = {
    "id": "9d1e/" + "f" * 80,
    "displayId": 7731,
    "createdAt": "2026-03-01T11:00:00-03:00",
    "timing": {"orderTiming": "ONDEMAND", "orderPriority": "PRIORITY1"},
    "fulfillment": {
        "orderType": "TAKEOUT",
        "takeout": {"pickupCode": "Z9", "observations": "vem de bicicleta"},
    },
    "customer": {"id": "c", "name": "Zé \u202etxt", "phone": {"number": "21 9"}},
    "items": [
        dish(
            "Combo Família",
            "3",
            pricing={"unitPrice": brl("59.90")},
            options=nested(DEEP, "options"),
        ),
        dish("Queijo", 0.1234, unit="KG", pricing={"unitPrice": brl(0.0599)}, spiceLevel=3),
        dish(
            "Bolo", observations="PARABÉNS\nMÃE 🎂", giftWrap=True, allergyHint=["nozes", "leite"]
        ),
        {"quantity": 2, "externalCode": "SKU-99"},
    ],
    "otherFees": [
        {"name": "Embalagem", "type": "SERVICE_FEE", "price": brl(1.5), "note": "biodegradável"},
        {"name": "Gorjeta", "type": "TIP", "receivedBy": "MERCHANT", "price": brl(3)},
    ],
    "discounts": [
        {
            "amount": brl(7),
            "target": "ITEM",
            "sponsorshipValues": [
                {"name": "MARKETPLACE", "amount": brl(5), "discountCode": "CINCO"},
                {"name": "CHAIN", "amount": brl(2)},
            ],
        }
    ],
    "total": {"orderAmount": brl(176.2)},
    "payments": {
        "prepaid": 100,
        "pending": 76.2,
        "methods": [
            {"type": "PREPAID", "method": "PIX", "value": 100, "currency": "BRL"},
            {"type": "PENDING", "method": "MEAL_VOUCHER", "brand": "ALELO", "value": 26.2},
            {"type": "PENDING", "method": "CASH", "value": 50, "changeFor": 60, "currency": "BRL"},
        ],
    },
    "bags": 2,
    "fragile": True,
    "readyBy": "2026-03-01T15:30:00Z",
    "kitchen": {"plating": {"hint": "prato fundo"}},
}
TAKEOUT_WORDS = [
    *("#7731", "自取", "Z9", "vem de bicicleta", "Combo Família", "x3", *DEEP, "BRL 59.90"),
    *("Queijo 0.1234 KG", "0.0599 BRL", "spiceLevel: 3", "PARABÉNS MÃE", "giftWrap: yes"),
    *("nozes", "leite", "SKU-99", "x2", "Embalagem", "BRL 1.50", "biodegradável", "Gorjeta"),
    *("-BRL 7.00", "MARKETPLACE 5 CINCO", "CHAIN 2", "BRL 176.20", "PIX PREPAID 100"),
    *("MEAL_VOUCHER PENDING ALELO 26.2", "CASH DUE BRL 50.00", "PAYS WITH BRL 60.00"),
    *("prepaid: 100", "bags: 2", "fragile: yes", "readyBy: 2026-03-01 15:30 UTC"),
    *("plating hint: prato fundo", "orderTiming: ONDEMAND"),
]

FIRST_EDITION: dict[str, Any] = {
    "id": "od1",
    "type": "DELIVERY",
    "displayId": "314",
    "createdAt": "2026-03-01T14:00:00Z",
    "orderTiming": "SCHEDULED",
    "salesChannel": "Tele-Pizza",
    "schedule": {
        "scheduledDateTimeStart": "2026-03-01T18:00:00Z",
        "scheduledDateTimeEnd": "2026-03-01T18:30:00Z",
    },
    "merchant": {"id": "m", "name": "Loja da Esquina"},
    "items": [
        dish(
            "X-Tudo",
            2,
            unit="UN",
            index=1,
            unitPrice=brl(20.5),
            optionsPrice=brl(2),
            totalPrice=brl(45),
            specialInstructions="sem milho",
            options=[
                dish(
                    "Bacon", 2, unitPrice=brl(1), totalPrice=brl(2), specialInstructions="crocante"
                )
            ],
        )
    ],
    "otherFees": [
        {"name": "Entrega", "type": "DELIVERY_FEE", "price": brl(8), "observation": "até 5 km"}
    ],
    "total": {"itemsPrice": brl(45), "orderAmount": brl(53)},
    "payments": {
        "prepaid": 0,
        "pending": 53,
        "methods": [{"type": "PENDING", "method": "CASH", "value": 53, "changeFor": 100}],
    },
    "customer": {"id": "c", "name": "João", "phone": {"number": "0800 1"}},
    "delivery": {
        "deliveredBy": "MERCHANT",
        "deliveryAddress": {
            "street": "Rua Alfa",
            "number": "10",
            "complement": "ap 1",
            "reference": "perto da padaria",
            "district": "Moema",
            "coordinates": {"latitude": -2.5, "longitude": 3.5},
        },
    },
}
FIRST_WORDS = [
    *("#314", "Tele-Pizza", "外卖", "03-01 18:00", "2026-03-01 18:30 UTC", "Loja da Esquina"),
    *("X-Tudo", "x2", "BRL 20.50", "Bacon x2", "crocante", "sem milho", "Entrega", "até 5 km"),
    *("CASH DUE BRL 53.00", "PAYS WITH BRL 100.00", "João", "0800 1", "Rua Alfa, 10, ap 1"),
    *("perto da padaria", "Moema", "deliveredBy: MERCHANT"),
]

TABLE: dict[str, Any] = {
    "_id": "6239",
    "_etag": "x",
    "account": "620d",
    "location": "620e",
    "channelOrderId": "A-long-one",
    "channelOrderDisplayId": "1z3",
    "status": 1,
    "orderType": 3,
    "table": "Terrace 9",
    "channel": 10000,
    "pos": 20000,
    "pickupTime": "2026-03-03T13:03:00Z",
    "deliveryIsAsap": False,
    "preparationTime": 25,
    "note": "",
    "items": [
        {
            "plu": "CMB-02",
            "name": "Menú del día – ½ ración",
            "price": 1234.0,
            "quantity": 1,
            "sortOrder": 4,
            "productType": 1,
            "productTags": [104, 109, 4, "spicy"],
            "itemRemark": "No garlic",
            "subItems": [
                *nested(DEEP, "subItems"),
                {
                    "name": "Cola",
                    "quantity": 2,
                    "price": 50,
                    "itemRemark": "Iced",
                    "productTags": [110],
                    "subItems": [],
                },
            ],
        },
        {"plu": "NAMELESS", "quantity": 1, "price": 0, "cookingPoint": "well done"},
    ],
    "packaging": {"includeCutlery": True},
    "brandName": "Space Bar",
    "remake": True,
    "customerName": "Md One",
    "payment": {"amount": 20000, "type": 4, "due": 5000},
    "orderIsAlreadyPaid": False,
    "decimalDigits": 3,
    "currency": "EUR",
    "taxes": [{"name": "VAT 6%", "total": 600}, {"name": "VAT 21%", "total": 2100}],
    "tip": 1000,
    "discounts": [
        {"name": "2 for 1", "provider": "channel", "channelDiscountCode": "BOGO", "amount": 2000}
    ],
    "testOrder": True,
}
TABLE_WORDS = [
    *(
        "#1z3",
        "堂食",
        "Terrace 9",
        "03-03 13:03",
        "Menú del día",
        "½",
        "ración",
        "No garlic",
        *DEEP,
    ),
    *("1234.0 EUR", "eggs", "nuts", "vegan", "spicy", "Cola x2", "EUR 0.05", "Iced", "peanuts"),
    *("NAMELESS", "well done", "cutlery: yes", "Space Bar", "remake: yes", "Md One"),
    *("EUR 20.00", "credit card at the door", "VAT 6%", "EUR 0.60", "VAT 21%", "EUR 2.10"),
    *("tip", "EUR 1.00", "2 for 1 BOGO channel", "-EUR 2.00", "preparationTime: 25"),
    *("testOrder: yes", "NOT PAID", "payment due: 5000"),
]
CURBSIDE: dict[str, Any] = {
    "orderId": "c1",
    "channelOrderDisplayId": "55",
    "orderType": 4,
    "items": [dish("Pizza", 1, price=100, remark="ring me: +1 555")],
    "carDescription": "red Beetle, plate ABC",
    "pickupTime": "2026-03-03T13:03:00Z",
    "deliveryIsAsap": True,
}
CURBSIDE_WORDS = ["#55", "自取", "ASAP", "curbside", "Pizza", "red Beetle, plate ABC", "ring me"]

DOCUMENTS = [
    ("open-delivery", TAKEOUT, TAKEOUT_WORDS),
    ("open-delivery", FIRST_EDITION, FIRST_WORDS),
    ("open-delivery", {"id": "bare", "items": [dish("Coxinha")]}, ["Coxinha", "x1"]),
    ("deliverect", TABLE, TABLE_WORDS),
    ("deliverect", CURBSIDE, CURBSIDE_WORDS),
    ("deliverect", {"_id": "bare", "items": [{"name": "Tea"}]}, ["Tea", "x1"]),
]


def paper(source: str, document: dict[str, Any], width_mm: int = 80) -> str:
    """The order over the wire, as a ticket, as bytes that a reader of its own takes."""
    order = decode(encode(SOURCES[source](document)), Order, max_bytes=MAX_BYTES)
    config = PrinterConfig(name="k", uri="simulated://", width_mm=width_mm)
    (ticket,) = tickets(order, [config]).values()
    strictly(Renderer(config, TEMPLATES).render(ticket, STAMP).data, "gb18030")
    elements = layout(ticket, columns_of(config), STAMP, TEMPLATES.get("kitchen"))
    return squeezed(" ".join(element.plain for element in elements if isinstance(element, Text)))


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize(("source", "document", "words"), DOCUMENTS)
@pytest.mark.parametrize("width_mm", [58, 80])
def test_a_nasty_order_is_all_there(source, document, words, width_mm):
    text = paper(source, document, width_mm)
    # A line may break between two words, and what stands at its right end comes between.
    pieces = [piece for word in words for piece in word.split()]
    assert [piece for piece in pieces if piece not in text] == []


def test_what_machines_exchange_is_not_printed():
    text = paper("deliverect", TABLE)
    for noise in ("20000", "620d", "620e", "sortOrder", "productType", "10000", "A-long-one"):
        assert noise not in text


def test_identifiers_too_long_for_a_topic_stay_apart():
    ids = {SOURCES["open-delivery"](TAKEOUT | {"id": "x" * 80 + tail}).order_id for tail in "ab"}
    assert len(ids) == 2
    assert all(len(name) <= 64 for name in ids)


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_seventy_fields_that_nobody_knows_and_long_ones_are_printed(source):
    document: dict[str, Any] = {"id": "a", "_id": "a", "items": [dish("汤" * 300)]}
    document |= {f"hint{n}": f"word{n}!" for n in range(70)}
    document["items"][0]["remark"] = document["items"][0]["observations"] = "salt " * 900 + "END"
    text = paper(source, document)
    assert [n for n in range(70) if f"word{n}!" not in text] == []
    assert text.count("汤") == 300
    assert "END" in text


@pytest.mark.parametrize("source", sorted(SOURCES))
@pytest.mark.parametrize("quantity", ["many", True, [2], {"n": 1}, float("nan"), "1e999"])
def test_an_order_of_no_known_quantity_is_refused(source, quantity):
    document = {"id": "a", "_id": "a", "items": [dish("Pie", quantity)]}
    with pytest.raises(Rejected, match="no quantity"):
        SOURCES[source](document)


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_a_document_of_another_shape_is_refused_with_the_reason(source):
    deep: Any = {}
    for _ in range(3000):
        deep = {"a": deep}
    reasons = {}
    others = {
        "a shop's": {"number": 7, "line_items": [{"title": "Tea", "quantity": 1}]},
        "a list of lists": {"id": "a", "_id": "a", "items": [["Tea", 1]]},
        "a text": {"id": "a", "_id": "a", "items": "Tea"},
        "a cellar": {"id": "a", "_id": "a", "items": [dish("Tea")], "x": deep},
    }
    for name, document in others.items():
        with pytest.raises(Rejected) as caught:
            SOURCES[source](document)
        reasons[name] = str(caught.value)
    assert "items" in reasons["a shop's"] or "order_id" in reasons["a shop's"]
    assert "nested" in reasons["a cellar"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(DOCUMENTS), st.data())
def test_whatever_stands_anywhere_its_ticket_is_well_formed_or_there_is_a_reason(given_, data):
    source, document, _ = given_
    document = deepcopy(document)
    at: Any = document
    while True:
        keys = sorted(at) if isinstance(at, dict) else list(range(len(at)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(at[key], (dict, list)) or not at[key] or data.draw(st.booleans()):
            break
        at = at[key]
    at[key] = data.draw(JSON)
    with contextlib.suppress(Rejected):
        assert paper(source, document)
