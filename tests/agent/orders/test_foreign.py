"""Orders of other platforms: what people should read is on the ticket, money is what it was."""

from __future__ import annotations

import contextlib
import json
import re
from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cli import main
from agent.config import PrinterConfig
from agent.contract.errors import Rejected
from agent.contract.orders import Order
from agent.orders.deliverect import deliverect
from agent.orders.foreign import SOURCES
from agent.orders.open_delivery import open_delivery
from agent.printing.layout import layout
from agent.printing.routing import tickets
from agent.printing.templates import Templates
from agent.printing.values import Stamp
from drivers.printer.elements import Text


def price(value: float) -> dict[str, object]:
    return {"value": value, "currency": "BRL"}


def pricing(unit: float) -> dict[str, object]:
    return {"unitPrice": price(unit), "totalPrice": price(unit)}


OPEN_DELIVERY = {
    "id": "b6c1f0a2/77",
    "displayId": "K-481",
    "createdAt": "2026-11-20T18:02:11Z",
    "merchant": {"id": "m-1", "name": "Cantina do Porto"},
    "status": "CONFIRMED",
    "context": {"salesChannel": "Feirinha App"},
    "timing": {
        "orderTiming": "SCHEDULED",
        "schedule": {
            "scheduledDateTimeStart": "2026-11-20T21:30:00Z",
            "scheduledDateTimeEnd": "2026-11-20T21:45:00Z",
        },
    },
    "fulfillment": {
        "orderType": "DELIVERY",
        "delivery": {
            "address": {
                "street": "Rua das Laranjeiras",
                "complement": "fundos",
                "neighborhood": "Catete",
                "city": "Rio de Janeiro",
                "postalCode": "22240",
            },
            "observations": "Portão azul, interfone quebrado",
        },
    },
    "customer": {
        "id": "c-9",
        "name": "Beatriz Lima",
        "phone": {"number": "21 4002", "extension": "ramal 5"},
    },
    "items": [
        {
            "id": "i1",
            "name": "Moqueca de peixe",
            "quantity": 2,
            "externalCode": "MOQ",
            "pricing": pricing(41.9),
            "observations": "sem coentro",
            "options": [
                {
                    "id": "o1",
                    "name": "Arroz de coco",
                    "optionGroupName": "Acompanhamento",
                    "quantity": 1,
                    "pricing": pricing(0),
                    "options": [
                        {"id": "o2", "name": "Castanha extra", "quantity": 2, "pricing": pricing(3)}
                    ],
                }
            ],
        },
        {
            "id": "i2",
            "name": "Queijo coalho",
            "quantity": 0.35,
            "unit": "KG",
            "pricing": pricing(80),
        },
    ],
    "otherFees": [
        {"name": "Taxa de entrega", "type": "DELIVERY_FEE", "price": price(7.5)},
        {"name": "Gorjeta", "type": "TIP", "price": price(4)},
    ],
    "discounts": [
        {
            "amount": price(10),
            "target": "CART",
            "sponsorshipValues": [
                {"name": "MERCHANT", "amount": price(10), "discountCode": "VOLTA10"}
            ],
        }
    ],
    "total": {
        "itemsPrice": price(117.8),
        "otherFees": price(11.5),
        "discount": price(10),
        "orderAmount": price(119.3),
    },
    "payments": {
        "prepaid": 0,
        "pending": 119.3,
        "methods": [
            {
                "type": "PENDING",
                "method": "CASH",
                "value": 119.3,
                "currency": "BRL",
                "changeFor": 150,
            }
        ],
    },
    "observations": "Aniversário: escrever parabéns na tampa",
    "extraInfo": "Cliente antigo",
    "newField": {"kitchenHint": "usar forma grande"},
}
OD_WORDS = [
    *("K-481", "Feirinha App", "11-20 21:30", "Rua das Laranjeiras", "fundos", "Catete", "22240"),
    *("Portão azul, interfone quebrado", "Beatriz Lima", "21 4002", "ramal 5", "Moqueca de peixe"),
    *("x2", "sem coentro", "Acompanhamento: Arroz de coco", "Castanha extra x2", "0.35 KG"),
    *("Queijo coalho", "Taxa de entrega", "BRL 7.50", "Gorjeta", "BRL 4.00", "-BRL 10.00"),
    *("VOLTA10", "MERCHANT", "BRL 119.30", "BRL 150.00", "BRL 41.90", "Cliente antigo"),
    *("Aniversário: escrever parabéns na tampa", "usar forma grande", "Cantina do Porto"),
]

DELIVERECT = {
    "_id": "64ab",
    "_created": "2026-11-20T18:02:11.000000Z",
    "channelOrderId": "ORD-XYZ-0042",
    "channelOrderDisplayId": "0042",
    "status": 1,
    "statusHistory": [{"timeStamp": "2026-11-20T18:02:11Z", "status": 1, "response": "accepted"}],
    "by": "Quick Bites web",
    "orderType": 2,
    "pickupTime": "2026-11-20T18:40:00Z",
    "deliveryTime": "2026-11-20T19:00:00Z",
    "deliveryIsAsap": False,
    "note": "Ring twice, dog is friendly",
    "table": "14",
    "numberOfCustomers": 3,
    "orderIsAlreadyPaid": False,
    "payment": {"amount": 3310, "type": 1, "due": 3310},
    "decimalDigits": 2,
    "currency": "EUR",
    "deliveryCost": 290,
    "serviceCharge": 0,
    "bagFee": 20,
    "tip": 150,
    "discountTotal": -400,
    "discounts": [{"name": "Rainy day", "type": "order_flat_off", "amount": 400}],
    "taxes": [{"name": "VAT 9%", "total": 241}],
    "courier": {"firstName": "Sam", "lastName": "Okafor", "phoneNumber": "555 0101"},
    "customer": {
        "name": "Ida Holm",
        "companyName": "Holm & Zonen",
        "phoneNumber": "555 0199",
        "phoneAccessCode": "88 21",
        "tin": "NL001",
        "note": "Allergic to sesame",
    },
    "deliveryAddress": {
        "street": "Kerkstraat",
        "streetNumber": "7 bis",
        "postalCode": "1017",
        "city": "Amsterdam",
        "extraAddressInfo": "Blue door behind the bakery",
    },
    "packaging": {"includeCutlery": False, "greeting": "Tot ziens"},
    "items": [
        {
            "plu": "CMB-02",
            "name": "Noodle box",
            "price": 1290,
            "quantity": 2,
            "remark": "extra hot",
            "subItems": [
                {
                    "plu": "S1",
                    "name": "Tofu",
                    "price": 150,
                    "quantity": 1,
                    "remark": "crispy please",
                    "subItems": [{"plu": "S2", "name": "Peanut sauce", "price": 0, "quantity": 2}],
                }
            ],
            "productTags": ["vegetarian"],
        }
    ],
}
DV_WORDS = [
    *("0042", "Quick Bites web", "11-20 19:00", "Ring twice, dog is friendly", "14", "Noodle box"),
    *("x2", "extra hot", "Tofu", "crispy please", "Peanut sauce x2", "EUR 12.90", "EUR 1.50"),
    *("EUR 2.90", "EUR 0.20", "-EUR 4.00", "Rainy day", "VAT 9%", "EUR 2.41", "Sam Okafor"),
    *("555 0101", "Ida Holm", "Holm & Zonen", "555 0199", "88 21", "NL001", "Allergic to sesame"),
    *("Kerkstraat 7 bis", "1017", "Amsterdam", "Blue door behind the bakery", "NO CUTLERY"),
    *("Tot ziens", "vegetarian", "CASH DUE EUR 33.10", "GUESTS 3"),
]
FOREIGN = {"open-delivery": OPEN_DELIVERY, "deliverect": DELIVERECT}
PRINTER = PrinterConfig(name="k", uri="simulated://")


def ticket_text(order: Order, width: int = 48) -> str:
    from datetime import UTC

    (ticket,) = tickets(order, [PRINTER]).values()
    elements = layout(ticket, width, Stamp(now_ms=0, zone=UTC), Templates().get("kitchen"))
    return " ".join(e.plain for e in elements if isinstance(e, Text))


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize(
    ("source", "words"), [("open-delivery", OD_WORDS), ("deliverect", DV_WORDS)]
)
@pytest.mark.parametrize("width", [32, 42, 48])
def test_nothing_that_people_read_is_missing(source, words, width):
    text = squeezed(ticket_text(SOURCES[source](FOREIGN[source]), width))
    pieces = [piece for word in words for piece in word.split()]  # a line may break between
    assert [piece for piece in pieces if piece not in text] == []


def test_money_is_what_it_was():
    order = open_delivery(OPEN_DELIVERY)
    assert (order.total, order.cash_due, order.change_for, order.currency) == (
        *(11930, 11930, 15000),
        "BRL",
    )
    assert [fee.amount for fee in order.fees] == [750, 400]
    assert [cut.amount for cut in order.discounts] == [-1000]
    three = deliverect({**DELIVERECT, "decimalDigits": 3, "currency": "KWD"})
    assert three.total == 3310


def test_an_amount_that_is_no_whole_number_of_cents_is_printed_as_it_is_not_rounded():
    odd = deepcopy(OPEN_DELIVERY)
    odd["total"]["orderAmount"] = price(1.234)  # type: ignore[index]
    odd["items"][0]["pricing"] = pricing(0.3333)  # type: ignore[index]
    order = open_delivery(odd)
    assert order.total is None
    assert order.items[0].unit_price is None
    text = squeezed(ticket_text(order))
    assert "orderAmount:1.234BRL" in text
    assert "unitPrice:0.3333BRL" in text


def test_identifiers_of_machines_do_not_clutter_the_ticket():
    text = ticket_text(deliverect({**DELIVERECT, "location": "x", "channelLink": "y"}))
    assert "CMB-02" not in text
    assert "ORD-XYZ-0042" not in text


@pytest.mark.parametrize("mapper", SOURCES.values())
@pytest.mark.parametrize("document", [{}, {"id": "a"}, {"_id": "a", "items": []}, {"items": [{}]}])
def test_what_makes_no_order_is_refused_with_the_reason(mapper, document):
    with pytest.raises(Rejected, match="does not make an order"):
        mapper(document)


WORDS = st.text(st.characters(categories=["L"], max_codepoint=0x24F), min_size=6, max_size=20)
NAMES = st.text("abcdefghij", min_size=4, max_size=8).map(lambda name: name + "Hint")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(FOREIGN)), NAMES, WORDS, st.sampled_from(["", "item", "deep"]))
def test_a_text_in_a_field_that_nobody_knows_is_printed(source, name, text, where):
    document = deepcopy(FOREIGN[source])
    at = {"": document, "item": document["items"][0], "deep": document["customer"]}[where]
    at[name] = text
    assert squeezed(text) in squeezed(ticket_text(SOURCES[source](document)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FOREIGN)), st.data())
def test_whatever_stands_in_a_field_is_an_order_or_a_reason(source, data):
    document = deepcopy(FOREIGN[source])
    at = document
    while True:
        key = data.draw(st.sampled_from(sorted(at)))
        inner = at[key][0] if isinstance(at[key], list) else at[key]
        if not isinstance(inner, dict) or data.draw(st.booleans()):
            break
        at = inner
    at[key] = data.draw(JSON)
    with contextlib.suppress(Rejected):
        assert ticket_text(SOURCES[source](document))


@pytest.mark.parametrize("source", sorted(FOREIGN))
def test_the_command_prints_our_document(source, tmp_path, capsys):
    path = tmp_path / "order.json"
    path.write_text(json.dumps(FOREIGN[source]))
    assert main(["order", "convert", str(path), "--from", source]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["items"][0]["qty"] == 2
    path.write_text("{")
    assert main(["order", "convert", str(path), "--from", source]) == 1
