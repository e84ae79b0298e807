"""Sessions that a broker lost, another broker, and events that wait: from outbox to back end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.contract.events import Audit
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.store.database import Database
from agent.store.outbox import Outbox
from agent.uplink.lateness import LATE_S, Lateness
from agent.uplink.link import Link, LinkSettings
from tests.agent.uplink.test_uplink import BackEnd, Device, position
from tests.support import Mosquitto, until


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "second"
    folder.mkdir()
    mosquitto = Mosquitto(folder)
    yield mosquitto
    mosquitto.kill()


async def gather(*tasks: asyncio.Future[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_a_broker_that_lost_every_session_gets_everything_again(
    tmp_path: Path, broker: Mosquitto
) -> None:
    """Session Present is 0: subscribed anew, born anew, sent again what nobody confirmed."""

    async def story() -> None:
        device, backend = Device(tmp_path, broker.url, "backend"), BackEnd(broker.url, acks=False)
        listening = asyncio.ensure_future(backend.link.run())
        await until(lambda: backend.link.up)
        await device.open()
        for n in range(200):
            await device.outbox.record(position(n))
        await device.outbox.record(Audit(action="a", by="test"))
        await until(lambda: len(backend.events) == 201)
        births = len(backend.states)
        broker.kill()
        for kept in (tmp_path / "broker").glob("*.db"):
            kept.unlink()
        backend.events.clear()
        backend.acks = True
        broker.start()
        await until(lambda: len(backend.events) == 201, "all of it again")
        await until(lambda: device.outbox.acked("telemetry") == 200, "the acks arrive: subscribed")
        await until(lambda: device.outbox.acked("critical") == 1)
        await until(lambda: [s.state for s in backend.states[births:]].count("online") >= 1)
        await device.close()
        await gather(listening)

    asyncio.run(story())


def test_the_second_broker_gets_what_the_first_one_did_not_confirm(
    tmp_path: Path, broker: Mosquitto, second: Mosquitto
) -> None:
    async def story() -> None:
        device = Device(tmp_path, broker.url, "backend")
        settings = LinkSettings(
            broker.url, "sh-1", ("edge/v1/sh-1/ack/+",), lambda: device.uplink.will(),
            retry_max_s=0.5, fallbacks=(second.url,), return_after_s=0.5,
        )  # fmt: skip
        device.uplink.open_link = lambda m, u, d: Link(
            settings, device.clock, on_message=m, on_up=u, on_down=d
        )
        one, two = BackEnd(broker.url, acks=False), BackEnd(second.url, acks=True)
        tasks = [asyncio.ensure_future(backend.link.run()) for backend in (one, two)]
        await until(lambda: one.link.up and two.link.up)
        await device.open()
        await device.outbox.record(Audit(action="a", by="test"))
        await until(lambda: ("critical", 1) in one.events)
        broker.kill()
        await device.outbox.record(Audit(action="b", by="test"))
        await until(lambda: device.outbox.acked("critical") == 2, "over the second")
        assert two.arrived["critical"] == [1, 2]
        assert [s.state for s in two.states][:1] == ["online"]
        assert device.uplink.broker == second.url
        one.acks = True
        broker.start()
        await until(lambda: device.uplink.broker == broker.url and device.uplink.up_since)
        await device.outbox.record(Audit(action="c", by="test"))
        await until(lambda: device.outbox.acked("critical") == 3, "over the first again")
        await until(lambda: two.states[-1].state == "lost", "the will at the one that it left")
        await device.close()
        await gather(*tasks)

    asyncio.run(story())


def test_events_that_wait_for_too_long_are_said_and_an_idle_device_reads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        clock = ManualClock()
        health = Health(clock)
        database = Database(tmp_path / "a.db", clock, health)
        outbox = Outbox(database, clock, health, max_mb=50)
        await database.open()
        await outbox.open()
        up = False
        late = Lateness(outbox, clock, health, lambda: up)
        reads = 0
        read = database.read

        async def counted(run):  # type: ignore[no-untyped-def]
            nonlocal reads
            reads += 1
            return await read(run)

        monkeypatch.setattr(database, "read", counted)
        for _ in range(5):
            await late.look()
        assert reads == 1
        await outbox.record(Audit(action="a", by="test"))
        began = int(clock.wall() * 1000)
        await late.look()
        assert not list(health.conditions())
        clock.jump(clock.monotonic() + LATE_S + 1)
        await outbox.record(Audit(action="b", by="test"))
        assert (await outbox.oldest())["critical"] == began
        await late.look()
        (said,) = health.conditions()
        assert (said.code, "there is no connection" in said.text) == ("uplink.late", True)
        up = True
        await late.look()
        (said,) = health.conditions()
        assert "consumer" in said.text
        await outbox.fetch("critical", 0, max_bytes=1 << 20)
        outbox.ack("critical", 2)
        await late.look()
        assert not list(health.conditions())
        assert await outbox.oldest() == {"critical": None, "state": None, "telemetry": None}
        await database.close()

    asyncio.run(story())
