"""Templates arrange a ticket; none of them can make one that lacks what a cook must read."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config import PrinterConfig
from agent.contract.errors import Rejected
from agent.contract.orders import Item, Option, Order
from agent.printing.layout import layout
from agent.printing.routing import tickets
from agent.printing.template import ESSENTIAL, MAX_BYTES, TemplateError, parse
from agent.printing.templates import OURS, Templates
from agent.printing.ticket import changed, void
from agent.printing.values import Stamp
from drivers.printer.charset import columns
from drivers.printer.elements import Text

LEAST = """{number} {due}
for item
  {name} x{qty} {note} {allergens}
  for option
    {name}
  end
end
{note} {allergens}
{order_id}
"""
ORDER = Order(
    order_id="ORD-9",
    version=3,
    status="pending",
    placed_at=1,
    day_seq="A7",
    note="ring twice",
    allergens=["sesame"],
    due_at=1_800_000_000_000,
    items=[
        Item("Soup", 4, options=[Option("large"), Option("spicy", qty=2)], note="no salt"),
        Item("Tea", 1, allergens=["milk"]),
    ],
)
WORDS = ["#A7", "预约", "Soup", "x4", "large", "spicy x2", "no salt", "Tea", "milk", "ring twice"]
WORDS += ["sesame", "ORD-9 v3"]


def the_ticket():
    return next(iter(tickets(ORDER, [PrinterConfig(name="k", uri="simulated://")]).values()))


def lines(template: str, width: int = 48, ticket=None, stamp=None) -> list[str]:
    elements = layout(ticket or the_ticket(), width, stamp or Stamp(now_ms=0), parse(template))
    return [e.plain for e in elements if isinstance(e, Text)]


def test_the_language():
    text = (
        "{number}\n===\nif bill\n  [right] {total}\nend\n[hang]  * {note} >> {order_id}\n" + LEAST
    )
    found = lines(text)
    assert found[:2] == ["#A7", "=" * 48]
    assert found[2] == " * ring twice" + " " * 27 + "ORD-9 v3"


def test_a_line_without_anything_to_say_is_left_out():
    assert not any("TABLE" in line for line in lines("TABLE {table}\n" + LEAST))
    assert "TABLE" in lines("TABLE\n" + LEAST)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{nmber}", "line 1: there is no field {nmber} here; did you mean 'number'?"),
        ("[hueg] x", "line 1: there is no mark 'hueg'; did you mean 'huge'?"),
        ("x\nfor itm\nend", "line 2: there is no 'itm' here; did you mean 'item'?"),
        ("if bill", "line 1: has no `end`"),
        ("end", "line 1: `end` of nothing"),
        ("{number", "line 1: a { without its }, or the other way round"),
        ("a\x1b@", "line 1: holds a control character"),
        ("[many] x", "line 1: `many` is of a dish: it belongs into `for item`"),
        ("[huge x", "line 1: a mark has no closing ]"),
        ("[qr] {qr} {note}", "line 1: `qr` is of one field"),
        ("x" * 200, "line 1: more than 160 columns of fixed words"),
        ("{bill}", "line 1: there is no field {bill} here"),
        ("for option\nend", "line 1: there is no 'option' here"),
        ("if note\n" * 9 + "end\n" * 9, "line 7: nested deeper than 6"),
        ("#" * (MAX_BYTES + 1), f"longer than {MAX_BYTES} bytes or 200 lines"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text, problem):
    with pytest.raises(TemplateError) as caught:
        parse(text)
    assert any(said.startswith(problem) for said in caught.value.problems)


@pytest.mark.parametrize(
    "hidden",
    [
        LEAST.replace("{note} {allergens}\n{order_id}", "{allergens}\n{order_id}"),
        LEAST.replace("x{qty} ", ""),
        LEAST.replace("    {name}\n", "    x\n"),
        LEAST.replace("{order_id}", "[qr] {order_id}"),
        LEAST.replace("{number}", "if table\n{number}\nend\n"),
        "if bill\n" + LEAST + "end\n",
        "for fee\n" + LEAST.replace("for item", "for item") + "end\n",
        LEAST.replace("  for option", "  if note\n  for option").replace(
            "  end\nend", "  end\n  end\nend"
        ),
    ],
)
def test_no_template_can_leave_out_what_a_cook_must_read(hidden):
    with pytest.raises(TemplateError):
        parse(hidden)


def test_an_essential_field_may_stand_in_an_if_of_itself():
    assert parse(LEAST.replace("{order_id}", "if order_id\n--> {order_id}\nend"))


PIECES = st.lists(
    st.sampled_from(
        ["===", "---", "if note", "if bill", "if number", "if table", "for item", "for option",
         "end", "for fee", "{number}", "[huge center] {number}", "[inverse] {name} >> [many] {qty}",
         "[qr] {note}", "{note}", "[banner] {note} {allergens}", "[pack] {due}  {order_id}", "x",
         "[hang]  - {name}", "{name}", "{qty}", "{allergens}", "{order_id}", "[right] {due}"]
    ),
    max_size=14,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(PIECES, st.lists(st.integers(0, 9), max_size=6), st.sampled_from([32, 42, 48]))
def test_whatever_is_accepted_says_everything(pieces, places, width):
    """Pieces strewn into a good template and out of it."""
    kept = LEAST.splitlines()
    for place, piece in zip(places, pieces, strict=False):
        kept.insert(place, piece)
    for piece in pieces[len(places) :]:
        kept.append(piece)
    try:
        template = parse("\n".join(kept))
    except TemplateError:
        return
    elements = layout(the_ticket(), width, Stamp(now_ms=0), template)
    text = "".join(e.plain for e in elements if isinstance(e, Text)).replace(" ", "")
    assert [word for word in WORDS if word.replace(" ", "") not in text] == []
    for line in elements:
        if isinstance(line, Text):
            assert sum(columns(run.text) * run.width for run in line.runs) <= width


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_a_template_or_a_list_of_problems(text):
    with contextlib.suppress(TemplateError):
        parse(text)


@pytest.mark.parametrize("name", sorted(path.stem for path in OURS.glob("*.ticket")))
@pytest.mark.parametrize("width", [32, 42, 48])
def test_ours_say_everything(name, width):
    text = "".join(lines((OURS / f"{name}.ticket").read_text("utf-8"), width)).replace(" ", "")
    assert [word for word in WORDS if word.replace(" ", "") not in text] == []


def test_banners_stand_first_whatever_the_template():
    stamp = Stamp(attempt=2, doubts=1, backup_for="bar", now_ms=0)
    found = lines(LEAST, ticket=void(the_ticket(), 4), stamp=stamp)
    assert [line.strip() for line in found[:5]] == [
        *("重打 可能重复", "POSSIBLE DUPLICATE #2", "代打 BACKUP FROM bar"),
        *("作废 VOID", "不要制作 DO NOT MAKE"),
    ]
    told = the_ticket()
    now = next(
        iter(
            tickets(
                Order("ORD-9", 4, "pending", 1, [Item("Tea", 2, allergens=["milk"])], note="now"),
                [PrinterConfig(name="k", uri="simulated://")],
            ).values()
        )
    )
    text = "\n".join(lines(LEAST, ticket=changed(told, now)))
    assert text.index("改单 CHANGED") < text.index("减 REMOVE") < text.index("现在全单 NOW")
    assert text.index("现在全单 NOW") < text.index("Tea x2")


def test_every_essential_field_exists():
    for loops, names in ESSENTIAL.items():
        for name in names:
            body = "{" + name + "}"
            for loop in reversed(loops):
                body = f"for {loop}\n{body}\nend"
            with pytest.raises(TemplateError) as caught:
                parse(body)
            assert all("missing: " in problem for problem in caught.value.problems)


# --- where they are from --------------------------------------------------------------------------


def test_sent_goes_before_the_shops_own_and_that_before_ours(tmp_path):
    (tmp_path / "kitchen.ticket").write_text("OWN\n" + LEAST)
    found = Templates(tmp_path, {"kitchen": "SENT\n" + LEAST})
    assert found.text("kitchen")[0].startswith("SENT")
    found.replace("kitchen", None)
    assert found.text("kitchen")[0].startswith("OWN")
    assert Templates().text("kitchen")[1] == str(OURS / "kitchen.ticket")
    assert found.text("nothing") is None


@pytest.mark.parametrize("broken", ["{nmber}", LEAST.replace("{number}", ""), "\x00"])
def test_a_broken_one_is_told_and_the_next_best_prints(tmp_path, broken):
    (tmp_path / "kitchen.ticket").write_text(broken)
    found = Templates(tmp_path)
    assert found.get("kitchen") == Templates().get("kitchen")
    assert str(tmp_path / "kitchen.ticket") in found.problems
    assert Templates(tmp_path).get("unheard-of") == Templates().get("kitchen")


def test_a_file_that_is_no_text_is_told(tmp_path):
    (tmp_path / "kitchen.ticket").write_bytes(b"\xff\xfe")
    found = Templates(tmp_path)
    assert found.get("kitchen") == Templates().get("kitchen")
    assert "cannot be read" in str(found.problems)


def test_one_that_is_sent_is_used_from_the_next_ticket_on_and_survives_a_restart(make_shop, given):
    from agent.printing.templates import stored

    async def check():
        async with make_shop([given.printer()]) as shop, shop.running():
            with pytest.raises(Rejected, match="did you mean 'number'"):
                await shop.desk.set_template("kitchen", "{nmber}")
            await shop.desk.set_template("kitchen", "HELLO\n" + LEAST)
            sent = await shop.database.read(stored)
            assert list(sent) == ["kitchen"]
            await shop.order(given.order())
            await shop.until(lambda: shop.papers("kitchen"))
            assert shop.papers("kitchen")[0].startswith("HELLO")
            assert shop.desk.templates()[0]["name"] == "expo"
            await shop.desk.reset_template("kitchen")
            assert await shop.database.read(stored) == {}

    asyncio.run(check())
