"""Commands over MQTT: each ends once, in the open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.contract import topics
from agent.contract.errors import Rejected
from agent.contract.events import Audit, CommandEvent
from agent.contract.wire import encode
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.fleet.commands import CommandService, CommandTable
from agent.store.database import Database
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
            self.table, self.database, self.clock, self.recorder, self._reply
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
