"""How a ticket looks: Ticket -> elements, for 32 columns (58 mm) or 48 (80 mm).

What a cook needs across the kitchen is large (number, dishes, notes), what proves and explains is
small. All text is cleaned here, where it enters the paper, and wrapped by columns: a Chinese
character takes two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, tzinfo

import msgspec

from agent.contract.orders import Amount
from agent.printing.ticket import Bill, Field, Line, Ticket
from drivers.printer.charset import clean, clusters, columns
from drivers.printer.elements import Align, Cut, Element, Feed, Qr, Run, Text

INDENT = 3
NO_START = frozenset("。，、！？：；）》」』】”’…·,.!?:;)]}%")
LINES_MAX = 40  # of one piece of text: a stranger's note is no roll of paper

SERVICES = {"delivery": "外卖 DELIVERY", "pickup": "自取 PICKUP", "dine_in": "堂食 DINE-IN"}
LABELS: dict[Field, str] = {
    "note": "备注 NOTE",
    "allergens": "过敏 ALLERGENS",
    "cutlery": "餐具 CUTLERY",
    "due_at": "时间 TIME",
    "kind": "方式 SERVICE",
    "pickup_code": "取餐码 CODE",
}
# ISO 4217: digits behind the point where there are not two of them, and signs that are common.
DIGITS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "KWD": 3, "BHD": 3, "JOD": 3, "TND": 3}
SIGNS = {"CNY": "￥", "JPY": "￥", "USD": "$", "HKD": "HK$", "TWD": "NT$", "SGD": "S$"}


class Stamp(msgspec.Struct, frozen=True):
    """What is known only when a ticket is printed."""

    attempt: int = 1
    doubts: int = 0  # earlier attempts that may have come out
    backup_for: str | None = None  # the printer that should have printed it
    now_ms: int | None = None  # None: this machine does not know the time
    zone: tzinfo | None = None  # None: as the system has it


def layout(ticket: Ticket, width: int, stamp: Stamp) -> list[Element]:
    """The ticket from top to cut; `width` in columns."""
    page = _Page(width)
    _banners(page, ticket, stamp)
    if ticket.what == "test":
        _test(page)
    else:
        _head(page, ticket, stamp)
        _dishes(page, ticket)
        if ticket.what != "void":
            _remarks(page, ticket)
        if ticket.bill is not None:
            _bill(page, ticket.bill)
    _foot(page, ticket, stamp)
    page.elements += [Feed(1), Cut()]
    return page.elements


class _Page:
    """Collects elements; knows how wide the paper is."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.elements: list[Element] = []

    def write(
        self,
        text: str,
        *,
        scale: tuple[int, int] = (1, 1),
        bold: bool = False,
        inverse: bool = False,
        align: Align = "left",
        indent: int = 0,
        first: str = "",
    ) -> None:
        """Wrapped text; `first` stands before its first line, inside the indent."""
        width, height = scale
        room = max(2, self.width // width - indent)
        lead = first + " " * (indent - columns(first))
        for line in wrap(text, room):
            run = Run(line, bold, width, height, inverse)
            lead_run = [Run(lead, bold, width, height)] if lead else []
            self.elements.append(Text((*lead_run, run), align))
            lead = " " * indent

    def banner(self, *texts: str) -> None:
        """White on black across the paper, as large as it fits."""
        for text in texts:
            size = 2 if columns(text) * 2 <= self.width else 1
            room = self.width // size
            for line in wrap(text, room):
                left = (room - columns(line)) // 2
                padded = " " * left + line + " " * (room - left - columns(line))
                self.elements.append(Text((Run(padded, True, size, 2, True),)))

    def pair(self, left: str, right: str, *, bold: bool = False, height: int = 1) -> None:
        """`left` wrapped, `right` at the right end of its first line, or below where it is long."""
        right = clean(right)
        if columns(right) > self.width - INDENT - 2:
            self.write(left, bold=bold, scale=(1, height))
            self.write(right, bold=bold, scale=(1, height), align="right")
            return
        room = max(4, self.width - columns(right) - 1)
        for n, line in enumerate(wrap(left, room)):
            tail = " " * (self.width - columns(line) - columns(right)) + right if n == 0 else ""
            self.elements.append(Text((Run(line + tail, bold, 1, height),)))

    def tagged(self, label: str, text: str) -> None:
        """A label in white on black, and what it is about."""
        self.elements.append(
            Text((Run(f" {label} ", True, 1, 2, True), Run(f" {text}", True, 1, 2)))
        )

    def rule(self, sign: str = "-") -> None:
        self.elements.append(Text((Run(sign * self.width),)))


def _banners(page: _Page, ticket: Ticket, stamp: Stamp) -> None:
    if stamp.doubts:
        page.banner("重打 可能重复", f"POSSIBLE DUPLICATE #{stamp.doubts + 1}")
    if stamp.backup_for is not None:
        page.banner(f"代打 BACKUP FROM {stamp.backup_for}")
    if ticket.what == "changed":
        page.banner("改单 CHANGED")
    elif ticket.what == "void":
        page.banner("作废 VOID", "不要制作 DO NOT MAKE")


def _head(page: _Page, ticket: Ticket, stamp: Stamp) -> None:
    platform = clean(ticket.platform or "")
    if ticket.day_seq:
        number = f"#{clean(ticket.day_seq)}"
        size = max(1, min(4, page.width // max(1, columns(number))))
        page.write(number, scale=(size, max(2, size)), bold=True, align="center")
    if platform:
        size = 2 if columns(platform) * 2 <= page.width else 1
        page.write(platform, scale=(size, size), align="center")
    service = SERVICES.get(ticket.kind or "", "")
    due = f"预约 {local(ticket.due_at, stamp, '%m-%d %H:%M')}" if ticket.due_at else "尽快 ASAP"
    line = "  ".join(part for part in (service, due) if part)
    page.write(line, scale=(1, 2), bold=True, align="center")
    if ticket.pickup_code:
        page.write(f"取餐码 {clean(ticket.pickup_code)}", scale=(1, 2), align="center")


def _dishes(page: _Page, ticket: Ticket) -> None:
    """For a change first what is different, then everything as it is now."""
    if ticket.changes or ticket.changed:
        page.rule("=")
    for line in ticket.changes:
        _change(page, line)
    for field in ticket.changed:
        page.tagged("改 SEE", LABELS[field])
    if ticket.what == "changed":
        page.rule("=")
        title = "现在全单 NOW" if ticket.lines else "本档口已无菜品 NOTHING LEFT"
        page.write(title, align="center")
    page.rule("=")
    for n, line in enumerate(ticket.lines):
        if n and (line.options or line.note or ticket.lines[n - 1].options):
            page.elements.append(Text(()))
        _dish(page, line, void=ticket.what == "void")
        if ticket.bill is not None and line.unit_price is not None:
            price = money(line.unit_price, ticket.bill.currency)
            page.write(f"单价 EACH {price}", indent=INDENT)
        _details(page, line)
    page.rule()
    pieces = sum(line.qty for line in ticket.lines)
    page.pair(f"共 {pieces} 份 ITEMS", _station(ticket))


def _change(page: _Page, line: Line) -> None:
    before = line.before or 0
    if before == 0:
        label, amount = "加 ADD", f"x{line.qty}"
    elif line.qty == 0:
        label, amount = "减 REMOVE", f"x{before}"
    else:
        label, amount = "改 QTY", f"x{before} → x{line.qty}"
    page.tagged(label, amount)
    page.write(clean(line.name), scale=(1, 2), bold=True, indent=INDENT)
    _details(page, line)


def _dish(page: _Page, line: Line, *, void: bool) -> None:
    amount = f"x{line.qty}"
    tail = Run(f" {amount} " if line.qty > 1 else f" {amount}", True, 2, 2, line.qty > 1)
    room = max(4, page.width - 2 * columns(tail.text) - 1)
    for n, text in enumerate(wrap(clean(line.name), room)):
        gap = " " * (page.width - columns(text) - 2 * columns(tail.text))
        end = (Run(gap, False, 1, 2), tail) if n == 0 else ()
        page.elements.append(Text((Run(text, not void, 1, 2), *end)))


def _details(page: _Page, line: Line) -> None:
    for option in line.options:
        page.write(clean(option), indent=INDENT + 2, first="   -")
    if line.note:
        page.write(clean(line.note), scale=(1, 2), bold=True, indent=INDENT + 2, first="  ※")


def _remarks(page: _Page, ticket: Ticket) -> None:
    if ticket.allergens:
        names = "、".join(clean(name) for name in ticket.allergens)
        page.banner("过敏 ALLERGY")
        page.write(names, scale=(1, 2), bold=True, align="center")
    if ticket.note:
        page.write(f"备注 NOTE: {clean(ticket.note)}", scale=(1, 2), bold=True)
    if ticket.cutlery is not None:
        none = "不要餐具 NO CUTLERY"
        page.write(f"餐具 CUTLERY x{ticket.cutlery}" if ticket.cutlery else none, scale=(1, 2))


def _bill(page: _Page, bill: Bill) -> None:
    page.rule()
    for amount in [*bill.fees, *bill.discounts]:
        page.pair(clean(amount.name), _amount(amount, bill.currency))
    if bill.total is not None:
        page.pair("合计 TOTAL", money(bill.total, bill.currency), bold=True, height=2)
    if bill.cash_due:
        page.banner(f"收现金 CASH DUE {money(bill.cash_due, bill.currency)}")
    elif bill.paid is not None:
        page.write("已付款 PAID" if bill.paid else "未付款 NOT PAID", bold=True, align="right")
    _people(page, bill)
    for footer in bill.footer:
        if footer.text:
            page.write(clean(footer.text), align="center")
        if footer.qr and clean(footer.qr):
            page.elements.append(Qr(clean(footer.qr), size=4))
    if bill.qr and clean(bill.qr):
        page.elements.append(Qr(clean(bill.qr)))


def _people(page: _Page, bill: Bill) -> None:
    customer, courier, invoice = bill.customer, bill.courier, bill.invoice
    lines = []
    if customer:
        lines.append(("顾客 CUSTOMER", [customer.name, customer.phone]))
        lines.append(("地址 ADDRESS", [customer.address]))
    if courier:
        lines.append(("骑手 COURIER", [courier.name, courier.phone]))
    if invoice:
        lines.append(("发票 INVOICE", [invoice.title, invoice.tax_id]))
    texts = [(label, "  ".join(clean(v) for v in values if v)) for label, values in lines]
    texts = [(label, text) for label, text in texts if text]
    if texts:
        page.rule()
    for label, text in texts:
        page.write(f"{label}: {text}")


def _test(page: _Page) -> None:
    page.write("TEST 测试页", scale=(2, 2), bold=True, align="center")
    page.rule("=")
    page.write("宫保鸡丁 Kung Pao Chicken", scale=(1, 2), bold=True)
    page.write("简体 繁體 ひらがな ￥12.00 ABCabc 0123456789")
    page.write("加粗 bold", bold=True)
    page.write("反白 inverse", inverse=True)
    page.write("Emoji, Thai: 😀 ข้าว", align="right")
    page.rule()
    page.write("1234567890" * (page.width // 10) + "1234567890"[: page.width % 10])
    page.elements.append(Qr("edge-agent test page"))


def _foot(page: _Page, ticket: Ticket, stamp: Stamp) -> None:
    page.rule()
    number = f"{ticket.order_id} v{ticket.version}" if ticket.what != "test" else ""
    if number:
        page.write(clean(number))
    facts = []
    if ticket.placed_at:
        facts.append(f"下单 {local(ticket.placed_at, stamp, '%m-%d %H:%M')}")
    if stamp.now_ms is None:
        facts.append("时间未校准 CLOCK NOT SET")
    else:
        facts.append(f"打印 {local(stamp.now_ms, stamp, '%m-%d %H:%M:%S')}")
    if ticket.copies > 1:
        facts.append(f"联 COPY {ticket.copy}/{ticket.copies}")
    if stamp.attempt > 1:
        facts.append(f"第{stamp.attempt}次 ATTEMPT {stamp.attempt}")
    for line in _filled(facts, page.width):
        page.write(line)


def _station(ticket: Ticket) -> str:
    name = clean(ticket.station) or "全单 ALL"
    return f"{name} {ticket.part}/{ticket.parts}" if ticket.parts > 1 else name


def _amount(amount: Amount, currency: str | None) -> str:
    return money(amount.amount, currency)


def money(minor: int, currency: str | None) -> str:
    """Minor units as people write them; the number itself is not touched."""
    code = clean(currency or "").upper()
    digits = DIGITS.get(code, 2)
    sign = "-" if minor < 0 else ""
    units, rest = divmod(abs(minor), 10**digits)
    number = f"{units}.{rest:0{digits}}" if digits else f"{units}"
    return f"{sign}{SIGNS.get(code, code + ' ' if code else '')}{number}"


def local(ms: int | None, stamp: Stamp, form: str) -> str:
    """A time of day where the shop is."""
    if ms is None or ms > 250_000_000_000_000:  # beyond the calendar's year 9999
        return "?"
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(stamp.zone).strftime(form)


def wrap(text: str, room: int) -> list[str]:
    """Lines of at most `room` columns, broken at spaces where a word fits, or anywhere."""
    lines: list[str] = []
    line, used = "", 0
    for word in _words(text):
        size = columns(word)
        if used and used + size > room:
            lines.append(line.rstrip())
            line, used = "", 0
            word = word.lstrip()  # noqa: PLW2901 - the blank that the break replaced
            size = columns(word)
        if size > room:
            *whole, word = _chop(word, room)  # noqa: PLW2901 - its rest starts the next line
            lines += whole
            size = columns(word)
        line += word
        used += size
    if line.strip() or not lines:
        lines.append(line.rstrip())
    if len(lines) > LINES_MAX:
        lines = [*lines[: LINES_MAX - 1], "..."]
    return lines


def _words(text: str) -> Iterator[str]:
    """Pieces that stay together: a word with the blank before it; a Chinese character with the
    punctuation behind it, which must not begin a line."""
    word, wide = "", False
    for ch in clusters(text):
        if word and ch not in NO_START and (wide or columns(ch) > 1 or ch == " "):
            yield word
            word = ""
        word += ch
        wide = columns(ch) > 1
    if word:
        yield word


def _chop(word: str, room: int) -> list[str]:
    pieces, piece = [], ""
    for ch in clusters(word):
        if piece and columns(piece) + columns(ch) > room:
            pieces.append(piece)
            piece = ""
        piece += ch
    return [*pieces, piece]


def _filled(facts: Sequence[str], width: int) -> Iterable[str]:
    """Facts on as few lines as they fit."""
    line = ""
    for fact in facts:
        longer = f"{line}  {fact}" if line else fact
        if columns(longer) > width:
            yield line
            longer = fact
        line = longer
    yield line
