"""Three nodes of RabbitMQ 4: the one that a device is connected to is killed in mid-stream."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.consumer.cluster import NODES, Cluster, Rider
from tests.agent.consumer.support import Postgres, rows
from tests.agent.consumer.test_processes import Instance
from tests.support import until

pytestmark = pytest.mark.system
EVENTS = 1500


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.close()


def test_no_event_is_lost_with_the_node_of_a_device(tmp_path: Path, nodes: Cluster) -> None:
    """First the device's node, then the next one, which is the consumer's too."""
    with contextlib.ExitStack() as stack:
        postgres = Postgres()
        stack.callback(postgres.close)
        database = postgres.database()
        order = (2, 3, 1)
        consumers = [
            Instance(
                tmp_path,
                f"queue{n}",
                database,
                ",".join(nodes.amqp(node) for node in order),
                f"ingest.{n}",
            )
            for n in (0, 1)
        ]
        for consumer in consumers:
            stack.callback(consumer.kill)
        rider = Rider(tmp_path, "rd-1", [nodes.mqtt(node) for node in NODES])
        used: list[int] = []

        async def story() -> None:
            numbers = iter(range(EVENTS))
            async with rider.alive():
                for _ in range(2):
                    before = rider.acked
                    await until(lambda: rider.up, "it is connected")
                    for number in itertools.islice(numbers, EVENTS // 3):
                        await rider.record(number)
                    await until(lambda before=before: rider.acked > before, "some are stored")
                    used.append(nodes.node_at(rider.link.url))
                    nodes.kill(used[-1])
                    for number in itertools.islice(numbers, EVENTS // 6):
                        await rider.record(number)
                    await until(lambda: rider.acked == sum(rider.recorded.values()), "all", 90)
                    await asyncio.to_thread(nodes.start, used[-1])
                for number in numbers:
                    await rider.record(number)
                await until(lambda: rider.acked == EVENTS, "all are acknowledged", 90)

        asyncio.run(story())
        for consumer in consumers:
            consumer.stop()
        found = Counter(rows(database, "SELECT stream, seq FROM event"))
        assert found == Counter(
            (stream, seq) for stream, count in rider.recorded.items() for seq in range(1, count + 1)
        )
        assert rows(database, "SELECT * FROM missing") == []
        assert used[0] != used[1]
