"""Buttons and lights. The GPIO driver itself needs a chip: here only what it does without one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.clock import ManualClock, SystemClock
from drivers import catalog
from drivers.base import DriverError, Press
from drivers.panel import gpio, simulated
from drivers.panel.holds import Holds


def test_a_press_is_told_at_its_release_with_how_long_it_was_held() -> None:
    holds = Holds()
    assert holds.edge("sos", 10.0, down=True) == Press(10.0, "sos", 0.0, released=False)
    assert holds.edge("ack", 11.0, down=True) == Press(11.0, "ack", 0.0, released=False)
    assert holds.edge("sos", 13.5, down=False) == Press(13.5, "sos", 3.5)
    assert holds.edge("ack", 13.6, down=False) == Press(13.6, "ack", pytest.approx(2.6))


def test_a_release_without_its_press_is_no_press() -> None:
    assert Holds().edge("ack", 1.0, down=False) is None


def test_when_a_release_was_lost_the_hold_begins_anew() -> None:
    holds = Holds()
    holds.edge("sos", 0.0, down=True)
    holds.edge("sos", 100.0, down=True)
    assert holds.edge("sos", 100.2, down=False) == Press(100.2, "sos", pytest.approx(0.2))


@given(st.lists(st.tuples(st.sampled_from(["ack", "sos"]), st.booleans(), st.floats(0, 1e6))))
def test_any_edges_give_no_more_presses_than_releases_and_no_negative_hold(
    edges: list[tuple[str, bool, float]],
) -> None:
    holds = Holds()
    presses = [holds.edge(name, t, down=down) for name, down, t in edges]
    found = [press for press in presses if press and press.released]
    assert len(found) <= min(sum(d for _, d, _ in edges), sum(not d for _, d, _ in edges))
    assert all(press.held_s >= 0 for press in found)


def test_the_simulator_is_pressed_lit_and_unplugged() -> None:
    async def run() -> None:
        clock = ManualClock()
        async with simulated.open_panel(simulated.Settings(), clock) as panel:
            panel.press("sos", 3.0)
            panel.press("ack")
            panel.unplug()
            presses = panel.presses()
            assert await anext(presses) == Press(1000.0, "sos", 3.0)
            assert await anext(presses) == Press(1000.0, "ack", 0.1)
            with pytest.raises(DriverError, match="plug it in"):
                await anext(presses)
            await panel.light("alert", "blink")
            await panel.buzz(on=True)
            assert (panel.lights, panel.buzzing) == ({"alert": "blink"}, True)

    asyncio.run(run())


def open_chip(**settings: object) -> None:
    async def run() -> None:
        async with gpio.open_panel(gpio.Settings(**settings), SystemClock()):
            pass

    asyncio.run(run())


def test_a_missing_chip_says_where_to_look() -> None:
    pytest.importorskip("gpiod")
    with pytest.raises(DriverError, match=r"no GPIO chip /dev/gpiochip77 .*gpioinfo"):
        open_chip(chip="/dev/gpiochip77", buttons={"ack": 1})


def test_what_is_no_chip_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("gpiod")
    (tmp_path / "chip").write_text("")
    with pytest.raises(DriverError, match="chip"):
        open_chip(chip=str(tmp_path / "chip"), buttons={"ack": 1})


def test_its_settings_read_from_a_table() -> None:
    table = {"buttons": {"sos": "GPIO27", "ack": 17}, "lights": {"sos": 23}, "buzzer": 24}
    settings = msgspec.convert(table, gpio.Settings)
    assert gpio.outputs(settings) == [23, 24]


def test_the_catalogue_finds_both() -> None:
    assert catalog.load("panel", "gpio") is gpio.DRIVER
    assert catalog.load("panel", "simulated") is simulated.DRIVER
