"""A backlog of 100,000 records of 200 bytes, stored while offline: how fast it leaves, and cost.

    .venv/bin/python bench/drain.py [--records 100000] [--rounds 3] [--only ours-backend,bridge]

From the first record at the far end to the last one. Everybody in a process of its own, one after
the other in each round, to a fresh mosquitto; the far end is bench/sink.py.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import statistics
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import peers, sink
from bench.common import (
    LONG_BYTES,
    Broker,
    Child,
    compact,
    free_port,
    median_ratio,
    positions,
    python,
    rounds,
    table,
)


@dataclass(frozen=True)
class Drained:
    per_s: float
    peak_mb: float
    cpu_s: float
    acked_s: float | None = None  # ours: until the outbox was empty, from the first record on
    megabytes: float = 0.0  # payloads on the wire

    def __str__(self) -> str:
        more = f", acked {self.acked_s:.2f} s" if self.acked_s else ""
        return f"{self.per_s:,.0f}/s, {self.peak_mb:.0f} MB, {self.cpu_s:.2f} s CPU{more}"


def far_end(port: int, records: int) -> Child:
    end = Child(python("sink.py", port, records))
    assert end.hear()["event"] == "ready"
    return end


def watch(end: Child, sender: Child) -> tuple[float, float, float, float]:
    """Records per second, CPU seconds, megabytes, and when the first record came."""
    first = end.hear()
    cpu = sender.cpu_s()
    done = end.hear()
    cpu = sender.cpu_s() - cpu
    rate = (done["records"] - first["records"]) / (done["t"] - first["t"])
    return rate, cpu, done["bytes"] / 1e6, first["t"]


class Bench:
    def __init__(self, folder: Path, records: int) -> None:
        self.folder = folder
        self.records = records
        self.bodies = list(positions(records, long=True))
        self.filled = folder / "filled.db"
        Child(python("ours.py", "fill", self.filled, records, "long")).process.wait()
        self.number = 0

    def place(self) -> Path:
        self.number += 1
        place = self.folder / f"{self.number}"
        place.mkdir()
        return place

    def ours(self, confirm: str) -> Drained:
        place = self.place()
        shutil.copy(self.filled, place / "agent.db")
        broker = Broker(place)
        end = far_end(broker.port, self.records)
        sender = Child(python("ours.py", "drain", place / "agent.db", broker.port, confirm))
        sender.hear()
        rate, _, size, first = watch(end, sender)
        empty = sender.hear()
        result = Drained(rate, sender.memory_mb(), empty["cpu_s"], empty["t"] - first, size)
        return self.over(result, sender, end, broker)

    def thingsboard(self, pack: int) -> Drained:
        place = self.place()
        broker = peers.cloud(place)
        end = far_end(broker.port, self.records)
        sender = peers.thingsboard(place, broker.port, self.bodies, pack=pack, opaque=True)
        rate, cpu, size, _ = watch(end, sender)
        return self.over(Drained(rate, sender.memory_mb(), cpu, None, size), sender, end, broker)

    def bridge(self) -> Drained:
        """Two brokers; the far one comes up when the near one has queued everything."""
        place, port = self.place(), free_port()
        near = Broker(
            place,
            lines=f"connection far\naddress 127.0.0.1:{port}\ntopic raw/# out 1\n"
            "bridge_protocol_version mqttv50\nrestart_timeout 1\ncleansession false\n"
            "local_cleansession false\n",
        )
        feed(near.port, self.bodies)
        far = Broker(place / "far", port=port)
        end = far_end(port, self.records)
        rate, cpu, size, _ = watch(end, near)
        return self.over(Drained(rate, near.memory_mb(), cpu, None, size), near, end, far)

    def paho(self, how: str) -> Drained:
        place = self.place()
        count = min(self.records, 65_535) if how == "queue" else self.records
        broker = Broker(place)
        end = far_end(broker.port, count)
        command = [peers.install(), peers.__file__, "paho", broker.port, count, "long", how]
        sender = Child([str(part) for part in command])
        sender.hear()
        rate, cpu, size, _ = watch(end, sender)
        return self.over(Drained(rate, sender.memory_mb(), cpu, None, size), sender, end, broker)

    def over(self, result: Drained, *children: Child) -> Drained:
        for child in children:
            child.end()
        shutil.rmtree(self.folder / f"{self.number}")
        return result


def feed(port: int, bodies: list[dict]) -> None:
    """Publish at QoS 1 over a bare socket, and wait for every PUBACK."""
    with socket.create_connection(("127.0.0.1", port)) as out:
        hello = sink.text(b"MQTT") + b"\x04\x02\x00\x00" + sink.text(b"feed")
        out.sendall(sink.packet(0x10, hello))
        waiting = 4  # CONNACK
        for number, body in enumerate(bodies):
            mid = (number % 65_000 + 1).to_bytes(2)
            out.sendall(sink.packet(0x32, sink.text(b"raw/position") + mid + compact(body)))
            waiting += 4
            while waiting > 4 * 500:
                waiting -= len(out.recv(65536))
        while waiting > 0:
            waiting -= len(out.recv(65536))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    peers.install()
    with tempfile.TemporaryDirectory(dir=peers.VENV.parent) as folder:
        bench = Bench(Path(folder), options.records)
        candidates = {
            "ours-backend": partial(bench.ours, "backend"),
            "thingsboard": partial(bench.thingsboard, 1000),
            "ours-broker": partial(bench.ours, "broker"),
            "bridge": bench.bridge,
            "thingsboard-10k": partial(bench.thingsboard, 10_000),
            "paho-queue": partial(bench.paho, "queue"),
            "paho-window": partial(bench.paho, "window"),
        }
        only = set(filter(None, options.only.split(",")))
        found = rounds(
            options.rounds, {n: c for n, c in candidates.items() if not only or n in only}
        )
    show(options.records, found)


def show(records: int, found: dict[str, list[Drained]]) -> None:
    def middle(name: str, what: str) -> float:
        return statistics.median(getattr(one, what) for one in found[name])

    def column(name: str, what: str) -> list[float]:
        return [getattr(one, what) for one in found[name]]

    rows = []
    for name, runs in found.items():
        times = [one.acked_s for one in runs if one.acked_s is not None]
        rows.append(
            (
                name,
                f"{middle(name, 'per_s'):,.0f}",
                f"{middle(name, 'peak_mb'):.0f}",
                f"{middle(name, 'cpu_s'):.2f}",
                f"{middle(name, 'megabytes'):.1f}",
                f"{statistics.median(times):.2f}" if times else "",
            )
        )
    head = ("sender", "records/s", "peak RSS MB", "CPU s", "payload MB", "confirmed after s")
    table(f"Draining {records:,} records of {LONG_BYTES} bytes", head, rows)
    rows = []
    for ours in ("ours-backend", "ours-broker"):
        for peer in ("thingsboard", "thingsboard-10k", "bridge", "paho-queue", "paho-window"):
            if ours in found and peer in found:
                rows.append(
                    (
                        f"{ours} / {peer}",
                        median_ratio(column(ours, "per_s"), column(peer, "per_s")),
                        median_ratio(column(ours, "peak_mb"), column(peer, "peak_mb")),
                        median_ratio(column(ours, "cpu_s"), column(peer, "cpu_s")),
                    )
                )
    if rows:
        table("Ratios, round by round", ("pair", "rate", "peak RSS", "CPU"), rows)


if __name__ == "__main__":
    main()
