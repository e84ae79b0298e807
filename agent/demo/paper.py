"""What came out of the printer, for whom: the judge is the paper, not the agent's word. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from agent.contract.orders import Order
from drivers.printer.elements import Element, Paper, Qr

FOOT = re.compile(r"(demo-\d{5}) v(\d+)")  # agent/printing/layout prints it once a ticket
BANNER = "POSSIBLE DUPLICATE"


@dataclass(slots=True)
class Tickets:
    """Pieces of paper by version of an order."""

    pieces: int = 0
    flagged: int = 0  # tickets beyond a version's first that say POSSIBLE DUPLICATE
    unflagged: int = 0  # ... that do not: somebody cooks twice
    _versions: set[str] = field(default_factory=set)

    def add(self, paper: Paper) -> None:
        text = paper.plain
        self.pieces += 1
        for foot in FOOT.finditer(text):
            version = foot[0]
            if version in self._versions:
                self.flagged += BANNER in text
                self.unflagged += BANNER not in text
            self._versions.add(version)

    def has(self, version: str) -> bool:
        """Whether paper of `demo-00001 v1` is out."""
        return version in self._versions

    @property
    def versions(self) -> int:
        """Versions of orders with at least one ticket."""
        return len(self._versions)


def version_of(order: Order) -> str:
    """How a ticket's foot names it."""
    return f"{order.order_id} v{order.version}"


def picture(paper: Paper, dots: int) -> dict[str, Any]:
    """For the page, which draws it."""
    return {
        "dots": dots,
        "cut": paper.cut,
        "plain": paper.plain,
        "elements": [_element(element) for element in paper.elements],
    }


def _element(element: Element) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(element)
    if isinstance(element, Qr):
        plain["modules"] = _modules(element.text)
    return plain


def _modules(text: str) -> list[str]:
    """The printer draws QR codes itself from their text; so the page needs their modules."""
    from qrcode.constants import ERROR_CORRECT_M
    from qrcode.main import QRCode

    code: Any = QRCode(error_correction=ERROR_CORRECT_M, border=0)
    code.add_data(text)
    code.make(fit=True)
    return ["".join("1" if dot else "0" for dot in row) for row in code.modules]
