from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from agent.alerting import sos
from agent.alerting.panel_service import PanelService
from agent.alerting.sos_service import SosService
from agent.contract.errors import Rejected
from agent.contract.events import AlertEvent, Sos
from agent.store import refuge
from drivers.panel import simulated
from drivers.panel.simulated import SimulatedPanel

OpenBench = Callable[..., AbstractAsyncContextManager[Any]]


@dataclass
class Spot:
    t: float
    lat: float = 31.2304
    lon: float = 121.4737
    acc: float | None = 7.0
    speed: float | None = 3.5
    course: float | None = 90.0


# --- the event ------------------------------------------------------------------------------------


def test_the_last_position_is_told_with_its_age_however_old() -> None:
    told = sos.event("raised", "s1", Spot(t=100.0), now=4_000.0, fix_t=1_800_000_000_000)
    assert told.position is not None
    assert (told.position.lat, told.position.lon, told.position.acc) == (31.2304, 121.4737, 7.0)
    assert told.position.fix_t == 1_800_000_000_000
    assert told.position_age_s == 3900.0


def test_without_any_position_the_sos_goes_out_all_the_same() -> None:
    assert sos.event("raised", "s1", None, now=1.0, fix_t=0) == Sos(sos_id="s1", state="raised")


# --- the service and the panel --------------------------------------------------------------------


@dataclass
class Kit:
    bench: Any
    sos: SosService
    panel: SimulatedPanel
    confirmed: set[int]
    spot: Spot | None = None
    plugged: bool = True
    actions: list[str] = field(default_factory=list)

    async def act(self, action: str) -> None:
        self.actions.append(action)
        if len(self.actions) == 1:
            raise Rejected("not_now", "somebody else was quicker")

    def soses(self) -> list[Sos]:
        return [body for body in self.bench.recorder.bodies if isinstance(body, Sos)]


@asynccontextmanager
async def kit(open_bench: OpenBench) -> AsyncIterator[Kit]:
    async with open_bench() as bench:
        confirmed: set[int] = set()
        service = SosService(
            bench.database,
            bench.clock,
            bench.recorder,
            bench.alerting,
            bench.signals,
            lambda: here.spot,
            confirmed.__contains__,
            lambda: None,
        )
        here = Kit(bench, service, SimulatedPanel(bench.clock), confirmed)

        @asynccontextmanager
        async def open_panel() -> AsyncIterator[SimulatedPanel]:
            async with simulated.open_panel(simulated.Settings(), bench.clock) as panel:
                here.panel = panel
                yield panel

        panel = PanelService(
            open_panel,
            bench.clock,
            bench.health,
            bench.alerting,
            service,
            bench.signals,
            sos_hold_s=3.0,
            orders=here.act,
        )
        async with asyncio.TaskGroup() as group:
            task = group.create_task(bench.supervisor.run([service, panel]))
            await bench.quiet()
            yield here
            task.cancel()


def test_holding_the_button_raises_an_sos_and_holding_it_again_ends_it(
    open_bench: OpenBench,
) -> None:
    async def run() -> None:
        async with kit(open_bench) as k:
            k.spot = Spot(t=k.bench.clock.monotonic() - 12)
            k.panel.press("sos", held_s=3.2)
            await k.bench.until(k.soses)
            (raised,) = k.soses()
            assert (raised.state, raised.position_age_s) == ("raised", 12.0)
            await k.bench.until(lambda: "chime sos" in k.bench.heard(), passing=0.1)
            assert (await k.sos.raised()).by == "panel"
            k.panel.press("sos", held_s=4.0)  # in trouble, people press twice
            await k.bench.quiet()
            assert len(k.soses()) == 1
            await k.bench.clock.advance(10)
            k.panel.press("sos", held_s=4.0)
            await k.bench.until(lambda: len(k.soses()) == 2)
            assert k.soses()[1].state == "cancelled"
            assert k.soses()[1].sos_id == raised.sos_id
            assert await k.sos.raised() is None
            assert await k.bench.alerting.open_alerts() == []
            assert k.bench.told()[-1] == (f"sos:{raised.sos_id}", "expired")

    asyncio.run(run())


def test_it_is_raised_while_the_button_is_still_held_and_once(open_bench: OpenBench) -> None:
    async def run() -> None:
        async with kit(open_bench) as k:
            k.panel.hold("sos")
            await k.bench.quiet()
            await k.bench.clock.advance(2.9)
            assert k.soses() == []
            await k.bench.until(k.soses, passing=0.1)
            k.panel.press("sos", held_s=30.0)  # let go at last
            await k.bench.quiet()
            assert [body.state for body in k.soses()] == ["raised"]

    asyncio.run(run())


def test_a_short_press_raises_nothing(open_bench: OpenBench) -> None:
    async def run() -> None:
        async with kit(open_bench) as k:
            k.panel.hold("sos")
            await k.bench.quiet()
            await k.bench.clock.advance(1)
            k.panel.press("sos", held_s=1.0)
            await k.bench.quiet()
            await k.bench.clock.advance(10)
            assert k.soses() == []

    asyncio.run(run())


def test_a_tap_within_the_window_takes_it_back_and_later_it_does_not(open_bench: OpenBench) -> None:
    async def run() -> None:
        async with kit(open_bench) as k:
            k.panel.press("sos", held_s=3.0)
            await k.bench.until(k.soses)
            await k.bench.clock.advance(9)
            k.panel.press("sos", held_s=0.2)
            await k.bench.until(lambda: len(k.soses()) == 2)
            assert k.soses()[1].state == "cancelled"
            k.panel.press("sos", held_s=3.0)
            await k.bench.until(lambda: len(k.soses()) == 3)
            await k.bench.clock.advance(11)
            k.panel.press("sos", held_s=0.2)
            await k.bench.quiet()
            assert len(k.soses()) == 3
            assert await k.sos.raised() is not None

    asyncio.run(run())


def test_the_buzzer_is_short_each_second_until_the_back_end_has_it_and_long_then(
    open_bench: OpenBench,
) -> None:
    async def run() -> None:
        async with kit(open_bench) as k:
            await k.sos.raise_sos("cli")
            k.confirmed.clear()
            for _ in range(2):
                await k.bench.until(lambda: "sos" in k.bench.signals._buzzers, passing=0.05)
                await k.bench.until(lambda: "sos" not in k.bench.signals._buzzers, passing=0.05)
            k.confirmed.update(range(1, 100))
            await k.bench.until(lambda: k.panel.lights["sos"] == "on", passing=0.1)
            assert "sos" in k.bench.signals._buzzers
            await k.bench.clock.advance(0.9)
            assert "sos" in k.bench.signals._buzzers
            await k.bench.until(lambda: "sos" not in k.bench.signals._buzzers, passing=0.2)

    asyncio.run(run())


def test_the_light_blinks_until_the_back_end_has_the_sos(open_bench: OpenBench) -> None:
    async def run() -> None:
        async with kit(open_bench) as k:
            await k.bench.until(lambda: k.panel.lights.get("sos") == "off")
            k.panel.press("sos", held_s=3.0)
            await k.bench.until(lambda: k.panel.lights["sos"] == "blink")
            await k.bench.clock.advance(5)
            assert k.panel.lights["sos"] == "blink"
            k.confirmed.add(
                next(n for n, b in enumerate(k.bench.recorder.bodies, 1) if isinstance(b, Sos))
            )
            await k.bench.until(lambda: k.panel.lights["sos"] == "on", passing=0.5)
            await k.sos.cancel("page")
            await k.bench.until(lambda: k.panel.lights["sos"] == "off", passing=0.2)

    asyncio.run(run())


def test_raising_twice_is_one_sos_and_it_survives_a_restart(open_bench: OpenBench) -> None:
    async def run() -> None:
        async with kit(open_bench) as k:
            first = await k.sos.raise_sos("cli")
            assert await k.sos.raise_sos("page") == first
            assert len(k.soses()) == 1
        async with kit(open_bench) as k:
            assert (await k.sos.raised()).sos_id == first
            await k.bench.until(lambda: k.panel.lights.get("sos") == "blink")
            assert await k.sos.raise_sos("panel") == first
            await k.sos.cancel("page")
            await k.sos.cancel("page")
            assert [body.state for body in k.soses()] == ["cancelled"]

    asyncio.run(run())


def test_the_sos_is_dated_when_the_button_was_released(open_bench: OpenBench) -> None:
    async def run() -> None:
        async with kit(open_bench) as k:
            k.spot = Spot(t=980.0)
            await k.sos.raise_sos("panel", t=990.0)
            assert k.bench.recorder.times[0] == 990.0
            assert k.soses()[0].position_age_s == 10.0
            assert k.soses()[0].position.fix_t == int(k.bench.clock.wall_at(980.0) * 1000)

    asyncio.run(run())


def test_a_tap_on_either_button_says_heard(open_bench: OpenBench) -> None:
    async def run() -> None:
        async with kit(open_bench) as k:
            for button, alert_id in (("ack", "a"), ("sos", "b")):
                await k.bench.alerting.raise_alert("new_order", alert_id)
                await k.bench.until(lambda: k.panel.lights.get("alert") == "blink")
                k.panel.press(button, held_s=0.2)
                await k.bench.until(lambda: k.panel.lights["alert"] == "off")
            answered = [b for b in k.bench.recorder.bodies if isinstance(b, AlertEvent) and b.by]
            assert [(b.alert_id, b.by) for b in answered] == [("a", "panel"), ("b", "panel")]
            assert k.soses() == []

    asyncio.run(run())


def test_buttons_accept_and_make_ready_by_a_tap_and_reject_by_holding(
    open_bench: OpenBench,
) -> None:
    async def run() -> None:
        async with kit(open_bench) as k:
            for button, held_s in (
                ("accept", 0.1),
                ("reject", 0.1),
                ("reject", 3.0),
                ("ready", 0.1),
            ):
                k.panel.press(button, held_s)
            await k.bench.until(lambda: len(k.actions) == 3)
            assert k.actions == ["accepted", "rejected", "ready"]

    asyncio.run(run())


def test_a_panel_that_was_unplugged_shows_the_newest_lights_when_it_is_back(
    open_bench: OpenBench,
) -> None:
    async def run() -> None:
        async with kit(open_bench) as k:
            before = k.panel
            before.unplug()
            await k.bench.until(lambda: "service.panel" in k.bench.conditions())
            await k.bench.alerting.raise_alert("new_order", "a")
            await k.bench.until(lambda: k.panel is not before, passing=0.2)
            await k.bench.until(lambda: k.panel.lights.get("alert") == "blink")
            assert before.lights.get("alert") == "off"
            assert "service.panel" not in k.bench.conditions()

    asyncio.run(run())


def test_a_press_waits_for_a_disk_that_refuses(
    open_bench: OpenBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refuge, "LIMIT_BYTES", 0)  # nor is there room in memory

    async def run() -> None:
        async with kit(open_bench) as k:
            await k.bench.database.read(lambda tx: tx.execute("PRAGMA query_only = ON"))
            k.panel.press("sos", held_s=5.0)
            await k.bench.until(lambda: "panel.store" in k.bench.conditions(), passing=0.5)
            await k.bench.database.read(lambda tx: tx.execute("PRAGMA query_only = OFF"))
            await k.bench.until(lambda: "panel.store" not in k.bench.conditions(), passing=0.5)
            assert (await k.sos.raised()) is not None

    asyncio.run(run())
