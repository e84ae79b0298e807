"""The serial driver over a pty that a thread feeds as a receiver would."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from agent.core.clock import SystemClock
from agent.core.health import Health
from agent.core.supervisor import Supervisor
from agent.positioning.profiles import profile
from agent.positioning.service import PositioningService
from drivers.base import DriverError, Fix
from drivers.gps import serial, tuning
from tests.drivers.gps.talker import START, Talker
from tests.support import ListRecorder, until


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A talker speaks five times a second and answers nothing."""
    monkeypatch.setattr(tuning, "ANSWER_S", 0.1)


@pytest.fixture
def talker() -> Iterator[Talker]:
    talker = Talker()
    yield talker
    talker.unplug()


async def take(settings: serial.Settings, count: int, into: list[Fix] | None = None) -> list[Fix]:
    fixes: list[Fix] = [] if into is None else into
    async with serial.open_receiver(settings, SystemClock()) as receiver:
        async for fix in receiver.fixes():
            fixes.append(fix)
            if len(fixes) == count:
                break
    return fixes


def test_fixes_come_with_the_second_they_were_received_at(talker: Talker) -> None:
    fixes = asyncio.run(take(serial.Settings(device=talker.device, baud=115200), 5))
    whole = fixes[-1]
    assert whole.lat == pytest.approx(31.0, abs=0.01)
    assert whole.speed == pytest.approx(5.0, abs=1e-3)
    assert whole.mode == 3
    assert whole.utc is not None
    assert whole.utc > START
    assert all(a.t < b.t for a, b in pairwise(fixes))


def test_the_baud_rate_is_found(talker: Talker) -> None:
    assert asyncio.run(take(serial.Settings(device=talker.device), 2))


def test_a_receiver_that_talks_no_nmea_is_not_taken_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tuning, "LISTEN_S", 0.3)
    binary = Talker(say=lambda _: b"\xb5\x62\x01\x07" * 20)
    with pytest.raises(DriverError, match="no NMEA at 115200, 38400"):
        asyncio.run(take(serial.Settings(device=binary.device), 1))
    binary.unplug()


def test_a_line_on_which_nothing_comes_is_said_to_be_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tuning, "LISTEN_S", 0.1)
    mute = Talker(say=lambda _: b"")
    with pytest.raises(DriverError, match="sends nothing"):
        asyncio.run(take(serial.Settings(device=mute.device), 1))
    mute.unplug()


async def _after_the_first(talker: Talker, what: str) -> None:
    settings = serial.Settings(device=talker.device, baud=38400, silence_s=0.6)
    async with serial.open_receiver(settings, SystemClock()) as receiver:
        async for _ in receiver.fixes():
            if what == "silence":
                talker.silent.set()
            else:
                talker.unplug()


def test_silence_is_an_error_that_says_what_to_check(talker: Talker) -> None:
    with pytest.raises(DriverError, match="has sent nothing for 1 s; check its power"):
        asyncio.run(_after_the_first(talker, "silence"))


def test_unplugging_is_an_error_that_says_what_to_check(talker: Talker) -> None:
    with pytest.raises(DriverError, match="is it plugged in"):
        asyncio.run(_after_the_first(talker, "unplug"))


def test_a_pattern_finds_the_one_device_that_fits_it(talker: Talker, tmp_path: Path) -> None:
    pattern = f"{tmp_path}/usb-*GNSS*"
    with pytest.raises(DriverError, match="no GPS receiver fits"):
        asyncio.run(take(serial.Settings(device=pattern), 1))
    (tmp_path / "usb-u-blox_GNSS-if00").symlink_to(talker.device)
    assert asyncio.run(take(serial.Settings(device=pattern), 1))
    (tmp_path / "usb-other_GNSS-if00").symlink_to(talker.device)
    with pytest.raises(DriverError, match=r"2 devices fit .* name one of them"):
        asyncio.run(take(serial.Settings(device=pattern), 1))


def test_a_device_that_is_not_there_is_an_error() -> None:
    with pytest.raises(DriverError, match="/dev/nowhere cannot be used"):
        asyncio.run(take(serial.Settings(device="/dev/nowhere", baud=9600), 1))


def test_it_can_be_opened_again_after_it_was_closed(talker: Talker) -> None:
    settings = serial.Settings(device=talker.device, baud=9600)
    assert asyncio.run(take(settings, 1))
    assert asyncio.run(take(settings, 1))


def test_cancelling_closes_the_port(talker: Talker) -> None:
    async def main() -> None:
        settings = serial.Settings(device=talker.device, baud=9600)
        fixes: list[Fix] = []
        task = asyncio.create_task(take(settings, 1000, fixes))
        await until(lambda: fixes)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert await take(settings, 1)

    asyncio.run(main())


def test_a_receiver_that_comes_back_under_another_name_is_used_without_a_restart(
    tmp_path: Path,
) -> None:
    """Pulled out and plugged in again: the same service goes on, and says meanwhile what is up."""

    async def main() -> None:
        clock = SystemClock()
        health = Health(clock)
        wanted = serial.Settings(device=f"{tmp_path}/usb-*GNSS*", silence_s=1.0)
        service = PositioningService(
            open_receiver=lambda: serial.open_receiver(wanted, clock),
            clock=clock,
            recorder=ListRecorder(),
            health=health,
            profile=profile("seed"),
        )

        def texts() -> str:
            return " ".join(
                f"{condition.code} {condition.text}" for condition in health.conditions()
            )

        async def plug(name: str) -> Talker:
            talker, since = Talker(), clock.monotonic()
            (tmp_path / name).symlink_to(talker.device)
            await until(lambda: service.last and service.last.t > since, f"fixes of {name}")
            assert "service.positioning" not in texts()
            assert service.view().where == f"{tmp_path}/{name}"
            return talker

        async with asyncio.timeout(60):
            task = asyncio.create_task(Supervisor(clock, health).run([service]))
            await until(lambda: "no GPS receiver fits" in texts(), "there is none yet")
            for name in ("usb-u-blox_GNSS-if00", "usb-u-blox_GNSS_2-if00"):
                talker = await plug(name)
                talker.unplug()
                (tmp_path / name).unlink()
                await until(lambda: "is it plugged in" in texts(), "it was pulled out")
            await until(lambda: "gps.no_fix no GPS fix: nothing comes" in texts())
            task.cancel()
            await asyncio.wait([task])

    asyncio.run(main())
