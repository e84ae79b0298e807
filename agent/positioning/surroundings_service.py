"""Access points and cells around, told while the receiver sees no sky and the rider delivers.

They say where somebody is, so they are taken only where an exact position may be.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from agent.contract.events import AccessPointSeen, CellSeen, Scan
from agent.core.clock import Clock
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from drivers.base import Sighting, Surroundings


class SurroundingsService:
    """`fix_at` is the monotonic second of the newest position, None without any."""

    name = "surroundings"

    def __init__(
        self,
        open_surroundings: Callable[[], AbstractAsyncContextManager[Surroundings]],
        clock: Clock,
        recorder: Recorder,
        fix_at: Callable[[], float | None],
        every_s: float,
    ) -> None:
        self._open = open_surroundings
        self._clock = clock
        self._recorder = recorder
        self._fix_at = fix_at
        self._every_s = every_s

    async def run(self, heartbeat: Heartbeat) -> None:
        async with self._open() as surroundings:
            while True:
                await heartbeat.idle(self._clock.sleep(self._every_s))
                if not self._blind():
                    continue
                seen = await heartbeat.idle(surroundings.look())
                heartbeat.well()
                if seen.wifi or seen.cell:
                    await self._recorder.record(body_of(seen), t=seen.t)

    async def rest(self) -> None:
        """Nothing is kept, so there is nothing to forget."""

    def _blind(self) -> bool:
        at = self._fix_at()
        return at is None or self._clock.monotonic() - at >= self._every_s


def body_of(seen: Sighting) -> Scan:
    """The message that says it."""
    cell = seen.cell
    return Scan(
        wifi=[AccessPointSeen(p.bssid, p.signal, p.channel) for p in seen.wifi],
        cell=None if cell is None else CellSeen(cell.mcc, cell.mnc, cell.area, cell.cell),
    )
