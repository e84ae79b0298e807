"""The service between a simulated receiver and the agent."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.contract.events import Body, ErrorEvent, Position
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.core.supervisor import Supervisor
from agent.positioning.profiles import PROFILES
from agent.positioning.service import RETRY_S, PositioningService, Sink
from agent.positioning.tracker import Estimate
from drivers.base import DriverError, Fix, GpsReceiver
from drivers.gps import simulated

RIDE = Path(__file__).parents[3] / "config" / "demo" / "ride.csv"


class Recorder:
    def __init__(self) -> None:
        self.events: list[tuple[Body, float | None]] = []

    async def record(self, body: Body, *, t: float | None = None) -> int:
        self.events.append((body, t))
        return len(self.events)

    def put(self, tx: Any, body: Body, *, t: float | None = None) -> int:
        raise AssertionError

    def positions(self) -> list[Position]:
        return [body for body, _ in self.events if isinstance(body, Position)]


class Kit:
    """A rider's positioning under a supervisor, with the clock in hand."""

    def __init__(self, sinks: Sequence[Sink] = (), **changes: Any) -> None:
        self.clock = ManualClock()
        self.health = Health(self.clock)
        self.recorder = Recorder()
        self.receivers: list[simulated.SimulatedReceiver] = []
        given = {"started_at": self.clock.wall(), "sigma_m": 0.5} | changes
        self.settings = simulated.Settings(track=str(RIDE), **given)
        self.service = PositioningService(
            open_receiver=self._open,
            clock=self.clock,
            recorder=self.recorder,
            health=self.health,
            profile=PROFILES["seed"],
            sinks=sinks,
        )

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[simulated.SimulatedReceiver]:
        async with simulated.open_receiver(self.settings, self.clock) as receiver:
            self.receivers.append(receiver)
            yield receiver

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Kit]:
        task = asyncio.create_task(Supervisor(self.clock, self.health).run([self.service]))
        yield self
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    def codes(self) -> set[str]:
        return {condition.code for condition in self.health.conditions()}


def test_a_ride_is_told_in_few_messages_and_with_the_time_of_its_fixes() -> None:
    async def main() -> None:
        async with Kit().running() as kit:
            await kit.clock.advance(184)
            positions = kit.recorder.positions()
            assert 15 < len(positions) < 40
            assert {p.reason for p in positions} >= {"wake", "start", "stop", "turned", "heartbeat"}
            for body, t in kit.recorder.events:
                assert isinstance(body, Position)
                assert t is not None
                assert body.fix_t == pytest.approx(kit.clock.wall_at(t) * 1000, abs=2)
            assert kit.service.last is not None
            assert kit.service.last.t == pytest.approx(kit.clock.monotonic(), abs=1.1)
            assert not kit.codes()

    asyncio.run(main())


def test_no_fix_is_a_condition_within_seconds_and_ends_with_a_fix() -> None:
    async def main() -> None:
        async with Kit().running() as kit:
            await kit.clock.advance(5)
            kit.receivers[0].lose_fix()
            await kit.clock.advance(2)
            assert not kit.codes()
            await kit.clock.advance(3)
            assert kit.codes() == {"gps.no_fix"}
            await kit.clock.advance(40)
            kit.receivers[0].lose_fix(lost=False)
            await kit.clock.advance(2)
            assert not kit.codes()
            assert kit.recorder.positions()[-1].reason == "wake"

    asyncio.run(main())


@pytest.mark.parametrize(("fault", "noticed_s"), [("unplug", 1.2), ("silence", 4.2)])
def test_a_receiver_that_is_gone_is_opened_again(fault: str, noticed_s: float) -> None:
    async def main() -> None:
        async with Kit().running() as kit:
            await kit.clock.advance(5)
            getattr(kit.receivers[0], fault)()
            old = kit.service.last
            await kit.clock.advance(noticed_s)
            assert kit.codes() == {"service.positioning"}
            assert kit.service.last is not None
            assert old is not None
            assert kit.service.last.t - old.t <= 1.0  # nothing stale was taken for fresh
            await kit.clock.advance(5)
            assert not kit.codes()
            assert len(kit.receivers) == 2

    asyncio.run(main())


def test_a_crossed_fence_is_told_at_once_and_in_one_message() -> None:
    async def main() -> None:
        crossed: list[Estimate] = []

        async def fence(estimate: Estimate) -> None:
            if len(crossed) < 1 and kit.recorder.positions() and estimate.speed > 5:
                crossed.append(estimate)
                assert await kit.service.report("fence") is not None

        kit = Kit([fence])
        assert await kit.service.report("fence") is None  # nowhere yet
        async with kit.running():
            await kit.clock.advance(30)
            at = [t for _, t in kit.recorder.events].count(crossed[0].t)
            assert at == 1
            assert "fence" in {p.reason for p in kit.recorder.positions()}

    asyncio.run(main())


def test_a_machine_without_time_gets_it_from_the_receiver() -> None:
    async def main() -> None:
        kit = Kit()
        kit.clock.tq = "none"
        async with kit.running():
            await kit.clock.advance(3)
            assert kit.clock.quality() == "gps"

    asyncio.run(main())


class Scripted:
    """A receiver that says what the test wants."""

    def __init__(self, kit: Kit, fixes: list[tuple[float, Fix | None]]) -> None:
        self.rejected: Counter[str] = Counter()
        self._kit = kit
        self._fixes = fixes

    async def fixes(self) -> AsyncIterator[Fix]:
        for wait, fix in self._fixes:
            await self._kit.clock.sleep(wait)
            if fix is None:
                self.rejected["bad checksum"] += 2
            else:
                yield fix


def _scripted(kit: Kit, fixes: list[tuple[float, Fix | None]]) -> None:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Scripted]:
        yield Scripted(kit, fixes)

    kit.service._open = opened


def test_what_was_thrown_away_is_told_at_most_once_a_minute() -> None:
    async def main() -> None:
        kit = Kit()
        one = [(0.0, None), (1.0, Fix(0.0, 1))]
        _scripted(kit, one * 130)
        async with kit.running():
            await kit.clock.advance(200)
            counts = [b.counts for b, _ in kit.recorder.events if isinstance(b, ErrorEvent)]
            assert counts == [{"bad checksum": 120}, {"bad checksum": 120}]

    asyncio.run(main())


def test_fixes_that_come_late_are_a_condition_and_no_positions() -> None:
    async def main() -> None:
        kit = Kit()
        wall, t = kit.clock.wall(), kit.clock.monotonic()
        late = [
            (1.0, Fix(t + n, 3, 31.2, 121.4, utc=wall + n - (0 if n == 1 else 2 + n * 0.5)))
            for n in range(1, 40)
        ]
        _scripted(kit, late)
        async with kit.running():
            await kit.clock.advance(20)
            assert kit.codes() == {"gps.stale"}
            assert len(kit.recorder.positions()) == 1

    asyncio.run(main())


def test_a_receiver_that_lost_an_era_does_not_date_positions() -> None:
    async def main() -> None:
        kit = Kit()
        wall, t = kit.clock.wall(), kit.clock.monotonic()
        _scripted(kit, [(1.0, Fix(t + 1, 3, 31.2, 121.4, utc=wall - 619_315_200))])
        async with kit.running():
            await kit.clock.advance(2)
            (position,) = kit.recorder.positions()
            assert position.fix_t == pytest.approx((wall + 1) * 1000)

    asyncio.run(main())


def test_a_receiver_that_was_gone_for_long_is_heard_soon_after_it_is_back() -> None:
    async def main() -> None:
        kit, plugged = Kit(), False
        opened = kit._open

        @asynccontextmanager
        async def open_receiver() -> AsyncIterator[GpsReceiver]:
            if not plugged:
                raise DriverError("unplugged")
            async with opened() as receiver:
                yield receiver

        kit.service._open = open_receiver
        async with kit.running():
            await kit.clock.advance(600)
            assert kit.codes() == {"service.positioning", "gps.no_fix"}
            assert kit.service.view().why == "unplugged"
            plugged = True
            await kit.clock.advance(RETRY_S + 1.5)
            assert not kit.codes()
            assert kit.service.view().open

    asyncio.run(main())


def test_without_a_link_the_messages_of_a_quarter_of_an_hour_are_told_anew() -> None:
    async def main() -> None:
        done: list[tuple[list[tuple[int, float]], list[Position]]] = []
        link = {"down": True}

        async def rewrite(
            old: Sequence[tuple[int, float]], new: Sequence[tuple[float, Body]], *, within_m: int
        ) -> bool:
            assert within_m == 10
            done.append((list(old), [body for _, body in new if isinstance(body, Position)]))
            return True

        kit = Kit()
        kit.service._waits = lambda: link["down"]
        kit.service._rewrite = rewrite
        async with kit.running():
            async with asyncio.timeout(60):
                while not done:
                    await kit.clock.advance(10)
            ((old, new),) = done
            assert len(new) < 0.8 * len(old)
            assert {body.reason for body in new} == {"trace"}
            known = [body for body, t in kit.recorder.events if t in {at for _, at in old}]
            assert len(known) == len(old)
            assert known[0].fix_t - 1000 <= new[0].fix_t <= known[0].fix_t
            link["down"] = False
            await kit.clock.advance(1000)
            assert len(done) == 1

    asyncio.run(main())


def test_a_profile_is_followed_for_a_while_and_a_low_battery_makes_it_coarser() -> None:
    async def main() -> None:
        charge = {"now": 1.0}
        kit = Kit()
        kit.service._battery = lambda: charge["now"]
        async with kit.running():
            await kit.clock.advance(5)
            kit.service.override(PROFILES["live"], 10.0)
            before = len(kit.recorder.events)
            await kit.clock.advance(10)
            assert len(kit.recorder.events) - before >= 9
            await kit.clock.advance(20)
            assert kit.recorder.positions()[-1].profile == "seed"
            charge["now"] = 0.1
            await kit.clock.advance(150)
            assert kit.recorder.positions()[-1].profile == "economy"

    asyncio.run(main())
