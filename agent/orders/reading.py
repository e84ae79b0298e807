"""Reads another platform's order so that it is known what of it was read. Pure."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from agent.contract.errors import Rejected
from agent.contract.orders import OPTION_DEPTH, Order
from agent.printing.values import DIGITS

Document = Mapping[str, Any]
Path = tuple[str | int, ...]
Leaf = str | int | float

# Of no use to a person: identifiers, links, codes and moments that machines exchange.
_MACHINE = frozenset(
    {"id", "ids", "code", "url", "uri", "plu", "email", "gender", "etag", "token", "currency"}
)
_MACHINE_WHOLE = frozenset(
    {"birthdate", "index", "sortorder", "version", "latitude", "longitude", "lat", "lng", "lon"}
    | {"timestamp", "createdat", "updatedat", "documentnumber"}
)
_CODES_TO_READ = frozenset(
    {"pickupcode", "phoneaccesscode", "discountcode", "channeldiscountcode", "waitercode"}
    | {"postalcode", "externalcode", "authorizationcode", "pincode", "deliverycode", "zipcode"}
    | {"accesscode", "doorcode", "entrycode", "verificationcode"}
)
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")  # of a name in camel or snake case
DEEP = 48  # levels of a document
ID_MAX, LINE, TEXT, EXTRAS = 64, 200, 2000, 50  # sizes in our order document
MONEY_MAX, QTY_MAX, OPTION_QTY_MAX = 10**12, 9999, 999


class Reader:
    """A document of which it is known what was read."""

    def __init__(self, document: Document) -> None:
        """Rejected: nested deeper than any order is."""
        for _ in leaves(document, ()):
            pass
        self._document = document
        self._read: set[Path] = set()
        self._odd: dict[Path, str] = {}  # amounts that are no whole number of minor units

    def get(self, *path: str | int) -> Any:
        """The value there, which counts as read; None where there is none."""
        value: Any = self._document
        for step in path:
            if isinstance(value, Mapping):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return None
        self._read.add(path)
        return value

    def text(self, *path: str | int) -> str | None:
        """What stands there, if it is something to read."""
        value = self.get(*path)
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            return None
        return str(value).strip() or None

    def first(self, *paths: Path) -> str | None:
        """The first of these places where something stands; the others stay unread."""
        for path in paths:
            if isinstance(self.peek(*path), (str, int, float)) and (text := self.text(*path)):
                return text
        return None

    def number(self, *path: str | int) -> int | None:
        value = self.get(*path)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def flag(self, *path: str | int) -> bool | None:
        value = self.get(*path)
        return value if isinstance(value, bool) else None

    def rows(self, *path: str | int) -> range:
        value = self.get(*path)
        return range(len(value)) if isinstance(value, list) else range(0)

    def money(
        self, *path: str | int, currency: str | None, digits: int | None = None
    ) -> int | None:
        """Minor units. What cannot be said in them is not rounded: it stays to be read as text.

        A decimal amount; with `digits`, an integer with so many digits behind its point.
        """
        value = self.get(*path)
        if value is None or isinstance(value, (bool, Mapping, list)) or value == "":
            return None
        amount = minor(value, currency, digits)
        if amount is None:
            self._odd[path] = f"{value} {currency or ''}".strip()
        return amount

    def extras(self, *under: str | int) -> Iterator[dict[str, str]]:
        """What nobody has read, by its name: texts, numbers, and flags that are set."""
        for path in [path for path in self._odd if path[: len(under)] == under]:
            yield {"name": _title(path[len(under) :]), "text": self._odd.pop(path)}
        for path, value in leaves(self.peek(*under), under):
            if path not in self._read and _for_people(_name(path), value):
                self._read.add(path)
                yield {"name": _title(path[len(under) :]), "text": _said(value)}

    def skip(self, *path: str | int, names: frozenset[str] | None = None) -> None:
        """Everything below counts as read, or what has one of these names."""
        for at, _ in leaves(self.peek(*path), path):
            if names is None or _name(at) in names:
                self._read.add(at)

    def peek(self, *path: str | int) -> Any:
        known = path in self._read
        value = self.get(*path)
        if not known:
            self._read.discard(path)
        return value


def leaves(value: Any, path: Path) -> Iterator[tuple[Path, Leaf]]:
    """Rejected: nested deeper than any order is."""
    if len(path) > DEEP:
        raise Rejected("invalid", f"it is nested deeper than {DEEP} levels")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, (*path, str(key)))
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from leaves(inner, (*path, n))
    elif isinstance(value, (str, int, float)):
        yield path, value


def _name(path: Path) -> str:
    """What stands there: of `price.value`, `price`."""
    names = [step for step in path if isinstance(step, str)]
    while len(names) > 1 and names[-1] in ("value", "amount"):
        names.pop()
    return names[-1] if names else ""


def _title(path: Path) -> str:
    """The same for people: one word that stands in something is said with that."""
    name, names = _name(path), [step for step in path if isinstance(step, str)]
    above = names[: names.index(name)] if name in names else []
    return f"{above[-1]} {name}" if above and name.islower() else name


def _for_people(name: str, value: Leaf) -> bool:
    low = name.lower().replace("_", "")
    words = [word.lower() for word in _WORD.findall(name)]
    last = words[-1] if words else ""
    if low not in _CODES_TO_READ and (
        name.startswith("_") or low in _MACHINE_WHOLE or last in _MACHINE
    ):
        return False
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        return value != 0
    return bool(value.strip()) and not value.strip().startswith(("http://", "https://"))


def _said(value: Leaf) -> str:
    if isinstance(value, bool):
        return "yes"
    if not isinstance(value, str):
        return f"{value:g}" if isinstance(value, float) else str(value)
    at = millis(value.strip())
    if at is None:
        return value.strip()
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def order_of(made: dict[str, Any]) -> Order:
    """Checked as if it had come over the wire; empty values are left out.

    What is longer than a field of ours may be goes on among the extras, so nothing is cut off.
    """
    full = _full(made)
    more: list[dict[str, str]] = []
    for name in ("platform", "display_id", "table", "pickup_code"):
        _fit(full, name, LINE, more)
    _fit(full, "note", TEXT, more)
    for name, limit in (("name", LINE), ("phone", LINE), ("address", TEXT), ("tax_id", LINE)):
        for person in ("customer", "courier", "invoice"):
            _fit(full.get(person, {}), name, limit, more)
    for item in full.get("items", []):
        _fit(item, "name", LINE, more)
        _fit(item, "note", TEXT, more)
        _fit(item, "sku", LINE, [])
        _fit_options(item.get("options", []), more)
    for amount in (*full.get("fees", []), *full.get("discounts", [])):
        _fit(amount, "name", LINE, more)
    full["extras"] = _packed([*more, *full.get("extras", [])])
    try:
        return msgspec.convert(_full(full), Order)
    except msgspec.ValidationError as error:
        raise Rejected("invalid", f"it does not make an order: {error}") from None


def _fit(made: dict[str, Any], name: str, limit: int, more: list[dict[str, str]]) -> None:
    text = made.get(name)
    if isinstance(text, str) and len(text) > limit:
        made[name] = text[: limit - 1] + "…"
        rest = text[limit - 1 :]
        pieces = [rest[n : n + TEXT - 1] for n in range(0, len(rest), TEXT - 1)]
        more += [{"name": f"… {name}", "text": piece} for piece in pieces]


def _fit_options(options: list[dict[str, Any]], more: list[dict[str, str]]) -> None:
    for option in options:
        _fit(option, "name", LINE, more)
        _fit_options(option.get("options", []), more)


def _packed(extras: list[dict[str, str]]) -> list[dict[str, str]]:
    """Each of a size that we take; what is more than EXTRAS, together."""
    fitting: list[dict[str, str]] = []
    for extra in extras:
        _fit(extra, "name", LINE, [])
        rest: list[dict[str, str]] = []
        _fit(extra, "text", TEXT, rest)
        fitting += [extra, *rest]
    if len(fitting) <= EXTRAS:
        return fitting
    packed, tail = fitting[: EXTRAS // 2], "; ".join(said(iter(fitting[EXTRAS // 2 :])))
    packed += [{"name": "more", "text": tail[n : n + TEXT]} for n in range(0, len(tail), TEXT)]
    if len(packed) > EXTRAS:
        raise Rejected("too_large", "it says more than fits on a ticket")
    return packed


def _full(value: Any) -> Any:
    if isinstance(value, dict):
        inner = {key: _full(item) for key, item in value.items()}
        return {key: item for key, item in inner.items() if item not in (None, [], {})}
    return [_full(item) for item in value] if isinstance(value, list) else value


def minor(value: Any, currency: str | None, digits: int | None = None) -> int | None:
    """An amount in minor units; None where it has parts of one, or is none."""
    ours = DIGITS.get((currency or "").upper(), 2)
    try:
        exact = Decimal(str(value).strip()).scaleb(ours - (digits or 0))
        whole = int(exact)
    except (InvalidOperation, ValueError, OverflowError):
        return None
    return whole if exact == whole and abs(whole) <= MONEY_MAX else None


def quantity(value: Any, unit: str = "", most: int = QTY_MAX) -> tuple[int, str | None]:
    """(1, "0.5 KG") for what is not counted: nothing is rounded. None is one.

    Rejected: what is no number, because half an order is not to be cooked.
    """
    if value is None:
        return 1, unit or None
    try:
        number = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise Rejected("invalid", f"{value!r} is no quantity")
    if unit or number != int(number) or not 1 <= number <= most:
        return 1, spaced(f"{number:.15g}", unit)
    return int(number), None


def millis(text: str | None) -> int | None:
    """RFC 3339 -> unix ms; None for anything else."""
    if text is None or not re.match(r"\d{4}-\d{2}-\d{2}T", text):
        return None
    try:
        t = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((t if t.tzinfo else t.replace(tzinfo=UTC)).timestamp() * 1000)


def order_id(text: str | None) -> str | None:
    """Of the characters that a topic may hold; a long one is told apart by its hash."""
    if text is None:
        return None
    plain = re.sub(r"[^A-Za-z0-9._:@-]", "-", text)
    if len(plain) <= ID_MAX:
        return plain
    return f"{plain[: ID_MAX - 17]}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def said(extras: Iterator[dict[str, str]]) -> list[str]:
    return [f"{extra['name']}: {extra['text']}" for extra in extras]


def spaced(*texts: str | None) -> str | None:
    return " ".join(text for text in texts if text) or None


def joined(*texts: str | None) -> str | None:
    return ", ".join(text for text in texts if text) or None


def lines(*texts: str | None) -> str | None:
    return "; ".join(text for text in texts if text) or None


def flattened(options: list[dict[str, Any]], depth: int = OPTION_DEPTH) -> list[dict[str, Any]]:
    """Options of options deeper than we take stand behind those above them, marked by `>`."""
    found: list[dict[str, Any]] = []
    for option in options:
        inner = option.get("options") or []
        if depth > 1:
            found.append({**option, "options": flattened(inner, depth - 1)})
            continue
        found.append({**option, "options": []})
        found += [{**o, "name": f"> {o.get('name') or ''}"} for o in flattened(inner, 1)]
    return found
