"""Events a second into SQLite and PostgreSQL: by the store alone, and through mosquitto.

    PYTHONPATH=. .venv/bin/python bench/consuming.py [--rounds 3] [--devices 50]
    PYTHONPATH=. .venv/bin/python bench/consuming.py --fleet 5000 [--rates 333,1000] [--seconds 30]

PostgreSQL is a private one with Debian's defaults. Candidates take turns in each round; a rate of a
shared machine says little, a ratio of one round more. "floor": one JSON file appended and synced
for each transaction, which stores nothing that could be asked later.

--fleet: so many devices send positions at a steady rate (5,000 riders, one each 15 s: 333/s)
through mosquitto and one consumer into PostgreSQL; how long until a query of another connection
sees them. It looks every 20 ms, so that much of each time is the looking.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import defaultdict
from pathlib import Path

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.consumer.app import open_store
from agent.consumer.intake import read
from agent.contract.wire import NDJSON_ZLIB
from tests.agent.consumer.support import Postgres, batch, event, rows
from tests.support import Mosquitto

HOUSE = Path(__file__).parents[1]
BODY = (
    '{"lat":31.2304,"lon":121.4737,"acc":7.9,"speed":4.2,"course":181.0,'
    '"fix_t":1795359600000,"reason":"moved","profile":"seed","datum":"wgs84"}'
)


def messages(devices: int, count: int, size: int) -> list[tuple[str, bytes]]:
    """`count` events in messages of `size`, the devices taking turns."""
    made = []
    for first in range(1, count // devices + 1, size):
        for n in range(devices):
            if size == 1:
                made.append(
                    (f"edge/v1/d{n}/evt/position", event(first, stream="telemetry", body=BODY))
                )
            else:
                lines = [
                    event(seq, stream="telemetry", kind="position", body=BODY)
                    for seq in range(first, first + size)
                ]
                made.append((f"edge/v1/d{n}/batch/telemetry", zlib.compress(batch(*lines))))
    return made


def content_type(topic: str) -> str | None:
    return NDJSON_ZLIB if "/batch/" in topic else None


def into_store(database: str, sent, per_transaction: int) -> float:
    """Events a second, decoded, stored and committed, by one thread."""
    store, stored = open_store(database), 0
    store.counts()
    begin = time.perf_counter()
    for at in range(0, len(sent), per_transaction):
        part = sent[at : at + per_transaction]
        records = [r for topic, payload in part for r in read(topic, payload, content_type(topic))]
        stored += store.apply(records, 1).stored
    took = time.perf_counter() - begin
    store.close()
    return stored / took


def into_file(path: Path, sent, per_transaction: int) -> float:
    begin, stored = time.perf_counter(), 0
    with path.open("ab") as file:
        for at in range(0, len(sent), per_transaction):
            for topic, payload in sent[at : at + per_transaction]:
                lines = zlib.decompress(payload) if "/batch/" in topic else payload
                stored += lines.count(b"\n") + 1
                file.write(lines)
            file.flush()
            os.fdatasync(file.fileno())
    return stored / (time.perf_counter() - begin)


def through_broker(folder: Path, database: str, sent, instances: int) -> float:
    """Events a second from the first publish until all are in the database."""
    keeps_nothing = "autosave_on_changes false\nautosave_interval 0"
    broker = Mosquitto(folder, lines=keeps_nothing)
    total = sum(len(read(topic, payload, content_type(topic))) for topic, payload in sent)
    command = [sys.executable, "-m", "agent", "consume", "--to", database, "--from", broker.url]
    processes = [
        subprocess.Popen([*command, "--name", f"i{n}"], cwd=HOUSE, stderr=subprocess.PIPE)
        for n in range(instances)
    ]
    try:
        for process in processes:
            while b"connected" not in process.stderr.readline():
                pass
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.max_inflight_messages_set(1000)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        packed = Properties(PacketTypes.PUBLISH)
        packed.ContentType = NDJSON_ZLIB
        begin = time.perf_counter()
        for topic, payload in sent:
            client.publish(topic, payload, 1, properties=packed if "/batch/" in topic else None)
        while rows(database, "SELECT coalesce(sum(contiguous), 0) FROM mark")[0][0] < total:
            time.sleep(0.1)
        took = time.perf_counter() - begin
        client.disconnect()
        client.loop_stop()
    finally:
        for process in processes:
            process.terminate()
            process.communicate()
        broker.kill()
    return total / took


def fleet(folder: Path, postgres: Postgres, devices: int, rate: float, seconds: float) -> None:
    broker = Mosquitto(folder, lines="autosave_on_changes false\nautosave_interval 0")
    database = postgres.database()
    command = [sys.executable, "-m", "agent", "consume", "--to", database, "--from", broker.url]
    consumer = subprocess.Popen(command, cwd=HOUSE, stderr=subprocess.PIPE)
    count, sent, seen = int(rate * seconds), [], [(0.0, 0)]
    try:
        while b"connected" not in consumer.stderr.readline():
            pass
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.max_inflight_messages_set(10_000)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        looking = threading.Thread(target=look, args=(database, count, seen))
        looking.start()
        begin = time.monotonic()
        for n in range(count):
            time.sleep(max(0.0, begin + n / rate - time.monotonic()))
            payload = event(n // devices + 1, stream="telemetry", body=BODY)
            sent.append(time.monotonic())
            client.publish(f"edge/v1/d{n % devices}/evt/position", payload, 1)
        published = time.monotonic() - begin
        looking.join()
        client.disconnect()
        client.loop_stop()
        peak = Path(f"/proc/{consumer.pid}/status").read_text().split("VmHWM:")[1].split()[0]
    finally:
        consumer.terminate()
        consumer.communicate()
        broker.kill()
    delays, at = [], 0
    for when, total in seen:
        delays += [when - t for t in sent[at:total]]
        at = max(at, total)
    cuts = statistics.quantiles(delays, n=100)
    print(
        f"{devices} devices, {rate:,.0f}/s asked, {count / published:,.0f}/s sent:"
        f" visible after p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms,"
        f" most {max(delays) * 1000:.0f} ms; consumer's peak RSS {int(peak) // 1024} MB;"
        f" load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def look(database: str, count: int, seen: list[tuple[float, int]]) -> None:
    """How many events are visible, and since when at the latest."""
    with psycopg.connect(database, autocommit=True) as connection:
        while seen[-1][1] < count:
            time.sleep(0.02)
            try:
                row = connection.execute("SELECT coalesce(sum(contiguous), 0) FROM mark").fetchone()
            except psycopg.errors.UndefinedTable:
                continue
            if row[0] > seen[-1][1]:
                seen.append((time.monotonic(), int(row[0])))


def one_round(name: Path, postgres: Postgres, devices: int, found) -> None:
    singles, batches = messages(devices, 10_000, 1), messages(devices, 100_000, 40)
    shapes = {
        "1 event x 1 message": (singles[:1000], 1),
        "1 event x 500 messages": (singles, 500),
        "40 events x 50 messages": (batches, 50),
    }

    def database(kind: str) -> str:
        if kind == "postgresql":
            return postgres.database()
        return f"sqlite:///{tempfile.mkdtemp(dir=name)}/e.db"

    for shape, (sent, per_transaction) in shapes.items():
        for kind in ("sqlite", "postgresql"):
            rate = into_store(database(kind), sent, per_transaction)
            found[f"store, {shape}, {kind}"].append(rate)
        rate = into_file(Path(tempfile.mkdtemp(dir=name)) / "floor", sent, per_transaction)
        found[f"store, {shape}, floor"].append(rate)
    for instances, kind in ((1, "sqlite"), (1, "postgresql"), (2, "postgresql")):
        for shape, sent in (("singles", singles), ("batches of 40", batches)):
            folder = Path(tempfile.mkdtemp(dir=name))
            rate = through_broker(folder, database(kind), sent, instances)
            found[f"mosquitto, {shape}, {instances} x {kind}"].append(rate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--devices", type=int, default=50)
    parser.add_argument("--fleet", type=int, help="so many devices, and nothing else is measured")
    parser.add_argument("--rates", default="333,1000", help="events/s of the whole fleet")
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    postgres, found = Postgres(), defaultdict(list)
    try:
        with tempfile.TemporaryDirectory() as name:
            if options.fleet:
                for rate in options.rates.split(","):
                    folder = Path(tempfile.mkdtemp(dir=name))
                    fleet(folder, postgres, options.fleet, float(rate), options.seconds)
                return
            for _ in range(options.rounds):
                one_round(Path(name), postgres, options.devices, found)
    finally:
        postgres.close()
    for what, rates in found.items():
        each = " ".join(f"{rate:,.0f}" for rate in rates)
        print(f"{what:50} {statistics.median(rates):10,.0f} events/s   ({each})")


if __name__ == "__main__":
    main()
