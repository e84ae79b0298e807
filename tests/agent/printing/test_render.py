"""What a printer's settings change on the wire."""

from __future__ import annotations

import pytest

from agent.contract.orders import Item
from agent.printing.render import Renderer, columns_of, dots_of
from agent.printing.routing import tickets
from agent.printing.templates import Templates
from agent.printing.values import Stamp
from drivers.printer.elements import Image, Qr, Text

KICK = b"\x1bp"


def rendered(config, order, **stamp):
    ticket = next(iter(tickets(order, [config]).values()))
    return Renderer(config, Templates()).render(ticket, Stamp(now_ms=0, **stamp)).data


@pytest.mark.parametrize(
    ("settings", "columns", "dots"),
    [
        ({}, 48, 576),
        ({"width_mm": 58}, 32, 384),
        ({"columns": 42}, 42, 512),
        ({"columns": 42, "dots": 576}, 42, 576),
    ],
)
def test_columns_and_dots_of_the_paper(given, settings, columns, dots):
    config = given.printer(**settings)
    assert (columns_of(config), dots_of(config)) == (columns, dots)
    elements = Renderer(config, Templates()).preview(
        next(iter(tickets(given.order(items=[Item("เผ็ด 😀")]), [config]).values())), Stamp()
    )
    rule = next(e.plain for e in elements if isinstance(e, Text) and "===" in e.plain)
    assert len(rule) == columns
    assert {e.width for e in elements if isinstance(e, Image)} == {dots}


def test_the_drawer_opens_only_where_it_is_set_for_cash_and_once(given):
    cash = given.order(paid=False, cash_due=500)
    assert KICK not in rendered(given.printer(), cash)
    config = given.printer(drawer=True)
    assert rendered(config, cash).count(KICK) == 1
    assert KICK not in rendered(config, given.order(paid=True))
    assert KICK not in rendered(config, cash, doubts=1)


def test_a_code_is_the_printers_or_ours(given):
    order = given.order(qr="https://example.com")
    ticket = next(iter(tickets(order, [given.printer()]).values()))

    def kinds(**settings):
        elements = Renderer(given.printer(**settings), Templates()).preview(ticket, Stamp())
        return {type(e) for e in elements} & {Qr, Image}

    assert kinds() == {Qr}
    assert kinds(qr="raster") == {Image}
