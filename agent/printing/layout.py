"""How a ticket looks: Ticket -> elements, for 32, 42 or 48 columns.

What must never be missing is done here, in this order, whatever the template: banners of doubt,
what changed since the paper that is out, the cut. All between them is the template's.
"""

from __future__ import annotations

from agent.printing.sheet import Look, Sheet
from agent.printing.template import For, If, Part, Rule, Template, Words
from agent.printing.ticket import Field, Line, Ticket
from agent.printing.values import Stamp, Values, values
from drivers.printer.charset import clean
from drivers.printer.elements import Cut, Element, Feed

INDENT = "   "
LABELS: dict[Field, str] = {
    "note": "备注 NOTE",
    "allergens": "过敏 ALLERGENS",
    "cutlery": "餐具 CUTLERY",
    "due_at": "时间 TIME",
    "kind": "方式 SERVICE",
    "table": "桌号 TABLE",
    "pickup_code": "取餐码 CODE",
}
PLAIN = Look()
TALL = Look(height=2, bold=True)


def layout(ticket: Ticket, width: int, stamp: Stamp, template: Template) -> list[Element]:
    """The ticket from top to cut; `width` in columns."""
    sheet = Sheet(width)
    _banners(sheet, ticket, stamp)
    if ticket.what == "test":
        _test(sheet)
    else:
        _Arranged(sheet, ticket).block(template, values(ticket, stamp))
    sheet.elements += [Feed(1), Cut()]
    return sheet.elements


def _banners(sheet: Sheet, ticket: Ticket, stamp: Stamp) -> None:
    if stamp.doubts:
        sheet.banner("重打 可能重复")
        sheet.banner(f"POSSIBLE DUPLICATE #{stamp.doubts + 1}")
    if stamp.backup_for is not None:
        sheet.banner(f"代打 BACKUP FROM {stamp.backup_for}")
    if ticket.what == "changed":
        sheet.banner("改单 CHANGED")
    elif ticket.what == "void":
        sheet.banner("作废 VOID")
        sheet.banner("不要制作 DO NOT MAKE")


class _Arranged:
    """One ticket, as its template says."""

    def __init__(self, sheet: Sheet, ticket: Ticket) -> None:
        self._sheet = sheet
        self._ticket = ticket
        self._told = False  # what changed stands before the dishes as they are now

    def block(self, nodes: Template, scope: Values) -> None:
        for node in nodes:
            match node:
                case Words():
                    self._words(node, scope)
                case Rule(sign):
                    self._sheet.rule(sign)
                case If(field, body):
                    if scope.words[field]:
                        self.block(body, scope)
                case For(loop, body):
                    self._loop(loop, body, scope)

    def _loop(self, loop: str, body: Template, scope: Values) -> None:
        if loop == "item" and not self._told:
            _changes(self._sheet, self._ticket)
            self._told = True
        before: Values | None = None
        for inner in scope.loops[loop]:
            if loop == "item" and before is not None and (before.detailed or inner.detailed):
                self._sheet.blank()
            before = inner
            within = Values({**scope.words, **inner.words}, inner.loops, inner.many)
            self.block(body, within)

    def _words(self, node: Words, scope: Values) -> None:
        left, right = node.left, node.right
        text = left.fill(scope.words)
        side = None if right is None else right.fill(scope.words)
        if right is not None and side is not None:
            bullet, text = _bullet(left, text or "")
            look = self._look(right, scope)
            self._sheet.pair(text, self._look(left, scope), side, look, bullet=bullet)
        elif text is not None:
            self._one(left, text, scope)

    def _one(self, part: Part, text: str, scope: Values) -> None:
        look = self._look(part, scope)
        if "qr" in part.ways:
            self._sheet.qr(text, 4 if "small" in part.ways else 6, look.align)
        elif "banner" in part.ways:
            self._sheet.banner(text)
        elif "pack" in part.ways:
            self._sheet.pack([fact for fact in text.split("  ") if fact.strip()], look)
        else:
            bullet, text = _bullet(part, text)
            self._sheet.write(text, look, bullet=bullet)

    def _look(self, part: Part, scope: Values) -> Look:
        look = part.look
        if "many" in part.ways and scope.many:
            look = Look(look.width, look.height, look.bold, True, look.align, look.grow)
        return look


def _bullet(part: Part, text: str) -> tuple[str, str]:
    """What hangs out before the first field, and the rest."""
    lead = part.pieces[0] if "hang" in part.ways and text else ""
    return lead, text[len(lead) :]


def _changes(sheet: Sheet, ticket: Ticket) -> None:
    """What is different from the paper that is out, then the title of what is now."""
    if ticket.what != "changed":
        return
    for line in ticket.changes:
        _change(sheet, line)
    for field in ticket.changed:
        sheet.tagged("改 SEE", LABELS[field])
    sheet.rule("=")
    title = "现在全单 NOW" if ticket.lines else "本档口已无菜品 NOTHING LEFT"
    sheet.write(title, Look(align="center"))
    sheet.rule("=")


def _change(sheet: Sheet, line: Line) -> None:
    before = line.before or 0
    if before == 0:
        label, amount = "加 ADD", f"x{line.qty}"
    elif line.qty == 0:
        label, amount = "减 REMOVE", f"x{before}"
    else:
        label, amount = "改 QTY", f"x{before} → x{line.qty}"
    sheet.tagged(label, amount)
    sheet.write(line.name, TALL, bullet=INDENT)
    for option in line.options:
        sheet.write(option, PLAIN, bullet="   - ")
    for sign, text in (("  ※ ", line.note or ""), ("  ! 过敏 ", "、".join(line.allergens))):
        if clean(text):
            sheet.write(text, TALL, bullet=sign)


def _test(sheet: Sheet) -> None:
    sheet.write("TEST 测试页", Look(2, 2, bold=True, align="center"))
    sheet.rule("=")
    sheet.write("宫保鸡丁 Kung Pao Chicken", TALL)
    sheet.write("简体 繁體 ひらがな ￥12.00 ABCabc 0123456789", PLAIN)
    sheet.write("加粗 bold", Look(bold=True))
    sheet.write("反白 inverse", Look(inverse=True))
    sheet.write("Emoji, Thai: 😀 ข้าว", Look(align="right"))
    sheet.rule()
    sheet.write("1234567890" * (sheet.width // 10) + "1234567890"[: sheet.width % 10], PLAIN)
    sheet.qr("edge-agent test page", 6, "center")
    sheet.rule()
