"""The GPIO driver on a chip of the kernel's own simulator (gpio-sim): real lines, real edges.

Skipped where the module is not loaded.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.core.clock import SystemClock
from drivers.base import DriverError
from drivers.panel import gpio
from tests.support import until, wait

CONFIG = Path("/sys/kernel/config/gpio-sim")
NAMES = ("BTN_ACK", "BTN_SOS", "LED_ALERT", "LED_SOS", "BUZZER")


class Chip:
    """Lines 0 and 1 are buttons with a pull-up, 2 and 3 lights, 4 the buzzer."""

    def __init__(self) -> None:
        self._config = CONFIG / f"edge{uuid.uuid4().hex[:6]}"
        bank = self._config / "bank0"
        bank.mkdir(parents=True)
        (bank / "num_lines").write_text("8")
        for n, name in enumerate(NAMES):
            (bank / f"line{n}").mkdir()
            (bank / f"line{n}" / "name").write_text(name)
        (self._config / "live").write_text("1")
        chip = (bank / "chip_name").read_text().strip()
        device = (self._config / "dev_name").read_text().strip()
        self.path = f"/dev/{chip}"
        self._lines = Path("/sys/devices/platform") / device / chip
        wait(Path(self.path).exists, "udev makes the device")

    def pull(self, line: int, *, down: bool) -> None:
        (self._lines / f"sim_gpio{line}" / "pull").write_text("pull-down" if down else "pull-up")

    def value(self, line: int) -> str:
        return (self._lines / f"sim_gpio{line}" / "value").read_text().strip()

    def remove(self) -> None:
        (self._config / "live").write_text("0")
        for n in range(len(NAMES)):
            (self._config / "bank0" / f"line{n}").rmdir()
        (self._config / "bank0").rmdir()
        self._config.rmdir()


@pytest.fixture
def chip() -> Iterator[Chip]:
    pytest.importorskip("gpiod")
    if not CONFIG.is_dir():
        pytest.skip("no gpio-sim; as root: modprobe gpio-sim")
    made = Chip()
    yield made
    made.remove()


@asynccontextmanager
async def panel(chip: Chip, **more: object) -> AsyncIterator[gpio.GpioPanel]:
    settings = gpio.Settings(
        chip=chip.path,
        buttons={"ack": 0, "sos": "BTN_SOS"},
        lights={"alert": "LED_ALERT", "sos": 3},
        buzzer="BUZZER",
        **more,
    )
    async with gpio.open_panel(settings, SystemClock()) as opened:
        yield opened


def test_presses_come_with_how_long_they_were_held(chip: Chip) -> None:
    async def run() -> None:
        async with panel(chip, debounce_ms=5) as opened:
            presses = opened.presses()
            for line, name, held_s in ((0, "ack", 0.1), (1, "sos", 0.6)):
                before = SystemClock().monotonic()
                chip.pull(line, down=True)
                await asyncio.sleep(held_s)
                assert not (await asyncio.wait_for(anext(presses), 20)).released
                chip.pull(line, down=False)
                press = await asyncio.wait_for(anext(presses), 20)
                assert press.button == name
                assert press.held_s >= 0.8 * held_s
                assert before < press.t <= SystemClock().monotonic()

    asyncio.run(run())


def test_a_bouncing_button_is_one_press(chip: Chip) -> None:
    async def run() -> None:
        async with panel(chip, debounce_ms=200) as opened:
            presses = opened.presses()
            for n in range(21):
                chip.pull(0, down=n % 2 == 0)
            await asyncio.sleep(1)
            chip.pull(0, down=False)
            assert not (await asyncio.wait_for(anext(presses), 20)).released
            press = await asyncio.wait_for(anext(presses), 20)
            assert press.button == "ack"
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(presses), 1)

    asyncio.run(run())


def test_lights_shine_blink_and_go_out_and_the_buzzer_hums(chip: Chip) -> None:
    def is_(line: int, value: str) -> Callable[[], bool]:
        return lambda: chip.value(line) == value

    async def run() -> None:
        async with panel(chip) as opened:
            await opened.light("sos", "on")
            await opened.buzz(on=True)
            await opened.light("unknown", "on")
            assert (chip.value(2), chip.value(3), chip.value(4)) == ("0", "1", "1")
            await opened.buzz(on=False)
            assert chip.value(4) == "0"
            await opened.light("alert", "blink")
            for value in ("1", "0", "1", "0"):
                await until(is_(2, value), "it blinks")
            await opened.light("alert", "off")
            assert chip.value(2) == "0"
            await opened.light("alert", "blink")
            await opened.buzz(on=True)
        assert [chip.value(line) for line in (2, 3, 4)] == ["0", "0", "0"]

    asyncio.run(run())


def test_a_line_that_another_program_holds_is_told(chip: Chip) -> None:
    async def run() -> None:
        async with panel(chip):
            with pytest.raises(DriverError, match="is another program using the line"):
                async with panel(chip):
                    pass

    asyncio.run(run())


def test_a_line_that_does_not_exist_is_told(chip: Chip) -> None:
    async def run() -> None:
        settings = gpio.Settings(chip=chip.path, buttons={"ack": "GPIO999"})
        with pytest.raises(DriverError, match="no line of that name"):
            async with gpio.open_panel(settings, SystemClock()):
                pass

    asyncio.run(run())
