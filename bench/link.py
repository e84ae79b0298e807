"""A bad mobile link (80 ms RTT, 64 kB/s up): 4,000 positions drain while something urgent happens.

    .venv/bin/python bench/link.py [--records 4000] [--rounds 3]

Everybody sends the same position bodies. Seconds from the first record at the far end to the last;
for ours also what a critical event recorded in between takes until the back end's acknowledgement,
against the same with nothing else on the link.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import peers
from bench.common import Broker, Child, median_ratio, positions, python, rounds, table

URGENT_EVERY_S = 0.3


@dataclass
class Crossed:
    seconds: float
    kilobytes: float
    urgent_ms: list[float] = field(default_factory=list)  # during the drain
    idle_ms: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        words = f"{self.seconds:.1f} s, {self.kilobytes:.0f} kB"
        if self.urgent_ms:
            shown = " ".join(f"{ms:.0f}" for ms in self.urgent_ms)
            words += f", urgent {shown} ms, idle {statistics.median(self.idle_ms):.0f} ms"
        return words


class Bench:
    def __init__(self, folder: Path, records: int) -> None:
        self.folder = folder
        self.records = records
        self.bodies = list(positions(records))
        self.filled = folder / "filled.db"
        Child(python("ours.py", "fill", self.filled, records)).process.wait()
        self.number = 0

    def stage(self, make: Callable[[Path], Broker] = Broker) -> tuple[Path, int, list[Child]]:
        """A broker, its far end, and the link: the port to connect to."""
        self.number += 1
        place = self.folder / str(self.number)
        place.mkdir()
        broker = make(place)
        end = Child(python("sink.py", broker.port, self.records))
        end.hear()
        relay = Child(python("relay.py", broker.port))
        return place, relay.hear()["port"], [end, relay, broker]

    def ours(self) -> Crossed:
        place, port, stage = self.stage()
        shutil.copy(self.filled, place / "agent.db")
        sender = Child(python("ours.py", "drain", place / "agent.db", port, "backend"))
        sender.hear()
        first = stage[0].hear()
        urgent: list[float] = []
        empty = None
        while empty is None:
            sender.tell("urgent")
            while (line := sender.hear())["event"] != "urgent":
                empty = line
            if empty is None:
                urgent.append(line["s"] * 1000)
                time.sleep(URGENT_EVERY_S)
        done = next(line for line in iter(stage[0].hear, None) if line["event"] == "done")
        idle = []
        for _ in range(7):
            sender.tell("urgent")
            idle.append(sender.hear()["s"] * 1000)
        result = Crossed(done["t"] - first["t"], done["bytes"] / 1000, urgent, idle)
        return self.over(result, sender, *stage)

    def thingsboard(self) -> Crossed:
        place, port, stage = self.stage(peers.cloud)
        return self.watch(peers.thingsboard(place, port, self.bodies), stage)

    def paho(self) -> Crossed:
        _, port, stage = self.stage()
        command = [peers.install(), peers.__file__, "paho", port, self.records, "short", "window"]
        return self.watch(Child(command), stage)

    def watch(self, sender: Child, stage: list[Child]) -> Crossed:
        first, done = stage[0].hear(), stage[0].hear()
        result = Crossed(done["t"] - first["t"], done["bytes"] / 1000)
        return self.over(result, sender, *stage)

    def over(self, result: Crossed, *children: Child) -> Crossed:
        for child in children:
            child.end()
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    peers.install()
    with tempfile.TemporaryDirectory(dir=peers.VENV.parent) as folder:
        bench = Bench(Path(folder), options.records)
        candidates = {"ours": bench.ours, "thingsboard": bench.thingsboard, "paho": bench.paho}
        only = set(filter(None, options.only.split(",")))
        found = rounds(
            options.rounds, {n: c for n, c in candidates.items() if not only or n in only}
        )
    rows = [
        (
            name,
            f"{statistics.median(one.seconds for one in runs):.1f}",
            f"{statistics.median(one.kilobytes for one in runs):.0f}",
        )
        for name, runs in found.items()
    ]
    table(f"80 ms, 64 kB/s up: {options.records:,} positions", ("sender", "s", "payload kB"), rows)
    seconds = {name: [one.seconds for one in runs] for name, runs in found.items()}
    rows = [
        (f"{peer} / ours", median_ratio(seconds[peer], seconds["ours"]))
        for peer in seconds
        if peer != "ours"
    ]
    urgent = [ms for one in found["ours"] for ms in one.urgent_ms]
    idle = statistics.median(ms for one in found["ours"] for ms in one.idle_ms)
    rows += [
        ("urgent while draining, ms: median / worst", _two(urgent)),
        ("urgent with nothing else, ms", f"{idle:.0f}"),
        (f"urgent / idle: median / worst of {len(urgent)}", _two([ms / idle for ms in urgent])),
    ]
    table("Ratios of seconds, round by round; urgent events", ("figure", "value"), rows)


def _two(values: list[float]) -> str:
    digits = 0 if max(values) > 20 else 2
    return f"{statistics.median(values):.{digits}f} / {max(values):.{digits}f}"


if __name__ == "__main__":
    main()
