"""Reads another platform's order so that it is known what of it was read. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from agent.contract.errors import Rejected
from agent.contract.orders import Order
from agent.printing.values import DIGITS

Document = Mapping[str, Any]

# Of no use to a person: identifiers, links and enumerations that machines exchange.
_MACHINE = re.compile(
    r"(^_|id$|ids$|code$|url$|^plu$|email$|gender$|birthdate$|document(number)?$)"
)
_CODES_TO_READ = frozenset({"pickupcode", "phoneaccesscode", "discountcode", "channeldiscountcode"})
_MORE = frozenset({"waitercode", "postalcode", "externalcode", "authorizationcode", "pincode"})


class Reader:
    """A document of which it is known what was read."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._read: set[tuple[str | int, ...]] = set()

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
        return str(value).strip() or None if isinstance(value, (str, int)) else None

    def number(self, *path: str | int) -> int | None:
        value = self.get(*path)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def rows(self, *path: str | int) -> range:
        value = self.get(*path)
        return range(len(value)) if isinstance(value, list) else range(0)

    def extras(self, *under: str | int) -> Iterator[dict[str, str]]:
        """The texts that nobody has read, by their names."""
        for path, value in leaves(self.peek(*under), under):
            name = next((step for step in reversed(path) if isinstance(step, str)), "")
            if path not in self._read and _for_people(name, value):
                self._read.add(path)
                yield {"name": name, "text": str(value).strip()}

    def peek(self, *path: str | int) -> Any:
        known = path in self._read
        value = self.get(*path)
        if not known:
            self._read.discard(path)
        return value


def leaves(
    value: Any, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], str | int]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, (*path, str(key)))
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from leaves(inner, (*path, n))
    elif isinstance(value, str):
        yield path, value


def _for_people(name: str, value: str | int) -> bool:
    low = name.lower()
    if low not in _CODES_TO_READ | _MORE and _MACHINE.search(low):
        return False
    text = str(value).strip()
    return bool(text) and not text.startswith(("http://", "https://")) and millis(text) is None


def order_of(made: dict[str, Any]) -> Order:
    """Checked as if it had come over the wire; empty values are left out."""
    try:
        return msgspec.convert(_full(made), Order)
    except msgspec.ValidationError as error:
        raise Rejected("invalid", f"it does not make an order: {error}") from None


def _full(value: Any) -> Any:
    if isinstance(value, dict):
        inner = {key: _full(item) for key, item in value.items()}
        return {key: item for key, item in inner.items() if item not in (None, [], {})}
    return [_full(item) for item in value] if isinstance(value, list) else value


def minor(value: Any, currency: str | None) -> int | None:
    """A decimal amount in minor units; Rejected where it has parts of one."""
    if value is None or isinstance(value, bool):
        return None
    try:
        exact = Decimal(str(value)).scaleb(DIGITS.get((currency or "").upper(), 2))
        whole = int(exact)
    except (InvalidOperation, ValueError, OverflowError):
        raise Rejected("invalid", f"{value!r} is no amount") from None
    if exact != whole:
        raise Rejected("invalid", f"{value} {currency} is no whole number of minor units")
    return whole


def scaled(value: Any, digits: int, currency: str | None) -> int | None:
    """An integer with `digits` behind the point, as Deliverect writes money."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    ours = DIGITS.get((currency or "").upper(), 2)
    return value if digits == ours else minor(Decimal(value).scaleb(-digits), currency)


def quantity(value: Any, unit: str) -> tuple[int, str | None]:
    """(1, "0.5 KG") for what is not counted: nothing is rounded."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return 1, unit or None
    if unit or value != int(value) or value < 1:
        return 1, spaced(f"{value:g}", unit)
    return int(value), None


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
    return None if text is None else re.sub(r"[^A-Za-z0-9._:@-]", "-", text)[:64]


def said(extras: Iterator[dict[str, str]]) -> list[str]:
    return [f"{extra['name']}: {extra['text']}" for extra in extras]


def spaced(*texts: str | None) -> str | None:
    return " ".join(text for text in texts if text) or None


def joined(*texts: str | None) -> str | None:
    return ", ".join(text for text in texts if text) or None


def lines(*texts: str | None) -> str | None:
    return "; ".join(text for text in texts if text) or None


def skip_money(read: Reader, at: tuple[str | int, ...]) -> None:
    """Currencies stand at every price; one on the ticket is enough."""
    for path, _ in leaves(read.peek(*at), at):
        if path[-1] in ("currency", "optionGroupId"):
            read.get(*path)
