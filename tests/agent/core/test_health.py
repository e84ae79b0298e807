"""Conditions: told once, after their grace, with since when."""

from __future__ import annotations

import asyncio

from agent.core.clock import ManualClock
from agent.core.health import Condition, Health


def watched() -> tuple[ManualClock, Health, list[tuple[str, bool]]]:
    clock = ManualClock()
    health = Health(clock)
    told: list[tuple[str, bool]] = []

    def changed(condition: Condition, raised: bool) -> None:
        told.append((condition.code, raised))

    health.listen(changed)
    return clock, health, told


def test_a_condition_is_told_once_and_its_end_once() -> None:
    _, health, told = watched()
    for _ in range(3):
        health.set("printer.kitchen", "paper out")
    health.clear("printer.kitchen")
    health.clear("printer.kitchen")
    assert told == [("printer.kitchen", True), ("printer.kitchen", False)]


def test_what_ends_within_its_grace_is_never_told() -> None:
    clock, health, told = watched()
    health.set("uplink", "no connection", grace_s=30)
    asyncio.run(clock.advance(29))
    health.poll()
    health.clear("uplink")
    assert told == []


def test_what_outlasts_its_grace_is_told_with_its_beginning() -> None:
    clock, health, told = watched()
    health.set("uplink", "no connection", grace_s=30)
    began = clock.wall()
    asyncio.run(clock.advance(31))
    health.set("uplink", "no connection: refused", grace_s=30)
    assert told == [("uplink", True)]
    assert [c.since for c in health.conditions()] == [began]


def test_the_worst_comes_first() -> None:
    _, health, _ = watched()
    health.set("a", "minor", severity="info")
    health.set("b", "bad", severity="critical")
    assert [c.code for c in health.conditions()] == ["b", "a"]
