"""When other people's networks are told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.contract.events import Body, Scan
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.positioning.surroundings_service import SurroundingsService
from drivers.base import AccessPoint, Cell, Sighting


class Radio:
    def __init__(self, clock: ManualClock) -> None:
        self.rejected: Counter[str] = Counter()
        self.clock = clock
        self.there = True

    async def look(self) -> Sighting:
        wifi = (AccessPoint("24:A4:3C:01:02:03", 82, 6),) if self.there else ()
        cell = Cell(460, 0, 6354, 7) if self.there else None
        return Sighting(self.clock.monotonic(), wifi, cell)


def test_they_are_told_without_a_fix_and_only_then() -> None:
    async def main() -> None:
        clock = ManualClock()
        radio = Radio(clock)
        told: list[Body] = []
        fix_at: list[float | None] = [None]

        class Notes:
            async def record(self, body: Body, *, t: float | None = None) -> int:
                told.append(body)
                return len(told)

        @asynccontextmanager
        async def opened() -> AsyncIterator[Radio]:
            yield radio

        service = SurroundingsService(opened, clock, Notes(), lambda: fix_at[0], 60.0)  # type: ignore[arg-type]
        running = asyncio.ensure_future(service.run(Heartbeat("s", clock, Health(clock))))
        await clock.advance(59)
        assert told == []
        await clock.advance(2)
        (scan,) = told
        assert isinstance(scan, Scan)
        assert scan.wifi[0].bssid == "24:A4:3C:01:02:03"
        assert scan.cell is not None
        fix_at[0] = clock.monotonic() + 50
        await clock.advance(60)
        assert len(told) == 1, "there is a fix"
        radio.there = False
        await clock.advance(120)
        assert len(told) == 1, "there is nothing to tell"
        radio.there = True
        await clock.advance(60)
        assert len(told) == 2
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())
