"""From the PUBLISH of an order to the first sample of its chime, with the whole shop agent.

    .venv/bin/python bench/alert.py [--orders 100]

The loudspeaker is an ALSA device that writes into a pipe which this process reads: a sample counts
when `aplay` handed it over. What a real sound card adds is not in the figure. Each order is
acknowledged over MQTT, so that the next one is heard at once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from agent.contract import topics
from agent.contract.orders import Item, Order
from agent.contract.wire import encode
from bench.common import DEVICE, Broker, Child, table

QUIET_S = 0.4  # so long nothing must come out of the pipe before the next order


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=100)
    orders = parser.parse_args().orders
    with tempfile.TemporaryDirectory() as name:
        took = run(Path(name), orders)
    cuts = [f"{quantile(took, share):.1f}" for share in (0.5, 0.9, 0.99, 1.0)]
    head = ("", "p50 ms", "p90 ms", "p99 ms", "worst ms")
    table(f"{orders} orders", head, [("PUBLISH -> first sample of the chime", *cuts)])


def run(folder: Path, orders: int) -> list[float]:
    pipe = folder / "samples"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    sound = folder / "asound.conf"
    sound.write_text(
        f'pcm.pipe {{ type file slave.pcm {{ type null }} file "{pipe}" format "raw" }}\n'
    )
    os.environ["ALSA_CONFIG_PATH"] = str(sound)
    broker = Broker(folder / "broker")
    config = folder / "shop.toml"
    config.write_text(
        f'role = "shop"\n[device]\nid = "{DEVICE}"\nclock = "trusted"\n'
        f'[store]\npath = "{folder}/a.db"\n'
        f'[uplink]\nurl = "mqtt://127.0.0.1:{broker.port}"\nconfirm = "broker"\n'
        '[sound]\ndriver = "alsa"\ndevice = "pipe"\n'
        '[[printer]]\nname = "kitchen"\nuri = "simulated://"\n'
    )
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "far", protocol=mqtt.MQTTv5)
    online = threading.Event()
    client.on_message = lambda _c, _u, m: (
        json.loads(m.payload)["state"] == "online" and online.set()
    )
    client.on_connect = lambda *_: client.subscribe(f"edge/v1/{DEVICE}/state", 1)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    command = [sys.executable, "-m", "agent", "run", "--config", str(config)]
    agent = Child(command, log=folder / "log")
    if not online.wait(30):
        raise TimeoutError((folder / "log").read_text())
    rng, took = random.Random(1), []
    for n in range(orders):
        drain(reader)
        time.sleep(rng.uniform(0.0, 0.05))
        order = Order(order_id=f"o{n}", version=1, status="pending", placed_at=0, items=[Item("x")])
        start = time.monotonic()
        client.publish(topics.order(DEVICE, order.order_id), encode(order), 1)
        if not select.select([reader], [], [], 10)[0]:
            raise TimeoutError(f"order {n} was not heard")
        took.append((time.monotonic() - start) * 1000)
        client.publish(topics.command(DEVICE, "alert.ack", f"c{n}"), b"{}", 1)
    client.loop_stop()
    agent.process.terminate()
    agent.process.wait()
    broker.end()
    os.close(reader)
    return took


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def drain(reader: int) -> None:
    """Until it has been quiet for a while."""
    while select.select([reader], [], [], QUIET_S)[0]:
        os.read(reader, 1 << 20)


if __name__ == "__main__":
    main()
