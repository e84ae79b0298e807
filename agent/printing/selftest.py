"""What a printer is tried out with, and the configuration that follows from what it showed."""

from __future__ import annotations

from agent.config import PrinterConfig
from drivers.base import Examination
from drivers.printer import models
from drivers.printer.elements import Beep, Cut, Element, Feed, Run, Text

RULERS = (32, 42, 48)  # columns of the paper widths and fonts that there are
SAMPLES = {
    "gb18030": "宫保鸡丁 麻婆豆腐 饺子 ￥12.00",
    "gbk": "宫保鸡丁 麻婆豆腐 饺子 ￥12.00",
    "big5": "宮保雞丁 麻婆豆腐 餃子 NT$120",
    "shift_jis": "ラーメン 餃子 お好み焼き ￥12",
    "euc_kr": "비빔밥 김치찌개 만두",
    "utf8": "宫保鸡丁 ラーメン 비빔밥",
}


def pages(config: PrinterConfig, *, beep: bool = False) -> list[list[Element]]:
    """Two pages, each with a cut: whether the counter counts shows only from one to the next."""
    first: list[Element] = [
        line("edge-agent TEST 1/2", bold=True),
        line("Ruler: the longest line that is not broken"),
        *(line(ruler(columns)) for columns in RULERS),
    ]
    if sample := SAMPLES.get(config.charset):
        first += [line(f"{config.charset}: readable?"), line(sample)]
    if beep:
        first.append(Beep(2))
    second = [line("edge-agent TEST 2/2", bold=True), line("Two pieces of paper: the cutter cuts")]
    return [[*first, Feed(1), Cut()], [*second, Feed(1), Cut()]]


def line(text: str, *, bold: bool = False) -> Text:
    return Text((Run(text, bold=bold),))


def ruler(columns: int) -> str:
    """Exactly so many characters, which end with their number."""
    digits = "".join(str(n % 10) for n in range(1, columns - 2))
    return f"{digits}>{columns}"


def proposal(config: PrinterConfig, seen: Examination, columns: int | None = None) -> str:
    """The printer's section as it should be, as TOML; `columns` as a person read off the ruler.

    Only what the printer showed, a table of models knows or a person said; the rest stays as it is.
    """
    model = models.known(seen.model)
    width = columns or (model.columns if model else None)
    lines = ["[[printer]]", f"name = {_quoted(config.name)}", f"uri = {_quoted(config.uri)}"]
    charset = models.charset_of(seen.language) or config.charset
    lines.append(f'charset = "{charset}"')
    if width is None:
        lines.append(f"width_mm = {config.width_mm}  # not checked: read the ruler")
    else:
        lines.append(f"width_mm = {58 if width == min(RULERS) else 80}")
        if width == 42:
            lines.append("columns = 42")
    lines.append(f'evidence = "{best(seen)}"')
    if config.uri.startswith("tcp:"):
        lines += _exclusive(seen)
    return "\n".join(lines) + "\n"


def best(seen: Examination) -> str:
    """The strongest proof that it gave; the counter needs that nobody else prints there."""
    return "counter" if seen.counter else "job_id" if seen.job_id else "barrier"


def _exclusive(seen: Examination) -> list[str]:
    if seen.counter:
        return ["exclusive = true  # the counter proves nothing where a till prints here too"]
    if seen.reports:
        return ["# exclusive = true  # if nobody else prints here: faults are seen at once"]
    return []


def told(seen: Examination) -> list[str]:
    """What it showed, a line each, for people."""
    if not seen.talks:
        return ["does not answer: tickets are sent, never proved; paper-out is not seen"]
    name = " ".join(filter(None, (seen.maker, seen.model, seen.firmware))) or "does not say"
    yes = {True: "yes", False: "no"}
    return [
        f"model: {name}",
        f"characters: {seen.language or 'does not say'}",
        f"barrier (GS r): {yes[seen.barrier]}",
        f"job id (GS ( H): {yes[seen.job_id]}",
        f"cutter's counter (GS g 2), one up at each of two cuts: {yes[seen.counter]}",
        f"tells faults by itself (ASB): {yes[seen.reports]}",
    ]


def _quoted(text: str) -> str:
    """A TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'
