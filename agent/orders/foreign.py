"""Orders as other platforms write them -> our order document. Pure; for back ends.

Nothing that people should read is lost: what has a place of its own goes there, every other text
becomes an `extra` (`waiterName: Ana`) or a note of its dish, but for identifiers of machines.
Money becomes integer minor units of the same value; no sum is made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.contract.orders import Order
from agent.orders.deliverect import deliverect
from agent.orders.open_delivery import open_delivery
from agent.orders.reading import Document

SOURCES: Mapping[str, Callable[[Document], Order]] = {
    "open-delivery": open_delivery,
    "deliverect": deliverect,
}
