"""One card an order, as the demo's shop panel shows it. Pure.

An order is at the shop when the shop's agent said so or its ticket came out, not when it was sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agent.contract.orders import Item, Order

OVER = ("accepted", "rejected", "ready", "picked_up")


@dataclass(slots=True)
class Cards:
    """Each change returns the card to show anew, or None where nothing changed."""

    _cards: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, order: Order) -> dict[str, Any]:
        self._cards[order.order_id] = {
            "id": order.order_id,
            "number": order.day_seq,
            "platform": order.platform,
            "items": [_item(item) for item in order.items],
            "note": order.note,
            "total": order.total,
            "currency": order.currency,
            "stage": "sent",
            "at_shop": False,
            "printed": False,
            "held": False,
        }
        return dict(self._cards[order.order_id])

    def said(self, order_id: str, action: str) -> dict[str, Any] | None:
        """The agent told the back end; a late `received` does not undo an `accepted`."""
        if action in OVER:
            return self._set(order_id, at_shop=True, stage="accepted")
        return self._set(order_id, at_shop=True)

    def accepted(self, order_id: str) -> dict[str, Any] | None:
        """The agent answered here, which it also does without a network."""
        return self._set(order_id, at_shop=True, stage="accepted")

    def printed(self, order_id: str) -> dict[str, Any] | None:
        return self._set(order_id, at_shop=True, printed=True, held=False)

    def ticket(self, order_id: str, state: str) -> dict[str, Any] | None:
        """The agent's own word on the ticket; only paper counts as printed."""
        return self._set(order_id, held=state in ("held", "in_doubt"))

    def open(self) -> list[str]:
        return [
            card["id"]
            for card in self._cards.values()
            if card["at_shop"] and card["stage"] != "accepted"
        ]

    def on_the_way(self) -> int:
        return sum(not card["at_shop"] for card in self._cards.values())

    def _set(self, order_id: str, **changes: object) -> dict[str, Any] | None:
        card = self._cards.get(order_id)
        if card is None or all(card[key] == value for key, value in changes.items()):
            return None
        card.update(changes)
        return dict(card)


def _item(item: Item) -> dict[str, Any]:
    return {
        "name": item.name,
        "qty": item.qty,
        "options": [option.name for option in item.options],
    }
