"""Commands over MQTT: each ends once, in the open."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.contract import topics
from agent.contract.errors import Rejected
from agent.contract.events import Audit, CommandEvent, ErrorEvent
from agent.contract.wire import encode
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.fleet.commands import CommandService, CommandTable
from agent.store.database import Database, migrate
from agent.store.inbox import Incoming
from drivers.base import DriverError
from tests.support import ListRecorder, until


class Greet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str


class Device:
    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.health = Health(self.clock)
        self.database = Database(folder / "agent.db", self.clock, self.health)
        self.recorder = ListRecorder()
        self.table = CommandTable(self.recorder)
        self.replies: list[tuple[str, bytes, bytes | None]] = []
        self.ran: list[str] = []

        async def greet(params: Greet, by: str) -> str:
            self.ran.append(by)
            if params.name == "nobody":
                raise DriverError("nobody is there")
            return f"hello {params.name}"

        self.table.add("greet", "Say hello.", greet, Greet)
        self.table.add("local", "Only here.", greet, Greet, remote=False)
        self.service = CommandService(
            self.table, self.database, self.clock, self.recorder, self._reply, health=self.health
        )

    async def _reply(self, topic: str, payload: bytes, correlation: bytes | None) -> None:
        self.replies.append((topic, payload, correlation))

    async def deliver(self, name: str, cmd_id: str, payload: Any, **more: Any) -> None:
        topic = topics.command("d", name, cmd_id)
        address = topics.parse(topic)
        assert address is not None
        body = payload if isinstance(payload, bytes) else encode(payload)
        message = Incoming(topic, address, body, **more)
        try:
            after = await self.database.write(lambda tx: self.service.handle(tx, message))
        except Rejected as rejected:
            refused = rejected
            after = await self.database.write(lambda tx: self.service.refuse(tx, message, refused))
        after()

    def statuses(self) -> list[tuple[str, str, str | None]]:
        return [
            (body.cmd_id, body.status, body.reason_code)
            for body in self.recorder.bodies
            if isinstance(body, CommandEvent)
        ]


def run(folder: Path, story: Callable[[Device], Awaitable[None]]) -> None:
    async def tell() -> None:
        device = Device(folder)
        await device.database.open()
        heartbeat = Heartbeat("commands", device.clock, device.health)
        serving = asyncio.ensure_future(device.service.run(heartbeat))
        try:
            await story(device)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            await device.database.close()

    asyncio.run(tell())


def test_a_command_is_accepted_audited_run_and_answered(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        await device.deliver(
            "greet", "c1", {"params": {"name": "Li"}}, response_topic="r", correlation=b"7"
        )
        await until(lambda: device.replies)
        assert device.statuses() == [("c1", "accepted", None), ("c1", "succeeded", None)]
        assert device.ran == ["command:c1"]
        assert any(isinstance(body, Audit) for body in device.recorder.bodies)
        topic, payload, correlation = device.replies[0]
        assert (topic, correlation) == ("r", b"7")
        assert msgspec.json.decode(payload)["result"] == "hello Li"

    run(tmp_path, story)


def test_the_same_command_again_does_nothing(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        for _ in range(3):
            await device.deliver("greet", "c1", {"params": {"name": "Li"}})
        await device.deliver("greet", "c2", {"params": {"name": "Wu"}})
        await until(lambda: len(device.ran) == 2)
        assert device.ran == ["command:c1", "command:c2"]

    run(tmp_path, story)


def test_what_cannot_be_done_is_rejected_with_its_reason(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        await device.deliver("unknown", "c1", {})
        await device.deliver("local", "c2", {"params": {"name": "x"}})
        await device.deliver("greet", "c3", {"params": {"nme": "x"}})
        await device.deliver("greet", "c4", {"params": {"name": "x"}, "exp": 1})
        await device.deliver("greet", "c5", b"\x00garbage")
        await device.deliver("greet", "", {})
        assert device.statuses() == [
            ("c1", "rejected", "unknown_command"),
            ("c2", "rejected", "unknown_command"),
            ("c3", "rejected", "invalid"),
            ("c4", "rejected", "expired"),
            ("c5", "rejected", "not_json"),
            ("", "rejected", "bad_topic"),
        ]
        assert device.ran == []

    run(tmp_path, story)


def test_a_device_that_fails_is_a_failed_command(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        await device.deliver("greet", "c1", {"params": {"name": "nobody"}})
        await until(lambda: len(device.statuses()) == 2)
        assert device.statuses()[1] == ("c1", "failed", "device")

    run(tmp_path, story)


def test_a_command_found_running_after_a_restart_ends_as_unknown(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        sql = """INSERT INTO commands (cmd_id, name, status, received, params)
                 VALUES ('c1', 'greet', 'running', 0, '{}')"""
        await device.database.write(lambda tx: tx.execute(sql.replace("'{}'", "x'7b7d'")))
        again = CommandService(
            device.table, device.database, device.clock, device.recorder, device._reply
        )
        heartbeat = Heartbeat("commands", device.clock, device.health)
        serving = asyncio.ensure_future(again.run(heartbeat))
        await until(device.statuses)
        assert set(device.statuses()) == {("c1", "unknown", "restarted")}
        assert device.ran == []
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    run(tmp_path, story)


def secret_device(folder: Path) -> Device:
    device = Device(folder)

    async def tell(_params: Any, _by: str) -> dict[str, str]:
        return {"key": "5ec2e7"}

    device.table.add("secret", "A secret.", tell, secret=True)
    return device


def test_a_secret_goes_to_who_asked_and_is_written_down_nowhere(tmp_path: Path) -> None:
    device = secret_device(tmp_path)

    async def main() -> None:
        await device.database.open()
        await device.deliver("secret", "c1", {}, response_topic="back/1", correlation=b"7")
        await device.deliver("secret", "c2", {})
        heart = Heartbeat("commands", device.clock, device.health)
        task = asyncio.ensure_future(device.service.run(heart))
        await until(lambda: device.replies)
        task.cancel()
        await asyncio.wait([task])
        await device.database.close()

    asyncio.run(main())
    ((topic, payload, correlation),) = device.replies
    assert (topic, correlation) == ("back/1", b"7")
    assert b"5ec2e7" in payload
    assert all("5ec2e7" not in repr(body) for body in device.recorder.bodies)
    assert any(isinstance(body, Audit) for body in device.recorder.bodies)
    for file in tmp_path.iterdir():
        assert b"5ec2e7" not in file.read_bytes()
    assert ("c2", "rejected", "no_response_topic") in device.statuses()


def test_a_secret_is_not_for_the_page(tmp_path: Path) -> None:
    device = secret_device(tmp_path)
    with pytest.raises(Rejected, match="not for a page"):
        asyncio.run(device.table.ask("secret", {}, "page"))
    assert asyncio.run(device.table.ask("secret", {}, "cli")) == {"key": "5ec2e7"}


def results(device: Device) -> list[Any]:
    return [body.result for body in device.recorder.bodies if isinstance(body, CommandEvent)]


def test_the_same_command_again_is_answered_from_what_was_kept(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        await device.deliver("greet", "c1", {"params": {"name": "Li"}})
        await until(lambda: len(device.statuses()) == 2)
        await device.deliver(
            "greet", "c1", {"params": {"name": "Li"}}, response_topic="r", correlation=b"2"
        )
        await until(lambda: device.replies)
        answer = msgspec.json.decode(device.replies[0][1])
        assert (answer["status"], answer["result"]) == ("succeeded", "hello Li")
        await device.deliver("greet", "c1", {"params": {"name": "Li"}})
        assert device.statuses()[2:] == [("c1", "succeeded", None)]
        assert device.ran == ["command:c1"]

    run(tmp_path, story)


def test_an_id_is_not_for_two_requests(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        await device.deliver("greet", "c1", {"params": {"name": "Li"}})
        await until(lambda: len(device.statuses()) == 2)
        await device.deliver("greet", "c1", {"params": {"name": "Wu"}}, response_topic="r")
        await until(lambda: device.replies)
        assert msgspec.json.decode(device.replies[0][1])["reason_code"] == "cmd_id_used"
        assert len(device.statuses()) == 2
        assert device.ran == ["command:c1"]

    run(tmp_path, story)


def test_a_refusal_is_also_sent_to_the_response_topic(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        await device.deliver("nonsense", "c1", {}, response_topic="r", correlation=b"1")
        await until(lambda: device.replies)
        topic, payload, correlation = device.replies[0]
        assert (topic, correlation) == ("r", b"1")
        assert msgspec.json.decode(payload)["reason_code"] == "unknown_command"

    run(tmp_path, story)


def test_a_large_result_goes_to_who_asked_and_not_into_the_outbox(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        async def read(_params: Any, _by: str) -> str:
            return "x" * 20_000

        device.table.add("read", "Much.", read, changes=False)
        await device.deliver("read", "c1", {}, response_topic="r")
        await until(lambda: device.replies)
        assert len(msgspec.json.decode(device.replies[0][1])["result"]) == 20_000
        assert results(device)[-1] == {"bytes": 20_002, "at_most": 4096}
        assert device.statuses()[-1] == ("c1", "succeeded", "result_left_out")

    run(tmp_path, story)


def test_a_bug_in_a_command_is_answered_and_ends_nothing(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        async def poison(_params: Any, _by: str) -> None:
            raise ZeroDivisionError

        device.table.add("poison", "A bug.", poison)
        await device.deliver("poison", "c1", {})
        await device.deliver("greet", "c2", {"params": {"name": "Li"}})
        await until(lambda: device.ran)
        assert ("c1", "failed", "bug") in device.statuses()

    run(tmp_path, story)


def test_a_command_that_waited_beyond_its_time_is_not_begun(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        gate = asyncio.Event()

        async def block(_params: Any, _by: str) -> None:
            await gate.wait()

        device.table.add("block", "Wait.", block)
        exp = int(device.clock.wall() * 1000) + 5000
        await device.deliver("block", "c1", {})
        await device.deliver("greet", "c2", {"params": {"name": "Li"}, "exp": exp})
        await device.clock.advance(6)
        gate.set()
        await until(lambda: len(device.statuses()) == 4)
        assert device.statuses()[-1] == ("c2", "rejected", "expired")
        assert device.ran == []

    run(tmp_path, story)


def test_a_slow_command_keeps_no_quick_one_waiting(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        gate = asyncio.Event()

        async def block(_params: Any, _by: str) -> None:
            await gate.wait()

        device.table.add("block", "Wait.", block, slow=True)
        await device.deliver("block", "c1", {})
        await device.deliver("greet", "c2", {"params": {"name": "Li"}})
        await until(lambda: device.ran)
        assert ("c1", "succeeded", None) not in device.statuses()
        gate.set()
        await until(lambda: ("c1", "succeeded", None) in device.statuses())

    run(tmp_path, story)


def test_progress_is_told_now_and_then(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        async def long(_params: Any, _by: str, tell: Any) -> None:
            for part in range(5):
                await tell({"part": part})
                await device.clock.sleep(1)

        device.table.add("long", "Long.", long, tells=True)
        await device.deliver("long", "c1", {})
        await until(lambda: len(device.statuses()) == 2)
        await device.clock.advance(6)
        await until(lambda: device.statuses()[-1][1] == "succeeded")
        told = [r for r in results(device) if r]
        assert told == [{"part": 0}, {"part": 2}, {"part": 4}]

    run(tmp_path, story)


def test_a_flood_is_turned_away_and_told_once(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        for number in range(1000):
            await device.deliver("nonsense", f"c{number}", {})
        answered = device.statuses()
        assert len([s for s in answered if s[2] == "unknown_command"]) == 120
        assert len([s for s in answered if s[2] == "too_many"]) == 10
        assert [c.code for c in device.health.conditions()] == ["commands.flood"]
        await device.clock.advance(400)
        assert not list(device.health.conditions())
        (told,) = [b for b in device.recorder.bodies if isinstance(b, ErrorEvent)]
        assert told.counts == {"too_many": 880}
        await device.deliver("greet", "last", {"params": {"name": "Li"}})
        await until(lambda: device.ran)

    run(tmp_path, story)


def test_what_prints_is_limited_more_strictly(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        done: list[str] = []

        async def paper(_params: Any, by: str) -> None:
            done.append(by)

        device.table.add("paper", "Print.", paper, cost=6)
        for number in range(100):
            await device.deliver("paper", f"c{number}", {})
        await until(lambda: len(done) == 20)
        assert len([s for s in device.statuses() if s[1] == "accepted"]) == 20

    run(tmp_path, story)


def test_a_command_that_only_reads_is_begun_again_once_after_a_restart(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        async def look(_params: Any, by: str) -> str:
            device.ran.append(by)
            return "seen"

        device.table.add("look", "Look.", look, changes=False)
        sql = """INSERT INTO commands (cmd_id, name, status, received, params, tries)
                 VALUES (?, 'look', 'running', 0, x'7b7d', ?)"""
        rows = [("c1", 1), ("c2", 2)]
        await device.database.write(lambda tx: tx.executemany(sql, rows))
        again = CommandService(
            device.table, device.database, device.clock, device.recorder, device._reply
        )
        heartbeat = Heartbeat("commands", device.clock, device.health)
        serving = asyncio.ensure_future(again.run(heartbeat))
        await until(lambda: ("c1", "succeeded", None) in device.statuses())
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        assert ("c1", "running", "resumed") in device.statuses()
        assert ("c2", "unknown", "restarted") in device.statuses()
        assert device.ran == ["command:c1"]

    async def main() -> None:
        device = Device(tmp_path)
        await device.database.open()
        try:
            await story(device)
        finally:
            await device.database.close()

    asyncio.run(main())


@given(payload=st.binary(max_size=300), rest=st.lists(st.text(max_size=70), max_size=3))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_accepted_or_refused(payload: bytes, rest: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        device = Device(Path(folder))
        connection = sqlite3.connect(":memory:")
        migrate(connection)
        message = Incoming("t", topics.Address("d", "cmd", tuple(rest)), payload)
        with connection:
            try:
                device.service.handle(connection, message)
            except Rejected as rejected:
                device.service.refuse(connection, message, rejected)
        connection.close()
