"""The device's own beacon, over the simulated sender in manual time."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.arrival.own_beacon import NO_CLOCK, OwnBeacon, key_path, load_key
from agent.arrival.rotating import EPOCH_S, epoch_of, identifier
from agent.core.clock import ManualClock, settle
from agent.core.health import Health
from agent.core.supervisor import Supervisor
from drivers.base import BeaconSender, DriverError
from drivers.beacons.simulated_sender import SimulatedSender


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = key_path(tmp_path / "agent.db")
    key = load_key(path)
    assert load_key(path) == key
    assert len(key) == 16
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["beacon.key"]
    path.unlink()
    assert load_key(path) != key


@pytest.mark.parametrize("content", ["", "00" * 15, "zz" * 16, "\x00" * 32, "00" * 17])
def test_a_damaged_key_is_neither_used_nor_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "beacon.key"
    path.write_text(content)
    with pytest.raises(DriverError, match=r"damaged; delete it"):
        load_key(path)
    assert path.read_text() == content


def test_a_key_that_was_half_made_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "beacon.key.new").write_text("00")
    assert len(load_key(tmp_path / "beacon.key")) == 16


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="No such file"):
        load_key(tmp_path / "absent" / "beacon.key")


def tell(
    path: Path,
    story: Callable[[ManualClock, list[SimulatedSender], Health], Awaitable[None]],
    clock: ManualClock | None = None,
) -> bytes:
    """The story, while the beacon is kept by the supervisor; its key."""
    clock = clock or ManualClock()
    senders: list[SimulatedSender] = []
    health = Health(clock)

    @asynccontextmanager
    async def opened() -> AsyncIterator[BeaconSender]:
        senders.append(SimulatedSender())
        try:
            yield senders[-1]
        finally:
            await senders[-1].withdraw()

    beacon = OwnBeacon(clock=clock, health=health, open_sender=opened, key_file=path)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(Supervisor(clock, health).run([beacon]))
            await settle()
            await story(clock, senders, health)
            task.cancel()
        assert senders[-1].sending is None  # nothing is left behind

    asyncio.run(main())
    return beacon.key()


def test_it_sends_another_identifier_each_quarter_of_an_hour(tmp_path: Path) -> None:
    clock = ManualClock()
    first = epoch_of(clock.wall())
    sent: list[bytes] = []

    async def story(clock: ManualClock, senders: list[SimulatedSender], _health: Health) -> None:
        await clock.advance(2 * EPOCH_S)
        sent.extend(senders[0].sent)

    key = tell(tmp_path / "beacon.key", story, clock)
    assert sent == [identifier(key, first + n) for n in range(3)]


def test_without_a_clock_it_is_silent_and_says_so(tmp_path: Path) -> None:
    clock = ManualClock(wall=0)
    clock.tq = "none"

    async def story(clock: ManualClock, senders: list[SimulatedSender], health: Health) -> None:
        await clock.advance(60)
        assert senders[0].sent == []
        assert [c.code for c in health.conditions()] == [NO_CLOCK]
        clock.set_wall(1_800_000_000)
        clock.tq = "ntp"
        await clock.advance(6)
        assert senders[0].sending is not None
        assert list(health.conditions()) == []
        clock.tq = "none"  # GPS and NTP are lost for long
        await clock.advance(6)
        assert senders[0].sending is None

    tell(tmp_path / "beacon.key", story, clock)


def test_a_clock_that_jumps_changes_the_identifier(tmp_path: Path) -> None:
    async def story(clock: ManualClock, senders: list[SimulatedSender], _health: Health) -> None:
        await clock.advance(1)
        clock.set_wall(clock.wall() + 10 * EPOCH_S)
        await clock.advance(6)
        assert len(senders[0].sent) == 2

    tell(tmp_path / "beacon.key", story)


def test_a_radio_that_was_pulled_out_is_used_again_when_it_is_back(tmp_path: Path) -> None:
    async def story(clock: ManualClock, senders: list[SimulatedSender], health: Health) -> None:
        await clock.advance(1)
        senders[0].unplug()
        await settle()
        assert [c.code for c in health.conditions()] == ["service.beacon"]
        await clock.advance(2)
        assert senders[1].sending == senders[0].sent[-1]
        assert list(health.conditions()) == []

    tell(tmp_path / "beacon.key", story)
