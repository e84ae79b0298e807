"""When the next certificate is asked for, what is said of the identity, and of who shares it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from agent.contract import topics
from agent.contract.enrolment import EnrollRequest
from agent.contract.errors import Rejected
from agent.contract.events import Audit
from agent.contract.wire import encode
from agent.core.clock import BUILD_TIME, ManualClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.fleet import identity_work
from agent.fleet.ca import Authority
from agent.fleet.identity import Identity
from agent.fleet.identity_service import AGE_MAX_S, IdentityService
from agent.store.inbox import Incoming
from agent.uplink.link import LinkDown, TlsFiles
from tests.support import ListRecorder, until

NOW = 1_800_000_000.0
DAY = 86400.0
BOARD = "board-1"


class World:
    """A device whose broker and authority are functions."""

    def __init__(self, folder: Path, board: str = BOARD) -> None:
        self.clock = ManualClock(wall=NOW)
        self.health = Health(self.clock)
        self.recorder = ListRecorder()
        self.authority = Authority.create(folder / "ca", "test", NOW)
        self.identity = Identity(folder / "identity")
        self.up = True
        self.answers = True
        self.refuses: Exception | None = None  # what the broker says to a new connection
        self.asked: list[EnrollRequest] = []
        self.switched: list[TlsFiles] = []
        self.service = IdentityService(
            device="sh-1",
            identity=self.identity,
            hardware=board,
            clock=self.clock,
            health=self.health,
            recorder=self.recorder,
            send=self._send,
            switch=self._switch,
            up_since=lambda: 1.0 if self.up else None,
        )

    def enroll(self) -> None:
        code = self.authority.code("sh-1", BOARD, NOW)
        request = identity_work.ask(self.identity, identity_work.Asked("sh-1", BOARD, code))
        answer = self.authority.decide("sh-1", request, NOW).answer
        identity_work.take(self.identity, identity_work.Taken("sh-1", request, answer, code))
        self.identity.adopt(trial=False)

    async def _send(self, topic: str, payload: bytes, _correlation: None) -> None:
        assert topic == topics.enroll_request("sh-1")
        request = msgspec.json.decode(payload, type=EnrollRequest)
        self.asked.append(request)
        if not self.answers:
            return
        answer = self.authority.decide("sh-1", request, self.clock.wall()).answer
        topic = topics.enroll_answer("sh-1")
        address = topics.parse(topic)
        assert address is not None
        self.service.handle(None, Incoming(topic, address, encode(answer)))()  # type: ignore[arg-type]

    async def _switch(self, files: TlsFiles) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.switched.append(files)
        await self.service.connected()

    def codes(self) -> set[str]:
        return {condition.code for condition in self.health.conditions()}

    def audits(self) -> list[str]:
        return [body.action for body in self.recorder.bodies if isinstance(body, Audit)]


def play(folder: Path, story: Callable[[World], Awaitable[None]], **more: str) -> None:
    async def all_of_it() -> None:
        world = World(folder, **more)
        heart = Heartbeat("identity", world.clock, world.health)
        running = asyncio.ensure_future(world.service.run(heart))
        await asyncio.sleep(0)
        try:
            await story(world)
            assert not running.done() or running.result()
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    asyncio.run(all_of_it())


async def passing(world: World, condition: Callable[[], bool]) -> None:
    """Time goes by until it holds."""
    while not condition():
        await world.clock.advance(20)
        await asyncio.sleep(0.001)


async def renewed(world: World, times: int = 1) -> None:
    await until(lambda: world.audits().count("identity.renewed") == times, "renewed")


def test_a_certificate_is_renewed_when_half_of_its_life_is_over(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.enroll()
        before = world.identity.about()
        await world.clock.advance(14.9 * DAY)
        assert world.asked == []
        for _ in range(5 * 24):
            await world.clock.advance(3600)
            if world.service._retry_at:  # it began; the process takes its time
                break
        assert 15 <= (world.clock.wall() - NOW) / DAY <= 18.2
        await renewed(world)
        assert [request.kind for request in world.asked] == ["renew"]
        assert world.identity.about() != before
        assert world.codes() == set()

    play(tmp_path, story)


def test_nothing_is_asked_without_an_identity_a_connection_or_a_clock(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.clock.advance(DAY)
        world.enroll()
        world.up = False
        await world.clock.advance(DAY)
        world.clock.set_wall(NOW + 20 * DAY)
        await world.clock.advance(DAY)
        world.up, world.clock.tq = True, "none"
        await world.clock.advance(DAY)
        assert world.asked == []
        with pytest.raises(Rejected, match="not enrolled"):
            World(tmp_path / "x").service.renew_now()
        world.clock.tq = "ntp"
        await world.service.connected()
        for _ in range(3):
            await world.clock.advance(600)
        await renewed(world)

    (tmp_path / "x").mkdir()
    play(tmp_path, story)


def test_an_authority_that_is_silent_is_asked_every_hour_and_said_before_it_is_late(
    tmp_path: Path,
) -> None:
    async def story(world: World) -> None:
        world.enroll()
        world.answers = False
        world.clock.set_wall(NOW + 20 * DAY)
        world.service.renew_now()
        await until(lambda: world.asked)
        for _ in range(4):
            await world.clock.advance(20)
        assert len(world.asked) == 3  # the same request, because answers may be lost
        assert len({request.id for request in world.asked}) == 1
        await world.clock.advance(3000)
        assert len(world.asked) == 3
        await world.clock.advance(600)
        await until(lambda: len(world.asked) == 4, "an hour later")
        assert "identity.renewal" not in world.codes()
        world.clock.set_wall(NOW + 25 * DAY)
        await passing(world, lambda: "identity.renewal" in world.codes())
        world.clock.set_wall(NOW + 31 * DAY)
        await passing(world, lambda: "identity.expired" in world.codes())
        assert world.identity.enrolled  # and what it has is kept

    play(tmp_path, story)


def test_a_new_certificate_that_is_refused_is_dropped(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.enroll()
        before = world.identity.about()
        world.refuses = ConnectionError("unknown authority")
        world.service.renew_now()
        await until(lambda: world.asked and not world.identity.trying, "asked and dropped")
        await until(lambda: not (world.identity.folder / "2").exists())
        assert world.identity.about() == before
        assert world.audits() == []
        world.refuses = None
        world.service.renew_now()
        await renewed(world)

    play(tmp_path, story)


def test_a_new_certificate_waits_for_the_next_connection(tmp_path: Path) -> None:
    """The line went down while it was tried; also after a power cut at that moment."""

    async def story(world: World) -> None:
        world.enroll()
        world.refuses = LinkDown()
        world.service.renew_now()
        await until(lambda: world.identity.trying, "there is a new one")
        await asyncio.sleep(0.05)
        assert world.identity.trying
        world.refuses = None
        await world.service.connected()
        await renewed(world)
        assert not world.identity.trying

    play(tmp_path, story)


def test_a_connection_is_made_anew_once_a_day(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.enroll()
        await world.service.connected()
        await world.clock.advance(AGE_MAX_S - 60)
        assert world.switched == []
        await world.clock.advance(120)
        assert len(world.switched) == 1
        assert world.switched[0] == world.identity.files()

    play(tmp_path, story)


def test_a_card_in_another_board_is_said_and_gets_a_certificate_for_it(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.up = False
        world.enroll()
        await world.service.connected()
        await until(lambda: "identity.moved" in world.codes(), "it is said")
        world.up = True
        await world.service.connected()
        await renewed(world)
        await until(lambda: "identity.moved" not in world.codes(), "and over")
        assert world.audits() == ["identity.moved", "identity.renewed"]
        assert world.authority.owners()[0].hardware == "another board"

    play(tmp_path, story, board="another board")


def test_a_twin_is_told_to_the_back_end_once(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.enroll()
        for _ in range(3):
            world.health.set("identity.twin", "they fight", severity="critical")
        await until(lambda: world.audits() == ["identity.twin"])
        world.health.clear("identity.twin")
        world.health.set("identity.twin", "again", severity="critical")
        await until(lambda: world.audits() == ["identity.twin"] * 2)

    play(tmp_path, story)


def test_without_a_clock_it_is_at_least_as_late_as_the_certificate_is_old(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.clock.tq, _ = "none", world.clock.set_wall(0.0)
    assert world.service.floor() == BUILD_TIME
    world.enroll()
    about = world.identity.about()
    assert about is not None
    assert world.service.floor() == about.not_before
    world.clock.tq = "gps"  # nobody signs what satellites say
    assert world.service.floor() == about.not_before
    world.clock.tq = "ntp"
    assert world.service.floor() is None
