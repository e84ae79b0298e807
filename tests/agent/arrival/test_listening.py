from __future__ import annotations

import pytest

from agent.arrival.listening import LIMIT_MAX_S, Listening


def fed(interval: float, seconds: float) -> Listening:
    listening = Listening(0.0)
    for n in range(1, int(seconds / interval) + 1):
        listening.heard(n * interval)
    return listening


@pytest.mark.parametrize(
    ("interval", "limit"),
    [(0.1, 5.0), (1.0, 5.0), (2.0, 6.0), (10.5, 31.5)],
)
def test_what_is_normal_is_learned(interval: float, limit: float) -> None:
    listening = fed(interval, 900)
    assert listening.limit == pytest.approx(limit, rel=0.1)
    assert not listening.deaf(listening.last + limit * 0.9)
    assert listening.deaf(listening.last + limit * 1.2)


def test_a_new_radio_has_time_for_three_scan_cycles() -> None:
    assert not Listening(0.0).deaf(31.0)
    assert Listening(0.0).deaf(32.0)


def test_bursts_at_every_scan_cycle_do_not_hide_the_silence_between() -> None:
    listening = Listening(0.0)
    for cycle in range(20):
        for n in range(100):
            listening.heard(cycle * 10.5 + n * 0.001)
    assert listening.limit > 25


def test_long_silence_does_not_teach_patience_without_end() -> None:
    listening = fed(0.1, 600)
    listening.heard(listening.last + 3600)
    assert listening.limit <= LIMIT_MAX_S
