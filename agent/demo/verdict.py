"""The table at the end of a headless demo. Pure: facts in, rows out, and whether they are good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.contract.events import STREAMS
from agent.demo.belief import Spread
from agent.demo.ledger import Ledger
from agent.demo.paper import Tickets

POSITION_P95_M = 10.0  # what the profile "seed" promises


@dataclass(frozen=True, slots=True)
class Facts:
    """What the demo saw with its own eyes."""

    ledger: Ledger
    tickets: Tickets
    sent: Sequence[str]  # versions of valid orders, as `demo-00001 v1`
    orders: int
    rung: int  # of these, as their alerts say
    malformed: int
    refused: int  # of these, as the device reported
    alerts: int
    acknowledged: int
    off: Spread  # metres between the server's picture and the truth, at any moment
    off_at_fixes: Spread  # ... at the fixes, which is what the agent answers for
    to_paper: Spread  # milliseconds from the back end to the cut, while nothing was wrong
    sos_ms: float | None  # button to back end; None: it never came
    sos_pressed: bool
    kills: int
    cuts: int
    drained: bool  # both outboxes were empty at the end


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    value: str
    good: bool | None = None  # None: a figure, not a judgement
    note: str = ""


def judge(facts: Facts) -> list[Row]:
    """All rows; the run is good when no row has `good=False`."""
    return [*_orders(facts), *_events(facts), *_rest(facts)]


def is_good(rows: Sequence[Row]) -> bool:
    return all(row.good is not False for row in rows)


def summary(facts: Facts) -> str:
    """One line for a demo that was ended while it ran."""
    books = [book for _, book in facts.ledger.books()]
    return (
        f"{len(facts.sent)} orders, {facts.tickets.versions} on paper,"
        f" {facts.tickets.unflagged} printed twice in silence;"
        f" {sum(book.distinct for book in books)} events received,"
        f" {sum(book.lost() for book in books)} lost"
    )


def table(rows: Sequence[Row]) -> str:
    """As text for a terminal."""
    marks = {True: "ok", False: "BAD", None: ""}
    left = max(len(row.what) for row in rows)
    middle = max(len(row.value) for row in rows)
    lines = [
        f"{row.what:<{left}}  {row.value:>{middle}}  {marks[row.good]:<3}  {row.note}".rstrip()
        for row in rows
    ]
    return "\n".join(lines)


def _orders(facts: Facts) -> Iterator[Row]:
    missing = [version for version in facts.sent if not facts.tickets.has(version)]
    silent = facts.orders - facts.rung
    yield Row("orders sent", str(len(facts.sent)), note="changes of an order count as one each")
    yield Row("orders on paper", str(facts.tickets.versions), note="read from what came out")
    yield Row("orders missing", str(len(missing)), not missing, ", ".join(missing[:5]))
    yield Row("orders that rang", f"{facts.rung}/{facts.orders}", silent == 0)
    yield Row("tickets twice, said so", str(facts.tickets.flagged))
    yield Row("tickets twice, silently", str(facts.tickets.unflagged), facts.tickets.unflagged == 0)
    if facts.malformed:
        good = facts.refused >= facts.malformed
        yield Row("malformed orders refused", f"{facts.refused}/{facts.malformed}", good)


def _events(facts: Facts) -> Iterator[Row]:
    books = [book for _, book in facts.ledger.books()]
    for stream in STREAMS:
        ours = [book for key, book in facts.ledger.books() if key[2] == stream]
        received = sum(book.distinct for book in ours)
        recorded = sum(book.recorded for book in ours)
        given_up = sum(book.given_up for book in ours)
        holes = sum(book.holes() for book in ours)
        note = f"{given_up} lost with the memory at kill -9, and said so" if given_up else ""
        good = holes == 0 and (stream != "critical" or given_up == 0)
        yield Row(f"{stream}: received / recorded", f"{received}/{recorded}", good, note)
    for what, count in (
        ("gaps unexplained", sum(book.holes() for book in books)),
        ("events out of order", sum(book.disordered for book in books)),
        ("same key, other content", sum(book.conflicting for book in books)),
    ):
        yield Row(what, str(count), count == 0)
    repeated = sum(book.raw - book.distinct for book in books)
    yield Row("repetitions on the wire", str(repeated), note="dropped by key")
    yield Row("outboxes drained", "yes" if facts.drained else "no", facts.drained)


def _rest(facts: Facts) -> Iterator[Row]:
    off, at_fixes = facts.off, facts.off_at_fixes
    if at_fixes.count:
        good = at_fixes.percentile(0.95) <= POSITION_P95_M
        note = f"{at_fixes.count} fixes while online; promised: {POSITION_P95_M:.0f} m at p95"
        yield Row("position off at fixes", f"{_three(at_fixes)} m", good, note)
        note = "p50/p95/max; between two fixes nobody knows better"
        yield Row("position off at any time", f"{_three(off)} m", note=note)
    else:
        yield Row("position off at fixes", "none", good=False, note="no position came")
    if facts.to_paper.count:
        took = [facts.to_paper.percentile(share) for share in (0.5, 0.95)]
        note = f"{facts.to_paper.count} single orders, printer included"
        yield Row("order to paper p50/p95", f"{took[0]:.0f}/{took[1]:.0f} ms", note=note)
    yield Row("alerts sounded / acknowledged", f"{facts.alerts}/{facts.acknowledged}")
    if facts.sos_pressed:
        text = "never" if facts.sos_ms is None else f"{facts.sos_ms:.0f} ms"
        yield Row("SOS, button to back end", text, facts.sos_ms is not None)
    yield Row("network cuts / kill -9", f"{facts.cuts}/{facts.kills}")


def _three(spread: Spread) -> str:
    p50, p95 = spread.percentile(0.5), spread.percentile(0.95)
    return f"{p50:.1f}/{p95:.1f}/{spread.worst:.1f}"
