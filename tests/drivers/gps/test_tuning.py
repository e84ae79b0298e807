"""Receivers on a pty that garble at the wrong rate are found, quietened and made faster."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from agent.core.clock import SystemClock
from drivers.base import About, DriverError, Fix
from drivers.gps import line, mtk, serial, tuning, ubx
from tests.drivers.gps.chips import MAKERS, Airoha, Chip, Ublox
from tests.support import until


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chips' seconds last 0.1 s."""
    monkeypatch.setattr(tuning, "LISTEN_S", 0.5)
    monkeypatch.setattr(tuning, "ANSWER_S", 0.4)
    monkeypatch.setattr(tuning, "SETTLE_S", 0.03)
    monkeypatch.setattr(line, "READ_S", 0.05)


@pytest.fixture
def chips() -> Iterator[list[Chip]]:
    made: list[Chip] = []
    yield made
    for chip in made:
        chip.unplug()


async def opened(chip: Chip, count: int = 3, **settings: object) -> tuple[About, list[Fix]]:
    wanted = serial.Settings(device=chip.device, **settings)  # type: ignore[arg-type]
    fixes: list[Fix] = []
    async with asyncio.timeout(60):
        async with serial.open_receiver(wanted, SystemClock()) as receiver:
            async for fix in receiver.fixes():
                fixes.append(fix)
                if len(fixes) >= count:
                    assert isinstance(receiver, serial.SerialReceiver)
                    return receiver.about, fixes
    raise AssertionError


def _rate_never_set(chip: Chip) -> bool:
    frames = ubx.Frames().feed(chip.received)
    return not [frame for frame in frames if frame.kind == ubx.CFG_PRT and frame.payload]


@pytest.mark.parametrize(
    ("maker", "baud"), [("M8", 9600), ("M8", 38400), ("M10", 38400), ("MediaTek", 9600)]
)
def test_a_slow_receiver_is_found_quietened_and_made_faster(
    chips: list[Chip], maker: str, baud: int
) -> None:
    chips.append(chip := MAKERS[maker](baud))
    about, fixes = asyncio.run(opened(chip))
    assert (chip.baud, about.baud, chip.gsv) == (115200, 115200, False)
    assert about.asked == ("no GSV", "1 Hz", "115200 baud")
    assert about.model is not None
    assert fixes[-1].mode == 3
    assert fixes[-1].satellites == 12


def test_a_receiver_that_is_fast_already_keeps_its_rate(chips: list[Chip]) -> None:
    chips.append(chip := Ublox(115200))
    about, _ = asyncio.run(opened(chip))
    assert about.asked == ("no GSV", "1 Hz")
    assert _rate_never_set(chip)


def test_an_airoha_receiver_is_quietened_and_keeps_its_rate(chips: list[Chip]) -> None:
    chips.append(chip := Airoha(38400))
    about, _ = asyncio.run(opened(chip))
    assert (about.asked, about.baud, chip.gsv) == (("no GSV", "1 Hz"), 38400, False)
    assert about.model == "PAIR AG3335A_V2.3.0 S N"


def test_a_receiver_that_answers_nothing_is_left_as_it_is(chips: list[Chip]) -> None:
    chips.append(chip := Chip(38400))
    about, fixes = asyncio.run(opened(chip))
    assert (about.model, about.asked, about.baud) == (None, (), 38400)
    assert len(fixes) == 3
    asked = ubx.encode(ubx.MON_VER) + mtk.encode(mtk.WHO_PMTK) + mtk.encode(mtk.WHO_PAIR)
    assert chip.received == asked  # and was told nothing


def test_a_receiver_that_refuses_is_read_as_it_is(chips: list[Chip]) -> None:
    chips.append(chip := Ublox(9600, fault="refuses"))
    about, fixes = asyncio.run(opened(chip))
    assert (about.asked, about.baud, len(fixes)) == ((), 9600, 3)


@pytest.mark.parametrize(
    ("fault", "at", "protocol"),
    [("stubborn", 9600, "18.00"), ("stubborn", 9600, "34.10"), ("lost", 57600, "18.00")],
)
def test_a_change_that_went_wrong_ends_at_a_rate_that_is_heard(
    chips: list[Chip], fault: str, at: int, protocol: str
) -> None:
    chips.append(chip := Ublox(9600, protocol=protocol, fault=fault))
    about, fixes = asyncio.run(opened(chip))
    assert (about.baud, chip.baud, len(fixes)) == (at, at, 3)
    assert "115200 baud" not in about.asked


@pytest.mark.parametrize("protocol", ["18.00", "34.10"])
def test_nothing_is_written_to_flash(chips: list[Chip], protocol: str) -> None:
    chip = Ublox(9600, protocol=protocol)
    chips.append(chip)
    asyncio.run(opened(chip))
    assert not chip.kept
    assert chip.layers <= {ubx.RAM}
    assert b"PAIR513" not in chip.received


def test_who_does_not_wish_it_is_not_tuned(chips: list[Chip]) -> None:
    chips.append(chip := Ublox(38400))
    about, _ = asyncio.run(opened(chip, tune=False))
    assert (about.baud, about.asked, chip.received) == (38400, (), b"")


def test_the_rate_that_was_set_is_tried_first_and_not_alone(chips: list[Chip]) -> None:
    chips.append(chip := Chip(9600))
    about, _ = asyncio.run(opened(chip, baud=4800, tune=False))
    assert about.baud == 9600


def test_a_receiver_whose_time_stands_still_is_no_receiver(chips: list[Chip]) -> None:
    chips.append(chip := Chip(115200))

    async def main() -> None:
        wanted = serial.Settings(device=chip.device, tune=False, silence_s=0.6)
        async with serial.open_receiver(wanted, SystemClock()) as receiver:
            async for _ in receiver.fixes():
                chip.moves = False

    with pytest.raises(DriverError, match="no new time or position for"):
        asyncio.run(asyncio.wait_for(main(), 30))


def test_a_receiver_that_forgot_its_settings_is_told_again(chips: list[Chip]) -> None:
    """It was unplugged: RAM is empty, and it comes back slow."""

    async def main() -> None:
        for _ in range(2):
            chips.append(chip := Ublox(9600))
            about, _fixes = await opened(chip)
            assert about.baud == 115200
            chip.unplug()

    asyncio.run(main())


def test_one_that_falls_silent_is_said_to_be(chips: list[Chip]) -> None:
    chips.append(chip := Chip(115200))

    async def main() -> None:
        wanted = serial.Settings(device=chip.device, tune=False, silence_s=0.6)
        async with serial.open_receiver(wanted, SystemClock()) as receiver:
            async for _ in receiver.fixes():
                chip.silent = True
                await until(lambda: chip.silent)

    with pytest.raises(DriverError, match="has sent nothing for"):
        asyncio.run(asyncio.wait_for(main(), 30))
