"""The chain of audit events: each holds the digest of the one before; pure but for `Chain`.

    hash = SHA-256(canonical JSON of {action, at, by, detail, device, n, prev})

Canonical: keys sorted, no spaces, UTF-8, numbers by their value, so that a store that writes `1.50`
for `1.5` changes nothing. `n` counts from 1, `prev` of the first is empty. Who takes an event away,
changes one or puts one in breaks the chain at a place that can be named; who rewrites all that
follows ends with another head than the back end has kept.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from agent.contract.events import Audit, Body
from agent.fleet.guard import Guard

EXACT = 2**53  # beyond it a JSON number is a float for many
HEAD = "audit_head"

_GET = "SELECT value FROM meta WHERE key = ?"
_PUT = "INSERT OR REPLACE INTO meta VALUES (?, ?)"


class Head(NamedTuple):
    """Where a chain has come to."""

    n: int = 0
    hash: str = ""

    def __str__(self) -> str:
        return f"{self.n}:{self.hash}"

    @classmethod
    def parse(cls, text: str | None) -> Head | None:
        n, _, hash_ = (text or "").partition(":")
        return cls(int(n), hash_) if n.isascii() and n.isdigit() else None


class Entry(NamedTuple):
    """An audit event as a back end has it."""

    epoch: str
    seq: int
    body: dict[str, Any]


class Break(NamedTuple):
    """Where a chain does not hold, and what is wrong there."""

    epoch: str
    seq: int
    n: int | None
    what: str


class Finding(NamedTuple):
    head: Head
    entries: int
    breaks: list[Break]


def digest(device: str, body: dict[str, Any]) -> str:
    """Of an audit event's body; its own `hash` is no part of it."""
    parts = {key: body.get(key) for key in ("action", "at", "by", "n", "prev")}
    whole = _canonical(parts | {"detail": body.get("detail", {}), "device": device})
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def link(device: str, body: Audit, at: int, head: Head) -> Audit:
    """The event as the next of its chain."""
    made = msgspec.structs.replace(body, n=head.n + 1, at=at, prev=head.hash, hash=None)
    return msgspec.structs.replace(made, hash=digest(device, msgspec.to_builtins(made)))


def verify(device: str, entries: Iterable[Entry], begin: Head | None = None) -> Finding:
    """Every break of a device's chain, in the order of `entries`: by epoch and seq.

    `begin`: the head that was kept when the entries before these were verified or moved away.
    """
    head, count = begin, 0
    breaks: list[Break] = []
    seen: set[tuple[Any, Any]] = set()
    for entry in entries:
        body = entry.body
        n = body.get("n")
        if n is not None and (n, body.get("hash")) in seen:
            continue  # a device sends what was not confirmed again when its epoch changes
        count += 1
        seen.add((n, body.get("hash")))
        if not isinstance(n, int) or not isinstance(body.get("hash"), str):
            breaks.append(Break(entry.epoch, entry.seq, None, "is no part of a chain"))
            continue
        wrong = [
            *_follows(head, n, body.get("prev")),
            *([] if digest(device, body) == body["hash"] else ["was changed after it was written"]),
        ]
        breaks += [Break(entry.epoch, entry.seq, n, what) for what in wrong]
        head = Head(n, body["hash"])
    return Finding(head or Head(), count, breaks)


def passes(entries: Iterable[Entry], kept: Head) -> bool:
    """Whether the chain goes through a head that was kept elsewhere."""
    return any((entry.body.get("n"), entry.body.get("hash")) == tuple(kept) for entry in entries)


def _follows(head: Head | None, n: int, prev: Any) -> Iterator[str]:
    if head is None:
        if n != 1 or prev:
            yield f"the chain begins at number {n}: what was before it is not here"
    elif n > head.n + 1:
        yield f"numbers {head.n + 1} to {n - 1} are missing"
    elif n <= head.n:
        again = "begins anew" if n == 1 and not prev else f"goes back to number {n}"
        yield f"the chain {again} after number {head.n}"
    elif prev != head.hash:
        yield f"does not follow what is kept as number {head.n}: one of both was changed"


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if value == value // 1 and abs(value) < EXACT:
        return int(value)
    return repr(float(value))


class Chain:
    """Continues the chain within the transactions that store its events.

    The head is in the database, and soon after also in a file beside it: a database that was set
    aside or put back goes on from there, and the next event says that it did.
    """

    def __init__(self, device: str, guard: Guard, grown: Callable[[], None] = lambda: None) -> None:
        """`grown` is called in the store's thread, before the commit."""
        self._device = device
        self._guard = guard
        self.grown = grown

    def open(self, tx: sqlite3.Connection) -> list[Audit]:
        """At the start: what is to be told when the database and the file beside it differ."""
        here, beside = self.head(tx), Head.parse(self._guard.read())
        if beside is None or beside.n <= here.n:
            return []
        tx.execute(_PUT, (HEAD, str(beside)))
        detail = {"database": here.n, "beside": beside.n}
        return [Audit(action="audit.resumed", by="agent", detail=detail)]

    def seal(self, tx: sqlite3.Connection, body: Body, at_ms: int) -> Body:
        """An audit event as the next one; any other as it is."""
        if not isinstance(body, Audit):
            return body
        linked = link(self._device, body, at_ms, self.head(tx))
        assert linked.n is not None
        assert linked.hash is not None
        tx.execute(_PUT, (HEAD, str(Head(linked.n, linked.hash))))
        self.grown()
        return linked

    @staticmethod
    def head(tx: sqlite3.Connection) -> Head:
        row = tx.execute(_GET, (HEAD,)).fetchone()
        return (Head.parse(row[0]) if row else None) or Head()

    def keep(self, head: Head) -> None:
        """Beside the database; blocks for the time of an fsync."""
        self._guard.write(str(head))
