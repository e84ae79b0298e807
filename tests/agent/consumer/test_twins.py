"""Births of one machine, restarted, and of two that share an identity."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.consumer.twins import BOOTS, Twins

CASES = {
    "one boot, many connections": ([("a", 1), ("a", 2), ("a", 3)], []),
    "one machine, restarted": ([("a", 1), ("b", 2), ("c", 3)], []),
    "the broker delivers again": ([("a", 1), ("b", 2), ("a", 1), ("b", 2)], []),
    "two that fight": ([("a", 1), ("b", 1), ("a", 2), ("b", 2)], [2, 3]),
    "a copy that ran first": ([("a", 9), ("b", 3), ("a", 10)], [2]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_boot_that_comes_back_is_a_twin(name: str) -> None:
    births, shown = CASES[name]
    twins = Twins()
    assert [n for n, birth in enumerate(births) if twins.see("sh-1", *birth)] == shown


def test_devices_do_not_mix() -> None:
    twins = Twins()
    assert not any(twins.see(device, "a", 1) for device in ("x", "y", "z"))


@given(st.lists(st.integers(0, 3), max_size=60))
def test_one_machine_is_never_taken_for_two(restarts: list[int]) -> None:
    """However often it starts and connects, with each message delivered once or twice."""
    twins, bd_seq = Twins(), 0
    for boot, connections in enumerate(restarts):
        for _ in range(connections):
            bd_seq += 1
            assert not twins.see("sh-1", f"boot-{boot}", bd_seq)
            assert not twins.see("sh-1", f"boot-{boot}", bd_seq)
    assert len(twins._boots.get("sh-1", ())) <= BOOTS
