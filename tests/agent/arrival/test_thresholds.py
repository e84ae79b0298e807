from __future__ import annotations

import asyncio
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.arrival.learning import NEAR_S, REACH_DB
from agent.arrival.places import BeaconRule
from agent.arrival.remembering import Remembered
from agent.arrival.thresholds import KNOWN, Kept, Thresholds
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.store.database import Database

COUNTER = BeaconRule(identity="ibeacon:x", enter_rssi=-70.0)
DOOR = BeaconRule(address="C0:00:00:00:00:01", enter_rssi=-70.0)


def test_a_pick_up_that_would_not_have_entered_lowers_the_threshold() -> None:
    thresholds = Thresholds()
    thresholds.heard("shop", COUNTER, 100.0, -75.0)
    moved = thresholds.picked_up("shop", [COUNTER], 110.0)
    assert moved == Kept("shop", "ibeacon:x", -70.0, -70.95, 1)
    assert thresholds.enter_rssi("shop", COUNTER) == -70.95


def test_the_beacon_that_was_loudest_for_its_threshold_learns() -> None:
    thresholds = Thresholds()
    thresholds.heard("shop", COUNTER, 100.0, -72.0)
    thresholds.heard("shop", DOOR, 100.0, -66.0)
    moved = thresholds.picked_up("shop", [COUNTER, DOOR], 110.0)
    assert moved is not None
    assert (moved.beacon, moved.enter_rssi) == (DOOR.address, -69.95)
    assert thresholds.enter_rssi("shop", COUNTER) == -70.0


def test_what_was_not_heard_of_late_or_only_from_afar_teaches_nothing() -> None:
    thresholds = Thresholds()
    assert thresholds.picked_up("shop", [COUNTER], 0.0) is None
    thresholds.heard("shop", COUNTER, 0.0, -60.0)
    assert thresholds.picked_up("shop", [COUNTER], NEAR_S + 1) is None
    thresholds.heard("shop", COUNTER, 200.0, -70.0 - REACH_DB - 1)
    assert thresholds.picked_up("shop", [COUNTER], 201.0) is None
    assert thresholds.kept() == []


def test_one_stay_teaches_once() -> None:
    thresholds = Thresholds()
    thresholds.heard("shop", COUNTER, 0.0, -60.0)
    assert thresholds.picked_up("shop", [COUNTER], 1.0)
    assert thresholds.picked_up("shop", [COUNTER], 2.0) is None


def test_a_new_survey_begins_anew() -> None:
    thresholds = Thresholds()
    thresholds.heard("shop", COUNTER, 0.0, -75.0)
    thresholds.picked_up("shop", [COUNTER], 1.0)
    again = BeaconRule(identity="ibeacon:x", enter_rssi=-74.0)
    assert thresholds.enter_rssi("shop", again) == -74.0
    thresholds.heard("shop", again, 10.0, -80.0)
    assert thresholds.picked_up("shop", [again], 11.0) == Kept(
        "shop", "ibeacon:x", -74.0, -74.95, 1
    )


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 900), st.floats(-127, 20)), max_size=80))
def test_what_is_kept_is_bounded_and_comes_back_as_it_was(seen: list[tuple[int, float]]) -> None:
    thresholds = Thresholds()
    for n, (place, level) in enumerate(seen):
        thresholds.heard(str(place), COUNTER, float(n), level)
        thresholds.picked_up(str(place), [COUNTER], float(n))
    kept = thresholds.kept()
    assert len(kept) <= KNOWN
    again = Thresholds()
    again.recall(kept)
    assert again.kept() == kept
    assert all(abs(line.enter_rssi - line.surveyed) <= REACH_DB for line in kept)


def test_the_store_keeps_it_and_what_it_cannot_read_is_learned_anew(tmp_path: Path) -> None:
    line = Kept("shop", "ibeacon:x", -70.0, -71.9, 2)

    async def main() -> None:
        clock = ManualClock()
        database = Database(tmp_path / "agent.db", clock, Health(clock))
        await database.open()
        memory = Remembered(database)
        assert await memory.load() == []
        await memory.save([line])
        assert await memory.load() == [line]
        await database.write(
            lambda tx: tx.execute("UPDATE meta SET value = '[7]' WHERE key = 'arrival.learned'")
        )
        assert await memory.load() == []
        await database.close()

    asyncio.run(main())
