"""Instances as processes beside each other, with real brokers and databases that are killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.contract import topics
from tests.agent.consumer.rabbit import RabbitMq
from tests.agent.consumer.support import Device, Postgres, rows
from tests.support import Mosquitto, until

HOUSE = Path(__file__).parents[3]
DEVICES, EVENTS = 4, 300

pytestmark = pytest.mark.system


class Instance:
    """`edge-agent consume` as a process."""

    def __init__(self, folder: Path, name: str, to: str, from_: str, group: str = "ingest") -> None:
        self._log = folder / f"{name}.log"
        self._out = folder / f"{name}.out"
        self._command = [
            sys.executable, "-m", "agent", "consume", "--json", "--to", to, "--from", from_,
            "--name", name, "--group", group, "--batch", "40", "--session", "1",
        ]  # fmt: skip
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log, self._out.open("ab") as out:
            self.process = subprocess.Popen(self._command, cwd=HOUSE, stdout=out, stderr=log)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> dict[str, int]:
        """SIGTERM; its last words."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, self.words()
        return json.loads(self._out.read_text().splitlines()[-1])

    def words(self) -> str:
        return self._log.read_text()[-3000:]


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


def run(url: str, story) -> list[Device]:
    """The story, with devices that send meanwhile."""
    devices = [Device(url, f"d{n}", EVENTS) for n in range(DEVICES)]

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(device.run()) for device in devices]
            await story(devices)
            await until(lambda: all(d.acked == EVENTS for d in devices), "all are acknowledged", 60)
            for task in tasks:
                task.cancel()

    asyncio.run(main())
    return devices


async def part(devices: list[Device], share: float) -> None:
    """Wait until this share of all events is acknowledged; then let them send more."""
    wanted = share * DEVICES * EVENTS
    await until(lambda: sum(d.acked for d in devices) >= wanted, f"{share} is acknowledged", 60)
    for device in devices:
        device.allow(share + 0.25)


def everything_is_there_once(database: str, devices: list[Device]) -> None:
    found = Counter(rows(database, "SELECT device, seq FROM event"))
    assert found == Counter((d.name, seq) for d in devices for seq in range(1, EVENTS + 1))
    assert rows(database, "SELECT * FROM missing") == []
    assert rows(database, "SELECT DISTINCT contiguous, newest FROM mark") == [(EVENTS, EVENTS)]
    for device in devices:
        assert device.wrong == [], "an acknowledgement of what was never sent"
        assert max(device.acks) == EVENTS


def test_two_instances_survive_the_death_of_each_part(
    tmp_path: Path, broker: Mosquitto, stack: contextlib.ExitStack
) -> None:
    postgres = Postgres()
    stack.callback(postgres.close)
    database = postgres.database()
    one, two = (Instance(tmp_path, name, database, broker.url) for name in ("one", "two"))
    stack.callback(one.kill)
    stack.callback(two.kill)

    async def story(devices: list[Device]) -> None:
        await part(devices, 0.15)
        one.kill()  # its messages stay unacknowledged; the other one goes on
        await part(devices, 0.3)
        one.start()
        postgres.kill()
        await asyncio.to_thread(postgres.start)
        await part(devices, 0.5)
        broker.kill()
        await asyncio.to_thread(broker.start)
        await part(devices, 0.75)

    devices = run(broker.url, story)
    # What an instance has not stored when it stops waits at the broker for the next one.
    states = "SELECT DISTINCT state FROM device"
    asyncio.run(until(lambda: rows(database, states) == [("offline",)], "the last words"))
    last = [one.stop(), two.stop()]
    everything_is_there_once(database, devices)
    assert all(words["events"] > 0 for words in last), "both had a share of the work"
    assert rows(database, states) == [("offline",)]


def test_two_instances_share_a_sqlite_file(
    tmp_path: Path, broker: Mosquitto, stack: contextlib.ExitStack
) -> None:
    database = f"sqlite:///{tmp_path}/events.db"
    one, two = (Instance(tmp_path, name, database, broker.url) for name in ("one", "two"))
    stack.callback(one.kill)
    stack.callback(two.kill)

    async def story(devices: list[Device]) -> None:
        await part(devices, 0.25)
        two.kill()
        await part(devices, 0.5)
        two.start()
        await part(devices, 0.75)

    devices = run(broker.url, story)
    one.stop(), two.stop()
    everything_is_there_once(database, devices)


def test_rabbitmq_in_between_survives_the_same(tmp_path: Path, stack: contextlib.ExitStack) -> None:
    rabbit = RabbitMq()
    stack.callback(rabbit.close)
    postgres = Postgres()
    stack.callback(postgres.close)
    database = postgres.database()
    one, two = (
        Instance(tmp_path, f"queue{n}", database, rabbit.amqp, f"ingest.{n}") for n in (0, 1)
    )
    stack.callback(one.kill)
    stack.callback(two.kill)

    async def story(devices: list[Device]) -> None:
        await part(devices, 0.15)
        one.kill()
        await part(devices, 0)
        one.start()
        await part(devices, 0.3)
        postgres.kill()
        await asyncio.to_thread(postgres.start)
        await part(devices, 0.5)
        rabbit.kill()
        await asyncio.to_thread(rabbit.start)
        await part(devices, 0.75)

    devices = run(rabbit.mqtt, story)
    last = [one.stop(), two.stop()]
    everything_is_there_once(database, devices)
    assert all(words["events"] > 0 for words in last), "both had a share of the work"
    assert topics.ack(devices[0].name, "critical") in devices[0].topics
