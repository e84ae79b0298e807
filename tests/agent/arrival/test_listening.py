from __future__ import annotations

import pytest

from agent.arrival.listening import CANARY_LIMIT_S, LIMIT_MAX_S, Listening


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


def canary(seconds: float, rssi: int, start: Listening | None = None) -> Listening:
    listening = start or Listening(0.0)
    begin = listening.last
    for n in range(1, int(seconds * 10)):
        listening.heard(begin + n * 0.1, rssi)
    return listening


def test_beside_a_loud_beacon_silence_is_doubted_at_once_whatever_was_learned() -> None:
    listening = Listening(0.0)
    listening.heard(40.0, -90)  # rode through nothing for long
    assert listening.limit > 100
    canary(17, -60, listening)
    assert listening.canary
    assert listening.limit == CANARY_LIMIT_S


def test_a_beacon_that_fades_is_no_canary() -> None:
    listening = canary(20, -60)
    for _ in range(25):  # the rider leaves
        listening.heard(listening.last + 0.1, -84)
    assert not listening.canary


def test_a_beacon_must_be_known_for_a_while_and_be_heard_without_pauses() -> None:
    assert not canary(8, -60).canary
    gappy = canary(20, -60)
    gappy.heard(gappy.last + 2.0, -60)
    assert not gappy.canary
    assert canary(17, -60, gappy).canary


def test_bursts_once_a_cycle_are_no_canary() -> None:
    listening = Listening(0.0)
    for cycle in range(20):
        for n in range(100):
            listening.heard(cycle * 10.5 + n * 0.001, -50)
    assert not listening.canary
