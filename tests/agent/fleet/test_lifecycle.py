"""What becomes of a command, as a table."""

from __future__ import annotations

import pytest

from agent.fleet import lifecycle
from agent.fleet.lifecycle import MOVES, OPEN, Found, Nature, Status, after_restart
from agent.fleet.throttle import Bucket

ALL: list[Status] = [
    "accepted", "running", "succeeded", "failed", "rejected", "timed_out", "unknown",
]  # fmt: skip


def test_what_has_ended_never_moves() -> None:
    for old in set(ALL) - OPEN:
        assert not any(lifecycle.may(old, new) for new in ALL)


def test_every_end_is_reached_from_running_and_only_a_refusal_without_it() -> None:
    ends = set(ALL) - OPEN
    assert {new for new in ends if lifecycle.may("running", new)} == ends
    assert {new for new in ends if lifecycle.may("accepted", new)} == {"rejected"}
    assert set(MOVES) == OPEN


@pytest.mark.parametrize(
    ("found", "nature", "expected"),
    [
        (Found("accepted", 0, None), "once", ("accepted", None)),
        (Found("running", 1, "b1"), "once", ("unknown", "restarted")),
        (Found("running", 1, "b1"), "repeatable", ("running", "resumed")),
        (Found("running", 2, "b1"), "repeatable", ("unknown", "restarted")),
        (Found("running", 1, "b1"), "restart", ("succeeded", None)),
        (Found("running", 1, "b1"), "reboot", ("failed", "not_rebooted")),
        (Found("running", 1, "b0"), "reboot", ("succeeded", None)),
        (Found("accepted", 0, None), "reboot", ("accepted", None)),
    ],
)
def test_after_a_restart(found: Found, nature: Nature, expected: tuple[str, str | None]) -> None:
    verdict = after_restart(found, nature, "b1")
    assert verdict == expected
    assert verdict.status == found.status or lifecycle.may(found.status, verdict.status)


def test_only_a_known_time_says_that_something_is_late() -> None:
    assert lifecycle.expired_s(1000, 5000, clock_known=True) == 4.0
    assert lifecycle.expired_s(1000, 5000, clock_known=False) is None
    assert lifecycle.expired_s(5000, 5000, clock_known=True) is None
    assert lifecycle.expired_s(None, 5000, clock_known=True) is None


def test_a_bucket_fills_again_with_time_and_never_beyond_its_size() -> None:
    bucket = Bucket(burst=3, per_s=1)
    assert [bucket.take(0) for _ in range(4)] == [True, True, True, False]
    assert bucket.take(1)
    assert not bucket.take(1)
    assert [bucket.take(1000) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(900)
    assert bucket.take(1003, cost=3)
