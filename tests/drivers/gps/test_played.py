"""The receivers that need no hardware: a recording that is played, and a rider that is made up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from agent.core.clock import ManualClock
from drivers.base import DriverError, Fix, GpsReceiver
from drivers.gps import replay, simulated

RIDE = Path(__file__).parents[3] / "config" / "demo" / "ride.csv"
SHOP = (31.2304, 121.4737)


def metres(lat: float, lon: float) -> float:
    north, east = (lat - SHOP[0]) * 111_195, (lon - SHOP[1]) * 111_195 * 0.8551
    return (north**2 + east**2) ** 0.5


async def play(
    opened: AbstractAsyncContextManager[GpsReceiver], clock: ManualClock, seconds: int
) -> list[Fix]:
    """What comes within so many seconds of the clock."""
    fixes: list[Fix] = []

    async def listen() -> None:
        async with opened as receiver:
            async for fix in receiver.fixes():
                fixes.append(fix)  # noqa: PERF401 - cut off, and what came before counts

    task = asyncio.create_task(listen())
    for _ in range(seconds):
        await clock.advance(1.0)
    if not task.done():
        task.cancel()
        await asyncio.wait([task])
    elif task.exception() is not None:
        await task
    return fixes


# --- replay ---------------------------------------------------------------------------------------


@pytest.fixture
def track(tmp_path: Path) -> Path:
    path = tmp_path / "ride.csv"
    path.write_text("t,lat,lon\n100,31.0,121.0\n101,31.1,121.0\n105,31.2,121.0\n")
    return path


@pytest.mark.parametrize(("speed", "wanted"), [(1.0, [0, 1, 5]), (2.0, [0, 0.5, 2.5])])
def test_a_track_is_played_in_its_own_rhythm(
    track: Path, speed: float, wanted: list[float]
) -> None:
    clock = ManualClock()
    opened = replay.open_receiver(replay.Settings(path=str(track), speed=speed), clock)
    fixes = asyncio.run(play(opened, clock, 10))
    assert [fix.t - 1000.0 for fix in fixes] == pytest.approx(wanted)
    assert all(fix.utc is None for fix in fixes)  # nothing sets its clock by a recording


def test_a_track_can_be_played_for_ever(track: Path) -> None:
    clock = ManualClock()
    opened = replay.open_receiver(replay.Settings(path=str(track), loop=True), clock)
    fixes = asyncio.run(play(opened, clock, 20))
    assert [fix.t - 1000.0 for fix in fixes] == [0, 1, 5, 6, 7, 11, 12, 13, 17, 18, 19]


def test_an_empty_or_missing_track_is_an_error(track: Path, tmp_path: Path) -> None:
    clock = ManualClock()
    missing = replay.open_receiver(replay.Settings(path=str(tmp_path / "none.csv")), clock)
    with pytest.raises(DriverError, match="cannot be read"):
        asyncio.run(play(missing, clock, 1))
    track.write_text("t,lat,lon\n")
    with pytest.raises(DriverError, match="no dated fix"):
        asyncio.run(
            play(replay.open_receiver(replay.Settings(path=str(track), loop=True), clock), clock, 1)
        )


# --- simulated ------------------------------------------------------------------------------------


def ride(**changes: object) -> simulated.Settings:
    plain = simulated.Settings(track=str(RIDE), started_at=1_800_000_000.0, sigma_m=0.0)
    return simulated.Settings(
        **{name: getattr(plain, name) for name in plain.__struct_fields__} | changes
    )


def test_the_demo_ride_goes_to_the_shop_and_back() -> None:
    at = simulated.truth(ride())
    away = [metres(*at(1_800_000_000.0 + s)[:2]) for s in range(186)]
    assert away[0] == pytest.approx(250, abs=5)
    assert away[0] == pytest.approx(away[184], abs=5)
    assert 20 <= next(s for s, gap in enumerate(away) if gap < 100) <= 26
    assert 24 <= sum(gap < 1 for gap in away) <= 28
    assert max(away) > 300
    assert max(at(1_800_000_000.0 + s).speed for s in range(186)) < 12


def test_a_process_started_anew_goes_on_with_the_same_ride() -> None:
    at = simulated.truth(ride())
    clock = ManualClock(wall=1_800_000_030.5)
    fixes = asyncio.run(play(simulated.open_receiver(ride(), clock), clock, 5))
    assert [fix.utc for fix in fixes] == [1_800_000_031.0 + n for n in range(5)]
    for fix in fixes:
        assert fix.utc is not None
        assert (fix.lat, fix.lon) == pytest.approx(at(fix.utc)[:2], abs=1e-9)
        assert fix.speed == pytest.approx(at(fix.utc).speed)


def test_the_ride_ends_or_begins_again() -> None:
    once, again = simulated.truth(ride(loop=False)), simulated.truth(ride())
    assert once(1_800_000_500.0) == once(1_800_009_999.0)
    assert once(1_800_009_999.0).speed == 0
    assert again(1_800_000_020.0) == again(1_800_000_020.0 + 185)


def test_noise_belongs_to_the_second_and_the_seed() -> None:
    def run(seed: int) -> list[Fix]:
        clock = ManualClock()
        noisy = ride(sigma_m=3.0, seed=seed)
        return asyncio.run(play(simulated.open_receiver(noisy, clock), clock, 5))

    assert run(1) == run(1) != run(2)
    assert run(1)[0].sigma == 3.0


async def _faulty(clock: ManualClock, fault: str) -> AsyncIterator[Fix]:
    async with simulated.open_receiver(ride(), clock) as receiver:
        n = 0
        async for fix in receiver.fixes():
            yield fix
            n += 1
            if n == 2:
                getattr(receiver, fault)(*([150.0] if fault == "jump" else []))


async def _run(fault: str) -> list[Fix]:
    clock, fixes = ManualClock(), []

    async def listen() -> None:
        async for fix in _faulty(clock, fault):
            fixes.append(fix)  # noqa: PERF401 - cut off, and what came before counts

    task = asyncio.create_task(listen())
    await clock.advance(8)
    if task.done():
        await task
    task.cancel()
    await asyncio.wait([task])
    return fixes


@pytest.mark.parametrize("fault", ["unplug", "silence"])
def test_unplugging_and_silence_are_errors(fault: str) -> None:
    with pytest.raises(DriverError, match=r"unplugged|silent"):
        asyncio.run(_run(fault))


def test_a_lost_fix_is_said_to_be_none() -> None:
    assert [fix.mode for fix in asyncio.run(_run("lose_fix"))][:4] == [3, 3, 1, 1]


def test_a_jump_moves_every_fix() -> None:
    fixes = asyncio.run(_run("jump"))
    assert fixes[1].lat is not None
    assert fixes[2].lat is not None
    assert fixes[2].lat - fixes[1].lat == pytest.approx(150 / 111_195, rel=0.1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("t,lat\n", "two points"),
        ("t,lat,lon\n1,2\n3,4\n", "must be a CSV"),
        ("t,lat,lon\n1,2,3\n", "two"),
    ],
)
def test_a_ride_that_is_none_is_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "ride.csv"
    path.write_text(text)
    with pytest.raises(DriverError, match=why):
        simulated.truth(ride(track=str(path)))
