"""A scanner that stands still: noticed, woken up, said; and nobody leaves meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.arrival.places import BeaconRule, Place, Places
from agent.arrival.radio import DEAF
from agent.arrival.service import ArrivalService
from agent.contract.events import Arrival
from agent.core.clock import ManualClock, settle
from agent.core.health import Condition, Health
from agent.core.supervisor import Supervisor
from drivers.base import BeaconScanner, DriverError, Rung, Stuck
from drivers.beacons.simulated import Sender, Settings, SimulatedRadio, SimulatedScanner
from tests.support import ListRecorder

SENDER = Sender(address="C0:00:00:00:00:01", lat=31.2304, lon=121.4737)
HERE = (31.23041, 121.4737)
PLACES = Places([Place(id="shop", beacon=[BeaconRule(address=SENDER.address, enter_rssi=-75)])])


@dataclass
class World:
    """A shop's beacon, a rider beside it, a radio that may stand still."""

    sender: Sender = SENDER
    cycle_s: float = 0.0
    refuses: Callable[[], DriverError | None] = lambda: None
    clock: ManualClock = field(default_factory=ManualClock)
    radio: SimulatedRadio = field(default_factory=SimulatedRadio)
    recorder: ListRecorder = field(default_factory=ListRecorder)
    recover_fails: str | None = None
    words: list[str] = field(default_factory=list)  # of the condition

    def __post_init__(self) -> None:
        self.health = Health(self.clock)
        self.health.listen(self._changed)
        self.seed = 0

    def _changed(self, condition: Condition, raised: bool) -> None:
        if condition.code == DEAF:
            self.words.append(condition.text if raised else "over")

    @property
    def said(self) -> list[str]:
        return [body.event for body in self.recorder.bodies if isinstance(body, Arrival)]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[BeaconScanner]:
        await self.clock.sleep(0.5)
        if (refusal := self.refuses()) is not None:
            raise refusal
        self.seed += 1
        air = Settings(
            beacons=(self.sender,), shadow_db=0, fading_db=0, seed=self.seed, cycle_s=self.cycle_s
        )
        yield SimulatedScanner(air, self.clock, lambda _wall: HERE, self.radio)

    async def recover(self, rung: Rung) -> None:
        await self.clock.sleep(2.0)
        if self.recover_fails:
            raise DriverError(self.recover_fails)
        await self.radio.recover(rung)

    def run(self, story: Callable[[], Awaitable[None]]) -> None:
        service = ArrivalService(
            clock=self.clock,
            recorder=self.recorder,
            health=self.health,
            open_scanner=self.open,
            recover=self.recover,
            places=PLACES,
        )

        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(Supervisor(self.clock, self.health).run([service]))
                await settle()
                await story()
                task.cancel()

        asyncio.run(main())

    async def until(self, condition: Callable[[], bool], at_most_s: float) -> float:
        """Seconds until it holds."""
        start = self.clock.monotonic()
        while not condition():
            assert self.clock.monotonic() - start < at_most_s
            await self.clock.advance(0.25)
        return self.clock.monotonic() - start


@pytest.mark.parametrize("needs", ["restart", "power", "reset"])
def test_beside_a_loud_beacon_a_stall_is_noticed_in_5_s_and_healed_in_30(needs: Rung) -> None:
    world = World()

    async def story() -> None:
        await world.clock.advance(20)
        assert world.said == ["enter", "arrived"]
        world.radio.stall(needs)
        noticed = await world.until(lambda: "unknown" in world.said, 6)
        healed = await world.until(lambda: world.said[-1] != "unknown", 40)
        assert noticed <= 5.0
        assert noticed + healed <= 30.0
        await world.clock.advance(15)

    world.run(story)
    assert world.said == ["enter", "arrived", "unknown", "enter", "arrived"]
    done = {"restart": "started anew", "power": "switched off and on", "reset": "was reset"}
    assert any(done[needs] in text for text in world.words)
    assert world.words[-1] == "over"
    assert (
        world.radio.tried == {"restart": [], "power": ["power"], "reset": ["power", "reset"]}[needs]
    )


def test_once_a_cycle_a_stall_is_noticed_after_three_cycles() -> None:
    world = World(cycle_s=10.5)

    async def story() -> None:
        await world.clock.advance(60)
        world.radio.stall("power")
        noticed = await world.until(lambda: "unknown" in world.said, 60)
        assert 20 < noticed < 35
        await world.until(lambda: world.radio.needs is None, 60)
        await world.clock.advance(60)

    world.run(story)
    assert "exit" not in world.said
    assert world.said[-1] == "arrived"


def test_what_could_not_be_done_is_said_with_the_reason() -> None:
    world = World(recover_fails="/dev/bus/usb/001/004 may not be written")

    async def story() -> None:
        await world.clock.advance(20)
        world.radio.stall("reset")
        await world.clock.advance(30)

    world.run(story)
    assert any("(reset) was not possible: /dev/bus/usb/001/004" in text for text in world.words)


def test_an_adapter_that_refuses_the_scan_is_switched_off_and_on() -> None:
    world = World()
    world.refuses = lambda: (
        Stuck("bluetoothd refused to scan: InProgress") if world.radio.needs else None
    )

    async def story() -> None:
        await world.clock.advance(20)
        assert world.said == []
        await world.until(lambda: world.said != [], 30)

    world.radio.stall("power")
    world.run(story)
    assert world.radio.tried == ["power"]


def test_an_adapter_that_somebody_switched_off_stays_off() -> None:
    world = World()
    world.refuses = lambda: DriverError("Bluetooth adapter hci0 is switched off")

    async def story() -> None:
        await world.clock.advance(600)

    world.run(story)
    assert world.radio.tried == []


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 120), st.sampled_from(["restart", "power", "reset"]), st.floats(0, 90)
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([0.3, 1.0, 3.0]),
    st.sampled_from([0.0, 10.5]),
)
def test_who_stays_is_never_said_to_have_left_whatever_the_radio_does(
    stalls: list[tuple[float, Rung, float]], interval: float, cycle: float
) -> None:
    sender = Sender(address=SENDER.address, lat=SENDER.lat, lon=SENDER.lon, interval_s=interval)
    world = World(sender=sender, cycle_s=cycle)

    async def story() -> None:
        for well, needs, ill in stalls:
            await world.clock.advance(well)
            world.radio.stall(needs)
            await world.clock.advance(ill)

    world.run(story)
    assert "exit" not in world.said
