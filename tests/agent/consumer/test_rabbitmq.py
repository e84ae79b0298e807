"""What RabbitMQ 4 makes of topics, ids and full queues; with the definitions that are shipped."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pika
import pytest

from agent.contract import topics
from agent.core.clock import SystemClock
from agent.uplink.link import Link, LinkSettings, Message
from tests.agent.consumer.cluster import Rider
from tests.agent.consumer.rabbit import RabbitMq
from tests.agent.consumer.support import rows
from tests.agent.consumer.test_processes import Instance
from tests.support import until

pytestmark = pytest.mark.system
QUEUES = ("edge.ingest.0", "edge.ingest.1")


@pytest.fixture(scope="module")
def rabbit() -> Iterator[RabbitMq]:
    rabbit = RabbitMq()
    yield rabbit
    rabbit.close()


@contextlib.contextmanager
def channel(rabbit: RabbitMq) -> Iterator[pika.adapters.blocking_connection.BlockingChannel]:
    connection = pika.BlockingConnection(pika.URLParameters(rabbit.amqp))
    yield connection.channel()
    connection.close()


def everything(rabbit: RabbitMq, queue: str) -> list[tuple[str, bytes]]:
    """Topic and payload of what lies in a queue, taken out."""
    found = []
    with channel(rabbit) as open_:
        while (got := open_.basic_get(queue, auto_ack=True))[0] is not None:
            found.append((got[0].routing_key.replace(".", "/"), got[2]))
    return found


def test_one_device_stays_on_one_queue_and_in_order(tmp_path: Path, rabbit: RabbitMq) -> None:
    count = 40

    async def ride(name: str) -> None:
        rider = Rider(tmp_path, name, [rabbit.mqtt], id_property="device")
        async with rider.alive():
            await until(lambda: rider.up, "it is connected")
            for number in range(count):
                await rider.record(number)
                await asyncio.sleep(0.005)  # one by one, as they happen
            await until(lambda: all(len(seen[name, s]) >= n for s, n in rider.recorded.items()))

    seen: dict[tuple[str, str], list[int]] = {}
    where: dict[str, set[str]] = {}
    names = [f"rd-{n}" for n in range(12)]
    for name in names:
        for stream in ("critical", "state", "telemetry"):
            seen[name, stream] = []

    async def look() -> None:
        while True:
            for queue in QUEUES:
                for topic, payload in await asyncio.to_thread(everything, rabbit, queue):
                    address = topics.parse(topic)
                    assert address is not None
                    where.setdefault(address.device, set()).add(queue)
                    if address.branch == "evt":
                        event = json.loads(payload)
                        seen[address.device, event["stream"]].append(event["seq"])
            await asyncio.sleep(0.05)

    async def main() -> None:
        looking = asyncio.create_task(look())
        await asyncio.gather(*(ride(name) for name in names))
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)

    asyncio.run(main())
    assert all(len(queues) == 1 for queues in where.values()), where
    assert set().union(*where.values()) == set(QUEUES), "both have their share"
    for numbers in seen.values():
        assert list(dict.fromkeys(numbers)) == list(range(1, len(set(numbers)) + 1))


@pytest.mark.parametrize("by", ["mqtt", "amqp"])
def test_commands_and_orders_with_a_dot_reach_the_device(rabbit: RabbitMq, by: str) -> None:
    came: list[topics.Address | None] = []
    up: list[object] = []
    device = f"dotted-{by}"

    def link(name: str, take: list[topics.Address | None], wanted: list[str]) -> Link:
        def on_message(message: Message) -> None:
            take.append(topics.parse(message.topic))
            made.acknowledge(message)

        settings = LinkSettings(
            rabbit.mqtt, name, tuple(wanted), username="guest", password="guest"
        )
        made = Link(
            settings, SystemClock(), on_message=on_message, on_up=up.append,
            on_down=lambda _: None,
        )  # fmt: skip
        return made

    async def main() -> None:
        sender = link(f"sender-{by}", [], [])
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(one.run())
                for one in (sender, link(device, came, topics.subscriptions(device)))
            ]
            await until(lambda: len(up) == 2, "both are connected")
            for topic in (
                topics.command(device, "order.accept", "c1"),
                topics.order(device, "A.17"),
            ):
                if by == "mqtt":
                    sender.publish(topic, b"{}")
                else:
                    with channel(rabbit) as open_:
                        open_.basic_publish("amq.topic", topic.replace("/", "."), b"{}")
            await until(lambda: len(came) == 2, "both arrive")
            for task in running:
                task.cancel()

    asyncio.run(main())
    assert came == [(device, "cmd", ("order.accept", "c1")), (device, "order", ("A.17",))]


def test_a_full_queue_is_refused_and_the_device_keeps_what_it_has(
    tmp_path: Path, rabbit: RabbitMq
) -> None:
    """No consumer for long: the broker's disk does not fill, and nothing is lost."""
    rabbit.ctl(
        "set_policy", "--priority", "5", "full", r"^edge\.ingest\.",
        '{"max-length": 50, "overflow": "reject-publish"}', "--apply-to", "quorum_queues",
    )  # fmt: skip
    rider = Rider(tmp_path, "rd-full", [rabbit.mqtt], id_property="device")
    database = f"sqlite:///{tmp_path}/record.db"

    def waiting() -> int:
        told = rabbit.ctl("-q", "list_queues", "--no-table-headers", "messages")
        return sum(int(line) for line in told.split() if line.isdigit())

    async def story() -> None:
        async with rider.alive():
            await until(lambda: rider.up, "it is connected")
            for number in range(600):
                await rider.record(number)
                await asyncio.sleep(0.001)  # one by one
            looks = [-1, 0]
            while looks[-1] != looks[-2]:  # ctl takes a second
                looks.append(await asyncio.to_thread(waiting))
            assert 50 <= looks[-1] < 300
            assert rider.acked == 0
            rabbit.ctl("clear_policy", "full")
            consumers = [
                Instance(tmp_path, queue, database, rabbit.amqp, queue.removeprefix("edge."))
                for queue in QUEUES
            ]
            try:
                await until(lambda: rider.acked == 600, "all are acknowledged", 60)
            finally:
                for consumer in consumers:
                    consumer.kill()

    asyncio.run(story())
    assert rows(database, "SELECT count(*) FROM event WHERE device = 'rd-full'") == [(600,)]
