from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import msgspec
import pytest

from agent.arrival import places
from agent.core.clock import ManualClock
from drivers.base import Advert, DriverError, Rung
from drivers.beacons.simulated import (
    DEMO_BEACONS,
    Fault,
    Sender,
    Settings,
    SimulatedRadio,
    SimulatedScanner,
    collisions,
    open_scanner,
)

DEMO = Path(__file__).parents[3] / "config" / "demo"
SENDER = Sender(address="C0:00:00:00:00:01", lat=31.2304, lon=121.4737)


def listen(settings: Settings, seconds: float, *, wall: float = 0.0) -> list[Advert]:
    """What is heard in that time."""

    async def main() -> list[Advert]:
        clock = ManualClock(wall=wall)
        heard: list[Advert] = []

        async def collect() -> None:
            async with open_scanner(settings, clock) as scanner:
                async for advert in scanner.adverts():
                    heard.append(advert)  # noqa: PERF401 - it is cancelled, and what was heard stays

        async with asyncio.TaskGroup() as group:
            task = group.create_task(collect())
            await clock.advance(seconds)
            task.cancel()
        return heard

    return asyncio.run(main())


def loudness(adverts: Sequence[Advert]) -> float:
    return mean(advert.rssi for advert in adverts)


def test_the_same_seed_hears_the_same() -> None:
    settings = Settings(beacons=(SENDER,), seed=7)
    assert listen(settings, 3) == listen(settings, 3)
    assert listen(settings, 3) != listen(Settings(beacons=(SENDER,), seed=8), 3)


def test_packets_come_at_the_interval_less_the_lost() -> None:
    heard = listen(Settings(beacons=(SENDER,), loss=0.13), 60)
    assert 460 <= len(heard) <= 540  # 600 intervals, lengthened by 5 %, 13 % lost


def test_farther_and_another_floor_are_weaker() -> None:
    def at(lat: float, floor: int) -> float:
        return loudness(
            listen(Settings(beacons=(SENDER,), lat=lat, floor=floor, shadow_db=0, fading_db=0), 20)
        )

    near, far, above = at(31.23041, 0), at(31.2306, 0), at(31.23041, 1)
    assert near - far == pytest.approx(21, abs=2)  # 1.1 m and 22 m at n = 1.6
    assert near - above == pytest.approx(21, abs=2)


def test_the_radio_follows_the_ride(tmp_path: Path) -> None:
    track = tmp_path / "ride.csv"
    track.write_text("t,lat,lon\n0,31.2304,121.4737\n10,31.2304,121.4737\n60,31.2384,121.4737\n")
    settings = Settings(
        beacons=(SENDER,), track=str(track), started_at=5000.0, loop=False, shadow_db=0, fading_db=0
    )
    assert loudness(listen(settings, 8, wall=5000.0)) > -65
    assert listen(settings, 8, wall=5100.0) == []


def test_a_missing_ride_is_the_worlds_fault() -> None:
    with pytest.raises(ExceptionGroup) as error:
        listen(Settings(track="/nonexistent.csv"), 1)
    assert error.group_contains(DriverError)


def test_a_stall_is_silence_and_ends() -> None:
    stall = Fault(kind="stall", at_s=2, for_s=3)
    times = [a.t - 1000 for a in listen(Settings(beacons=(SENDER,), faults=[stall]), 8)]
    assert not [t for t in times if 2.05 < t < 4.95]
    assert max(times) > 7


@pytest.mark.parametrize("by_command", [True, False])
def test_an_unplugged_radio_is_told(by_command: bool) -> None:
    fault = [] if by_command else [Fault(kind="unplug", at_s=0)]
    clock = ManualClock()
    settings = Settings(beacons=(SENDER,), faults=fault)
    scanner = SimulatedScanner(settings, clock, lambda _wall: (31.2304, 121.4737))
    if by_command:
        scanner.unplug()

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(first(scanner))
            await clock.advance(1)
            await task

    async def first(scanner: SimulatedScanner) -> None:
        with pytest.raises(DriverError, match="plug it in again"):
            await anext(aiter(scanner.adverts()))

    asyncio.run(main())


def test_the_demo_places_are_those_of_the_simulated_beacons() -> None:
    demo = places.load(DEMO / "places.toml")
    assert [place.id for place in demo.places] == ["shop-021"]
    rules = {(rule.address, rule.identity) for rule in demo.places[0].beacon}
    assert rules == {(sender.address, sender.identity) for sender in DEMO_BEACONS}


def test_a_body_takes_its_share_and_never_gives() -> None:
    bare = Settings(beacons=(SENDER,), shadow_db=0, fading_db=0, noise_db=0, lat=31.23045)
    free, worn = listen(bare, 60), listen(msgspec.structs.replace(bare, body_db=18), 60)
    loss = loudness(free) - loudness(worn)
    assert 4 < loss < 14  # half of it, for a rider who turns at random
    assert max(a.rssi for a in worn) <= max(a.rssi for a in free)
    assert min(a.rssi for a in worn) >= min(a.rssi for a in free) - 18


@pytest.mark.parametrize(("others", "interval", "share"), [(199, 1.0, 0.14), (29, 0.1, 0.20)])
def test_others_destroy_as_many_packets_as_the_formula_says(
    others: int, interval: float, share: float
) -> None:
    crowd = Settings(beacons=(SENDER,), loss=0, others=others, others_interval_s=interval)
    assert collisions(crowd) == pytest.approx(share, abs=0.01)
    alone = Settings(beacons=(SENDER,), loss=0)
    lost = 1 - len(listen(crowd, 120)) / len(listen(alone, 120))
    assert lost == pytest.approx(share, abs=0.04)


def test_a_radio_that_listens_a_tenth_of_the_time_hears_a_tenth() -> None:
    always = Settings(beacons=(SENDER,), loss=0)
    seldom = msgspec.structs.replace(always, scan_window_s=0.512, scan_interval_s=5.12)
    share = len(listen(seldom, 300)) / len(listen(always, 300))
    assert share == pytest.approx(0.1, abs=0.02)


def test_an_adapter_that_filters_duplicates_tells_once_a_cycle() -> None:
    heard = listen(Settings(beacons=(SENDER,), loss=0, cycle_s=10.5), 105)
    assert len(heard) == 10
    assert {int((advert.t - 1000) / 10.5) for advert in heard} == set(range(10))


def test_what_the_adapter_did_not_measure_is_counted_and_not_told() -> None:
    async def main() -> None:
        clock = ManualClock()
        settings = Settings(beacons=(SENDER,), loss=0, unmeasured=0.5)
        scanner = SimulatedScanner(settings, clock, lambda _wall: (SENDER.lat, SENDER.lon))
        heard: list[Advert] = []

        async def collect() -> None:
            async for advert in scanner.adverts():
                heard.append(advert)  # noqa: PERF401 - it is cancelled, and what was heard stays

        async with asyncio.TaskGroup() as group:
            task = group.create_task(collect())
            await clock.advance(20)
            task.cancel()
        assert all(advert.rssi < 0 for advert in heard)
        assert 60 < scanner.rejected["rssi_unknown"] < 130

    asyncio.run(main())


@pytest.mark.parametrize("needs", ["restart", "power", "reset"])
def test_a_radio_that_stands_still_needs_what_it_needs(needs: Rung) -> None:
    async def main() -> None:
        radio = SimulatedRadio()
        radio.stall(needs)
        for rung in ("restart", "power", "reset"):
            assert radio.needs is not None
            if rung == "restart":
                SimulatedScanner(Settings(), ManualClock(), lambda _wall: (0, 0), radio)
            else:
                await radio.recover(rung)  # type: ignore[arg-type]
            if rung == needs:
                break
        assert radio.needs is None

    asyncio.run(main())
