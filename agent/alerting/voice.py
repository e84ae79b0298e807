"""An alert in words: the names of the clips to play one after the other; pure."""

from __future__ import annotations

from agent.alerting.policy import CAUSES, Alert

MAX_DIGITS = 4  # more would take longer than anyone listens


def clips(alert: Alert, *, loud: bool) -> list[str]:
    """`["chime", "new_order", "1", "2"]` for order 12; a cause without a phrase is only a chime."""
    names = ["siren" if loud else "chime"]
    if alert.cause in CAUSES:
        names.append(alert.cause)
        names += number(alert.detail.get("day_seq"))
    return names


def number(day_seq: object) -> list[str]:
    """The last digits of the number under which the kitchen knows the order."""
    if not isinstance(day_seq, int | str):
        return []
    return [character for character in str(day_seq) if character in "0123456789"][-MAX_DIGITS:]
