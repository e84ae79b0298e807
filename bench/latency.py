"""Live latency on loopback: from an event's record() to the far end, and an order to its paper.

    .venv/bin/python bench/latency.py [--events 500] [--orders 100]

Events: the outbox and the uplink in a process of their own, one event at a time with a pause, so
that nothing is batched; `critical` is committed first. Orders: the whole shop agent; from the
PUBLISH of the order until the virtual printer (in this process) cut the paper, and until `printed`
is here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from agent.contract import topics
from agent.contract.commands import Ack
from agent.contract.events import Audit, Stock
from agent.contract.orders import Item, Order
from agent.contract.wire import encode
from agent.core.clock import SystemClock
from bench import idle
from bench.common import DEVICE, Broker, Child, python, table
from bench.ours import Device, say


class Listener:
    """A back end that notes when what came, and acknowledges."""

    def __init__(self, port: int, device: str) -> None:
        self.device = device
        self.came: dict[str, float] = {}
        self.arrived = threading.Condition()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, "far", protocol=mqtt.MQTTv5)
        self.client.on_message = self._on_message
        # Else an order waits up to 40 ms behind TCP's acknowledgement of the PUBACK before it.
        self.client.on_socket_open = lambda *told: told[2].setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )
        self.client.on_connect = lambda *_: self.client.subscribe(f"edge/v1/{device}/#", 1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def _on_message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage):
        now = time.monotonic()
        address = topics.parse(message.topic)
        if address is None or address.branch not in ("evt", "state"):
            return
        told = json.loads(message.payload)
        if address.branch == "state":
            key = told["state"]
        else:
            body = told["body"]
            key = body.get("action") or body.get("sku") or ""
            if address.rest[0] == "print":
                key = f"{body['state']} {body['order_id']}"
            ack = encode(Ack(told["epoch"], told["seq"]))
            self.client.publish(topics.ack(self.device, told["stream"]), ack, 1)
        with self.arrived:
            self.came.setdefault(key, now)
            self.arrived.notify_all()

    def wait(self, key: str) -> float:
        with self.arrived:
            if not self.arrived.wait_for(lambda: key in self.came, 30):
                raise TimeoutError(key)
        return self.came[key]


async def record(port: int, events: int) -> None:
    """In the device's process: the monotonic second of each record() as a JSON line."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        device = Device(Path(folder) / "agent.db")
        await device.open()
        uplink = device.uplink(port, "backend")
        running = device.services(uplink)
        while uplink.up_since is None:
            await asyncio.sleep(0.01)
        await asyncio.sleep(1.0)
        rng = random.Random(1)
        for n in range(events):
            await asyncio.sleep(rng.uniform(0.01, 0.03))
            for key, body in (
                (f"a{n}", Audit(action=f"a{n}", by="bench")),
                (f"s{n}", Stock(sku=f"s{n}", available=True)),
            ):
                start = time.monotonic()
                await device.outbox.record(body)
                say(key=key, t=start)
                await asyncio.sleep(rng.uniform(0.01, 0.03))
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await device.close()


def live(folder: Path, events: int) -> list[tuple[str, list[float]]]:
    broker = Broker(folder / "live")
    listener = Listener(broker.port, DEVICE)
    sender = Child(python("latency.py", "--record", broker.port, "--events", events))
    times: dict[str, list[float]] = {"a": [], "s": []}
    for _ in range(2 * events):
        line = sender.hear()
        times[line["key"][0]].append((listener.wait(line["key"]) - line["t"]) * 1000)
    sender.process.wait()
    listener.client.loop_stop()
    broker.end()
    return [
        ("critical event, committed first -> far end", times["a"]),
        ("state event -> far end", times["s"]),
    ]


def orders(folder: Path, count: int) -> list[tuple[str, list[float]]]:
    broker = Broker(folder / "shop")
    papers: list[float] = []
    port = idle.printer(lambda: papers.append(time.monotonic()))
    listener = Listener(broker.port, "sh-021-01")
    agent = idle.agent(folder / "shop", broker.port, port)
    listener.wait("online")
    time.sleep(3)
    paper, printed = [], []
    clock = SystemClock()
    for n in range(count):
        order = Order(
            order_id=f"bench-{n}",
            version=1,
            status="pending",
            placed_at=int(clock.wall() * 1000),
            items=[Item(name="宫保鸡丁", qty=1), Item(name="米饭", qty=2)],
        )
        before = len(papers)
        start = time.monotonic()
        listener.client.publish(topics.order("sh-021-01", order.order_id), encode(order), 1)
        printed.append((listener.wait(f"printed {order.order_id}") - start) * 1000)
        paper.append((papers[-1] - start) * 1000 if len(papers) > before else float("nan"))
        time.sleep(0.05)
    agent.end()
    listener.client.loop_stop()
    broker.end()
    return [
        ("order published -> its paper is cut", paper),
        ("order published -> `printed` at the far end", printed),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=500)
    parser.add_argument("--orders", type=int, default=100)
    parser.add_argument("--record", type=int, help="internal: the port for the device's process")
    options = parser.parse_args()
    if options.record:
        asyncio.run(record(options.record, options.events))
        return
    with tempfile.TemporaryDirectory(dir=".") as name:
        found = live(Path(name), options.events) + orders(Path(name), options.orders)
    rows = []
    for what, times in found:
        cuts = statistics.quantiles(times, n=100)
        rows.append((what, f"{cuts[49]:.1f}", f"{cuts[98]:.1f}", f"{max(times):.1f}", len(times)))
    table("Live latency on loopback, ms", ("path", "p50", "p99", "worst", "n"), rows)


if __name__ == "__main__":
    main()
