"""Three nodes of RabbitMQ 4: the one that a device is connected to ends, and its events go on.

    PYTHONPATH=. EDGE_TEST_RABBITMQ_ROOT=ROOT .venv/bin/python bench/failover.py [--rounds 10]

The agent's outbox and uplink record 50 events a second; `edge-agent consume` stores them and
acknowledges. Then the device's node gets SIGKILL, or SIGSTOP (as a machine without power: nobody
says that the connection is over; the keep-alive here is 5 s). Each line: seconds until it was
connected to another node, the longest silence of acknowledgements, and until all that was recorded
before it was connected again is acknowledged.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.agent.consumer.cluster import NODES, Cluster, Rider
from tests.agent.consumer.support import rows
from tests.agent.consumer.test_processes import Instance
from tests.support import until

EVERY_S = 0.02


async def rounds(cluster: Cluster, rider: Rider, how: str, count: int) -> list[list[float]]:
    found = []
    numbers = itertools.count()
    async with rider.alive(), asyncio.TaskGroup() as group:

        async def record() -> None:
            while True:
                await rider.record(next(numbers))
                await asyncio.sleep(EVERY_S)

        recording = group.create_task(record())
        for _ in range(count):
            await until(lambda: rider.up and rider.acked > 100, "it is connected", 60)
            await asyncio.sleep(3)
            node = cluster.node_at(rider.link.url)
            times = await pause(cluster, rider, node, how)
            found.append(times)
            print(f"{how} node {node}: {' '.join(f'{t:.1f}' for t in times)} s", flush=True)
            if how == "freeze":
                cluster.kill(node)
            await asyncio.to_thread(cluster.start, node)
        recording.cancel()
        await until(lambda: rider.acked == sum(rider.recorded.values()), "all is acknowledged", 60)
    return found


async def pause(cluster: Cluster, rider: Rider, node: int, how: str) -> list[float]:
    due = sum(rider.recorded.values())
    begin = moved = time.monotonic()
    longest, elsewhere, before = 0.0, 0.0, rider.acked
    cluster.freeze(node) if how == "freeze" else cluster.kill(node)
    while rider.acked < due or not elsewhere:
        await asyncio.sleep(0.005)
        now = time.monotonic()
        if rider.acked > before:
            longest, before, moved = max(longest, now - moved), rider.acked, now
        if not elsewhere and rider.up and rider.link.url != cluster.mqtt(node):
            elsewhere, due = now - begin, sum(rider.recorded.values())
    return [elsewhere, longest, time.monotonic() - begin]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--freezes", type=int, default=3)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cluster = Cluster()
        stack.callback(cluster.close)
        database = f"sqlite:///{folder}/record.db"
        urls = ",".join(cluster.amqp(node) for node in reversed(NODES))
        for n in (0, 1):
            consumer = Instance(folder, f"queue{n}", database, urls, f"ingest.{n}")
            stack.callback(consumer.kill)
        for how, count in (("kill", options.rounds), ("freeze", options.freezes)):
            if not count:
                continue
            rider = Rider(folder, f"rd-{how}", [cluster.mqtt(node) for node in NODES])
            found = asyncio.run(rounds(cluster, rider, how, count))
            for what, times in zip(
                ("connected elsewhere", "longest silence of acks", "all before it stored"),
                zip(*found, strict=True),
                strict=True,
            ):
                print(f"{how}: {what}: median {statistics.median(times):.1f} s, "
                      f"most {max(times):.1f} s, of {count}")  # fmt: skip
            stored = Counter(
                rows(database, f"SELECT stream, seq FROM event WHERE device = '{rider.name}'")
            )
            lost = sum(rider.recorded.values()) - len(stored)
            print(f"{how}: {lost} of {sum(rider.recorded.values())} lost")
        print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
