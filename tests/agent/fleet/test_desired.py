"""What the back end wishes is checked, tried, and taken back by itself; it is told each time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agent.contract import topics
from agent.contract.commands import Desired
from agent.contract.errors import Rejected
from agent.contract.events import ConfigEvent
from agent.contract.wire import encode
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.fleet import desired
from agent.fleet.authority import Authority
from agent.fleet.desired import DesiredConfig
from agent.fleet.trial import CRASHES, TRIAL_S, Standing
from agent.store.database import Database
from agent.store.inbox import Incoming
from tests.support import ListRecorder, until

GOOD, BETTER = {"alert": {"repeat_s": 5}}, {"alert": {"repeat_s": 9}}


class Device:
    """A machine on which agents start and end; `start` is what a new process does."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "agent.db"
        self.clock = ManualClock()
        self.recorder = ListRecorder()
        self.link: str | None = None  # why there is none
        self.restarts = self.reports = 0
        self.health = Health(self.clock)
        self.database = Database(self.path, self.clock, self.health)
        self.wished: DesiredConfig
        self._task: asyncio.Future[None] | None = None

    async def start(self, authority: Authority | None = None) -> Standing:
        standing = desired.begin(self.path, self.clock)
        self.health = Health(self.clock)
        self.database = Database(self.path, self.clock, self.health)
        await self.database.open()
        more = {} if authority is None else {"authority": authority}
        self.wished = DesiredConfig(
            self.database, self.clock, self.health, self.recorder, self._problems, self._restart,
            self._report, lambda: self.link, standing, **more,
        )  # fmt: skip
        heart = Heartbeat("desired", self.clock, self.health)
        self._task = asyncio.ensure_future(self.wished.run(heart))
        await self.rest()
        return standing

    async def crash(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        await self.database.close()

    async def end(self) -> None:
        await self.crash()
        desired.end(self.path)

    async def rest(self) -> None:
        """Until what can be done without time passing is done."""
        for _ in range(3):
            await self.database.read(lambda _: None)
            await self.clock.advance(0)

    async def advance(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        await self.rest()

    def _problems(self, settings: dict[str, Any]) -> list[str]:
        return ["alert.repeat_s: too short"] if settings == {"alert": {"repeat_s": 0}} else []

    def _restart(self) -> None:
        self.restarts += 1

    def _report(self) -> None:
        self.reports += 1

    async def deliver(self, payload: bytes) -> None:
        topic = topics.desired("d")
        address = topics.parse(topic)
        assert address is not None
        message = Incoming(topic, address, payload)
        try:
            after = await self.database.write(lambda tx: self.wished.handle(tx, message))
        except Rejected as rejected:
            refused = rejected
            after = await self.database.write(lambda tx: self.wished.refuse(tx, message, refused))
        after()

    async def wish(self, version: int, settings: dict[str, Any]) -> None:
        await self.deliver(encode(Desired(version, settings)))

    def told(self) -> list[tuple[int | None, str | None]]:
        found = [body for body in self.recorder.bodies if isinstance(body, ConfigEvent)]
        return [(body.version, body.state) for body in found]

    def in_force(self) -> Desired | None:
        return desired.stored(self.path)


def tell(folder: Path, story: Callable[[Device], Awaitable[None]]) -> None:
    async def main() -> None:
        device = Device(folder)
        try:
            await device.start()
            await device.wish(3, GOOD)
            await device.end()
            await device.start()
            await device.advance(TRIAL_S + 1)
            device.restarts = device.reports = 0
            await story(device)
        finally:
            await device.crash()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("payload", "version"),
    [
        (b"\xff", None),
        (b"[]", None),
        (encode(Desired(4, {"alert": {"repeat_s": 0}})), 4),
        (encode(Desired(5, {"device": {"id": "x"}})), 5),
        (encode(Desired(6, {"uplink": {"url": "mqtt://x", "reconnect_window_s": 9}})), 6),
        (encode(Desired(7, {"uplink": {}})), 7),
        (encode(Desired(8, {"uplink": 9})), 8),
        (encode(Desired(9, {"fleet": {"require_signed": False}})), 9),
    ],
)
def test_a_refusal_is_reported_with_the_settings_that_stay_in_force(
    tmp_path: Path, payload: bytes, version: int | None
) -> None:
    async def story(device: Device) -> None:
        await device.deliver(payload)
        reported = device.wished.reported()
        assert (reported.version, reported.applied, reported.state) == (version, False, "refused")
        assert reported.error
        assert (reported.settings, reported.in_force) == (GOOD, 3)
        assert (device.reports, device.restarts) == (1, 0)

    tell(tmp_path, story)


def test_a_good_wish_is_in_force_when_the_broker_was_reached_with_it(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        await device.wish(4, BETTER)
        assert device.restarts == 1
        assert device.wished.reported().state == "trying"
        await device.end()
        device.link = "no route"
        await device.start()
        assert device.told() == [(3, "in_force")]
        device.link = None
        device.wished.look()
        await device.rest()
        assert device.told() == [(3, "in_force"), (4, "in_force")]
        reported = device.wished.reported()
        assert (reported.version, reported.applied, reported.settings) == (4, True, BETTER)
        await device.advance(2 * TRIAL_S)
        assert device.in_force() == Desired(4, BETTER)

    tell(tmp_path, story)


def test_how_soon_a_device_comes_back_may_be_wished(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        await device.wish(4, {"uplink": {"reconnect_window_s": 65}})
        assert device.restarts == 1

    tell(tmp_path, story)


def test_an_old_wish_changes_nothing(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        await device.wish(3, BETTER)
        assert (device.restarts, device.reports) == (0, 0)
        assert device.wished.reported().applied

    tell(tmp_path, story)


def test_without_the_broker_for_five_minutes_the_old_one_comes_back(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        await device.wish(4, BETTER)
        device.link = "connection refused"
        await device.end()
        await device.start()
        await device.advance(TRIAL_S - 1)
        assert device.restarts == 1
        await device.advance(2)
        assert device.restarts == 2
        await device.end()
        await device.start()
        assert device.in_force() == Desired(3, GOOD)
        assert device.told()[-1] == (4, "rolled_back")
        assert "config.rolled_back" in {c.code for c in device.health.conditions()}
        reported = device.wished.reported()
        assert (reported.version, reported.state, reported.in_force) == (4, "rolled_back", 3)
        assert "connection refused" in (reported.error or "")
        device.link = None
        await device.wish(4, BETTER)  # the broker keeps it and brings it with each connection
        await device.wish(4, BETTER)
        assert device.restarts == 2
        assert device.told()[-1] == (4, "rolled_back")
        await device.wish(5, BETTER)
        assert device.restarts == 3

    tell(tmp_path, story)


def test_the_five_minutes_go_on_across_restarts(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        await device.wish(4, BETTER)
        device.link = "connection refused"
        for _ in range(4):
            await device.end()
            await device.start()
            await device.advance(70)
        assert device.restarts == 1
        await device.advance(TRIAL_S - 4 * 70 + 1)
        assert device.restarts == 2
        assert device.in_force() == Desired(3, GOOD)

    tell(tmp_path, story)


def test_another_boot_counts_the_five_minutes_anew(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        await device.wish(4, BETTER)
        device.link = "connection refused"
        await device.end()
        device.clock.boot_id = "another"
        device.clock.jump(5.0)
        await device.start()
        await device.advance(TRIAL_S - 1)
        assert device.restarts == 1
        await device.advance(2)
        assert device.restarts == 2

    tell(tmp_path, story)


@pytest.mark.parametrize("reaches", [False, True])
def test_a_wish_with_which_the_agent_crashes_is_dropped(tmp_path: Path, reaches: bool) -> None:
    async def story(device: Device) -> None:
        await device.wish(4, BETTER)
        await device.end()
        device.link = None if reaches else "not yet"
        for _ in range(CRASHES):
            await device.start()
            assert device.in_force() == Desired(4, BETTER)
            await device.crash()
        standing = await device.start()
        assert standing.in_force == device.in_force() == Desired(3, GOOD)
        assert device.told()[-1] == (4, "rolled_back")

    tell(tmp_path, story)


def test_starts_that_end_in_order_are_no_crashes(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        await device.wish(4, BETTER)
        for _ in range(3 * CRASHES):
            await device.end()
            await device.start()
        assert device.in_force() == Desired(4, BETTER)

    tell(tmp_path, story)


def test_what_has_proven_itself_is_not_dropped_for_crashes(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        for _ in range(3 * CRASHES):
            await device.crash()
            await device.start()
        assert device.in_force() == Desired(3, GOOD)

    tell(tmp_path, story)


def test_an_outage_that_began_before_holds_a_wish_up_and_is_not_held_against_it(
    tmp_path: Path,
) -> None:
    async def story(device: Device) -> None:
        device.link = "no route"
        await device.wish(4, BETTER)  # it was in the inbox when the link broke
        assert device.restarts == 0
        assert device.wished.reported().state == "waiting"
        await device.advance(10 * TRIAL_S)
        assert device.restarts == 0
        assert device.in_force() == Desired(3, GOOD)
        device.link = None
        device.wished.look()
        await until(lambda: device.restarts == 1)
        await device.end()
        await device.start()
        await device.advance(2 * TRIAL_S)
        assert device.in_force() == Desired(4, BETTER)
        assert device.told()[-1] == (4, "in_force")

    tell(tmp_path, story)


def test_a_wish_on_trial_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        await device.wish(4, BETTER)
        await device.end()
        await device.start()
        await device.wish(5, {"alert": {"repeat_s": 1}})
        device.link = "connection refused"
        await device.end()
        await device.start()
        await device.advance(TRIAL_S + 1)
        assert device.in_force() == Desired(3, GOOD)

    tell(tmp_path, story)


def test_an_empty_message_takes_all_of_it_back(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        await device.deliver(b"")
        assert device.restarts == 1
        assert device.in_force() is None

    tell(tmp_path, story)


def test_only_who_may_sign_wishes_anything(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        await device.end()
        await device.start(Authority("d", device.clock, keys={}, required=True))
        for payload in (b"", encode(Desired(9, BETTER))):
            await device.deliver(payload)
            assert device.wished.reported().state == "refused"
        assert device.restarts == 0

    tell(tmp_path, story)


def test_a_store_that_cannot_be_read_wishes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    clock = ManualClock()
    assert desired.begin(path, clock) == Standing()
    path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    assert desired.begin(path, clock) == Standing()
    desired.end(path)
