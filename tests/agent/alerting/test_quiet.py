from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.alerting.quiet import SPAN, quiet


@pytest.mark.parametrize(
    ("span", "time", "is_quiet"),
    [
        (None, "03:00", False),
        ("22:00-07:00", "21:59", False),
        ("22:00-07:00", "22:00", True),
        ("22:00-07:00", "00:00", True),
        ("22:00-07:00", "06:59", True),
        ("22:00-07:00", "07:00", False),
        ("13:30-14:15", "14:14", True),
        ("13:30-14:15", "14:15", False),
        ("00:00-00:00", "12:00", True),
    ],
)
def test_quiet_hours_may_cross_midnight(span: str | None, time: str, is_quiet: bool) -> None:
    assert quiet(span, int(time[:2]) * 60 + int(time[3:])) is is_quiet


@given(st.integers(0, 1439), st.integers(0, 1439))
def test_a_span_and_its_opposite_divide_the_day(begin: int, end: int) -> None:
    def text(minute: int) -> str:
        return f"{minute // 60:02}:{minute % 60:02}"

    span, opposite = f"{text(begin)}-{text(end)}", f"{text(end)}-{text(begin)}"
    assert re.match(SPAN, span)
    if begin != end:
        assert all(quiet(span, m) != quiet(opposite, m) for m in range(0, 1440, 7))
