"""The service under the rider's mode: what it tells of whom, and in which datum."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from agent.contract.events import Position
from agent.positioning.datum import convert
from agent.positioning.geodesy import distance_m, extrapolate
from agent.positioning.privacy import Blur, Grid, Mode
from agent.positioning.tracker import Estimate
from tests.agent.positioning.test_service import Kit


class Rider(Kit):
    """A kit whose mode the test sets; it notes every estimate that a sink was shown."""

    def __init__(self, mode: Mode = "delivery", datum: str = "wgs84") -> None:
        self.mode: Mode = mode
        self.seen: list[Estimate] = []
        super().__init__([self._see])
        service = self.service
        service._mode = lambda: self.mode
        service._new_blur = lambda: Blur(Grid(1000.0), b"secret", 120.0)
        service._datum = datum  # type: ignore[assignment]

    async def _see(self, estimate: Estimate) -> None:
        self.seen.append(estimate)

    def told(self, precision: str) -> list[Position]:
        return [p for p in self.recorder.positions() if p.precision == precision]


def test_an_idle_rider_is_a_cell_at_fixed_times_and_nobody_else_is_told() -> None:
    async def main() -> None:
        async with Rider("idle").running() as rider:
            assert await rider.service.report("fence") is None
            await rider.clock.advance(600)
            assert await rider.service.report("fence") is None
            cells = rider.told("cell")
            assert not rider.told("exact")
            assert not rider.seen
            assert len(cells) == 5
            assert [p.reason for p in cells] == ["wake", *["heartbeat"] * 4]
            steps = [b.fix_t - a.fix_t for a, b in pairwise(cells)]
            assert all(step == pytest.approx(120_000, abs=1100) for step in steps)
            for body in cells:
                assert (body.speed, body.course, body.acc, body.profile) == (
                    None,
                    None,
                    550,
                    "idle",
                )

    asyncio.run(main())


def test_the_switch_acts_with_the_next_fix_in_both_directions() -> None:
    async def main() -> None:
        async with Rider("delivery").running() as rider:
            await rider.clock.advance(30)
            rider.mode, switched = "idle", rider.clock.wall() * 1000
            await rider.clock.advance(1.1)
            assert rider.recorder.positions()[-1].precision == "cell"
            await rider.clock.advance(60)
            assert all(p.fix_t <= switched for p in rider.told("exact"))
            rider.mode = "delivery"
            await rider.clock.advance(1.1)
            newest = rider.recorder.positions()[-1]
            assert (newest.precision, newest.reason) == ("exact", "wake")
            rider.mode = "off"
            count = len(rider.recorder.events)
            await rider.clock.advance(30)
            assert len(rider.recorder.events) == count

    asyncio.run(main())


def test_a_sink_that_waits_while_it_becomes_stricter_lets_nothing_exact_out() -> None:
    async def main() -> None:
        rider = Rider("delivery")

        async def strict(_estimate: Estimate) -> None:
            rider.mode = "idle"

        rider.service._sinks = [strict]
        async with rider.running():
            await rider.clock.advance(10)
            assert not rider.told("exact")
            assert rider.told("cell")

    asyncio.run(main())


@pytest.mark.parametrize("mode", ["delivery", "idle"])
def test_gcj02_is_told_and_says_so(mode: Mode) -> None:
    """And the server's picture, extrapolated in GCJ-02, is within the agreed metres there."""

    async def main() -> None:
        plain, shifted = Rider(mode), Rider(mode, "gcj02")
        for rider in (plain, shifted):
            async with rider.running():
                await rider.clock.advance(184)
        bodies = shifted.recorder.positions()
        assert {p.datum for p in bodies} == {"gcj02"}
        first = plain.recorder.positions()[0]
        there = convert(first.lat, first.lon, "wgs84", "gcj02")
        assert distance_m(*there, bodies[0].lat, bodies[0].lon) < 0.2
        assert distance_m(first.lat, first.lon, bodies[0].lat, bodies[0].lon) > 400
        for estimate in shifted.seen:
            wall = shifted.clock.wall_at(estimate.t)
            (*_, known) = (p for p in bodies if p.fix_t <= wall * 1000 + 2)
            picture = extrapolate(
                known.lat, known.lon, known.speed, known.course, wall - known.fix_t / 1000
            )
            truth = convert(estimate.lat, estimate.lon, "wgs84", "gcj02")
            assert distance_m(*picture, *truth) < 10
        assert (mode == "delivery") == bool(shifted.seen)

    asyncio.run(main())


def test_an_sos_knows_the_place_in_the_datum_of_the_others() -> None:
    async def main() -> None:
        async with Rider("idle", "gcj02").running() as rider:
            await rider.clock.advance(5)
            last, found = rider.service.last, rider.service.whereabouts()
            assert last is not None
            assert found is not None
            assert (found.lat, found.lon) == convert(last.lat, last.lon, "wgs84", "gcj02")
            rider.service.forget()
            assert rider.service.whereabouts() is None

    asyncio.run(main())
