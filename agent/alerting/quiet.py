"""Quiet hours: the times of day in which only what cannot wait is heard; pure."""

from __future__ import annotations

SPAN = r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$"  # 22:00-07:00


def quiet(span: str | None, minute: int) -> bool:
    """Whether `minute` of the day lies in `HH:MM-HH:MM`, which may cross midnight; its end does
    not belong to it. No span is never quiet; one that ends where it begins is the whole day."""
    if span is None:
        return False
    begin, end = (int(t[:2]) * 60 + int(t[3:]) for t in span.split("-"))
    return (minute - begin) % 1440 < ((end - begin) % 1440 or 1440)
