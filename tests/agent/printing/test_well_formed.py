"""Whatever an order says, its ticket is ESC/POS of the few commands that we mean to send."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config import PrinterConfig
from agent.contract.errors import Rejected
from agent.contract.orders import MAX_BYTES, Order
from agent.contract.wire import decode
from agent.orders.lifecycle import mask
from agent.printing.render import Renderer
from agent.printing.routing import tickets
from agent.printing.templates import Templates
from agent.printing.ticket import changed, void
from agent.printing.values import Stamp
from tests.drivers.printer.strict import read

TEMPLATES = Templates()
NASTY = st.sampled_from(
    ["\x1b@\x1dV\x00", "\x10\x14\x01\x00\x08", "\x1c.\x1bp\x00\xff\xff", "a\r\nb\tc\x7f",
     "\u202eevil", "\ud7ff\ue000\ufffe",
     "汤" * 90, "\x9b31m", "{number}", "[huge] x", "end", ">>", "\x00" * 30]
)  # fmt: skip
TEXT = st.one_of(st.text(max_size=30), NASTY)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXT)
MAYBE = st.none() | TEXT
MONEY = st.integers(-(10**13), 10**13)
OPTIONS = st.recursive(
    st.builds(dict, name=TEXT, qty=st.integers(0, 1000)),
    lambda inner: st.builds(dict, name=TEXT, price=MONEY, options=st.lists(inner, max_size=2)),
    max_leaves=4,
)
ITEMS = st.builds(
    dict,
    name=TEXT,
    qty=st.integers(0, 10_000) | SCALARS,
    options=st.lists(OPTIONS, max_size=3),
    note=MAYBE,
    unit_price=MONEY,
    station=st.sampled_from(["wok", "bar"]) | MAYBE,
    allergens=st.lists(TEXT, max_size=2),
)
AMOUNTS = st.lists(st.builds(dict, name=TEXT, amount=MONEY), max_size=2)
DOCUMENTS = st.fixed_dictionaries(
    {
        "order_id": st.just("ORD-1") | TEXT,
        "version": st.integers(1, 2**53),
        "status": st.just("pending"),
        "placed_at": st.integers(0, 10**14),
        "items": st.lists(ITEMS, min_size=1, max_size=3),
    },
    optional={
        **dict.fromkeys(("platform", "display_id", "table", "note", "pickup_code", "qr"), TEXT),
        "day_seq": TEXT | st.integers(0, 10**6),
        "kind": st.sampled_from(["delivery", "pickup", "dine_in"]),
        "due_at": st.integers(0, 10**14),
        **dict.fromkeys(("fees", "discounts"), AMOUNTS),
        **dict.fromkeys(("total", "cash_due", "change_for"), MONEY),
        "currency": TEXT,
        "paid": st.booleans(),
        "allergens": st.lists(TEXT, max_size=2),
        "customer": st.builds(dict, name=MAYBE, phone=MAYBE, address=MAYBE),
        "courier": st.builds(dict, name=MAYBE, phone=MAYBE),
        "invoice": st.builds(dict, title=MAYBE, tax_id=MAYBE),
        "footer": st.lists(st.builds(dict, text=MAYBE, qr=MAYBE), max_size=2),
        "extras": st.lists(st.builds(dict, name=TEXT, text=TEXT), max_size=2),
        "anything": SCALARS,
    },
)
CHARSETS = ["gb18030", "big5", "shift_jis", "euc_kr", "utf8", "raster"]
PRINTERS = st.builds(
    PrinterConfig,
    name=st.just("k"),
    uri=st.just("simulated://"),
    charset=st.sampled_from(CHARSETS),
    width_mm=st.just(80),
    columns=st.sampled_from([None, 42]),
    template=st.sampled_from(["kitchen", "expo", "receipt"]),
    qr=st.sampled_from(["native", "raster"]),
    drawer=st.booleans(),
    beep=st.sampled_from([0, 3]),
)


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS, PRINTERS, st.integers(0, 2), st.sampled_from(["order", "changed", "void"]))
def test_any_document_is_a_ticket_or_a_reason(document, printer, doubts, what):
    payload = json.dumps(document).encode("utf-8", "surrogatepass")
    try:
        order = mask(decode(payload, Order, max_bytes=MAX_BYTES))
    except Rejected:
        return
    ticket = next(iter(tickets(order, [printer]).values()))
    if what == "void":
        ticket = void(ticket, 2)
    elif what == "changed":
        before = next(
            iter(tickets(mask(decode(OTHER, Order, max_bytes=MAX_BYTES)), [printer]).values())
        )
        ticket = changed(before, ticket) or ticket
    stamp = Stamp(doubts=doubts, backup_for=order.platform if doubts else None, now_ms=0)
    data = Renderer(printer, TEMPLATES).render(ticket, stamp).data
    found = read(data, printer.charset)
    assert found.order.count("\x1dV") == 1
    assert found.order.count("\x1b@") == 1
    assert found.order.count("\x1bp") <= printer.drawer
    assert found.order.index("\x1dV") >= len([o for o in found.order if o in ("text", "picture")])


OTHER = (
    b'{"order_id":"ORD-1","version":1,"status":"pending","placed_at":1,"items":[{"name":"tea"}]}'
)
