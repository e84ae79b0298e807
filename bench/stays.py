"""Stays in a shop, simulated: does the rider arrive, how late, and is he said to have left?

    bench/stays.py [--seed 5] [--stays 200] [--shifts 12]

A rider comes at 4 m/s from 80 m, stays within 6 m of the beacon of a zone of 8 m, walking and
standing, and rides off. The radio is that of drivers/beacons/simulated.py: log-distance loss with
P1m -64..-55 dBm and n 1.1..2.5 drawn for each stay, shadows of 5.3 dB that change within half a
metre, 2.7 dB of noise and 13 % loss a packet, nothing below -95 dBm. Someone else is heard all the
time. "Once a cycle" is an adapter that filters duplicates: a report a beacon in 10.5 s.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import common

sys.path.insert(0, str(common.HOUSE))

from agent.arrival.fusion import Arrivals
from agent.arrival.places import BeaconRule, Place, Places
from agent.arrival.replay import statements
from drivers.base import Advert

ZONE_M, START_M, RIDE_MS, WALK_MS = 8.0, 80.0, 4.0, 0.7
CYCLE_S = 10.5
BEACON, OTHER = "C0:00:00:00:00:01", "C0:00:00:00:00:99"


@dataclass
class Stay:
    points: list[tuple[float, float, float]]  # s, m, m; straight in between
    entered: float
    left: float

    @property
    def end(self) -> float:
        return self.points[-1][0]


def stay(rng: random.Random, seconds: float) -> Stay:
    t, x, y = (START_M - 3) / RIDE_MS, 3.0, 0.0
    points = [(0.0, START_M, 0.0), (t, x, y)]
    entered, end = t - (ZONE_M - 3) / RIDE_MS, t + seconds
    while t < end:
        t += rng.uniform(3, 40)
        points.append((t, x, y))
        there = rng.uniform(-4, 4), rng.uniform(-4, 4)
        t += max(0.1, math.dist(there, (x, y)) / WALK_MS)
        x, y = there
        points.append((t, x, y))
    left = t + (ZONE_M - math.hypot(x, y)) / RIDE_MS
    away = t + (START_M - 3) / RIDE_MS
    return Stay([*points, (away, START_M, 0.0), (away + 60, 120.0, 0.0)], entered, left)


def positions(points: list[tuple[float, float, float]], interval: float, rng: random.Random
              ) -> Iterator[tuple[float, float, float]]:  # fmt: skip
    t, leg = rng.random(), 0
    while t < points[-1][0]:
        while points[leg + 1][0] < t:
            leg += 1
        (t0, x0, y0), (t1, x1, y1) = points[leg], points[leg + 1]
        share = (t - t0) / (t1 - t0)
        yield t, x0 + share * (x1 - x0), y0 + share * (y1 - y0)
        t += interval + rng.random() * 0.01


def adverts(rng: random.Random, way: Stay, interval: float, p1m: float, n: float, *, cycle: bool
            ) -> list[Advert]:  # fmt: skip
    found, shadow, before, reported = [], rng.gauss(0, 5.3), (START_M, 0.0), -1
    for t, x, y in positions(way.points, interval, rng):
        kept = math.exp(-math.dist(before, (x, y)) / 0.5)
        shadow = kept * shadow + rng.gauss(0, 5.3) * math.sqrt(1 - kept * kept)
        before = x, y
        level = p1m - 10 * n * math.log10(max(0.5, math.hypot(x, y))) + shadow
        rssi = round(level + rng.gauss(0, 2.7))
        if rng.random() < 0.13 or rssi < -95 or (cycle and int(t / CYCLE_S) == reported):
            continue
        reported = int(t / CYCLE_S)
        found.append(Advert(t, BEACON, rssi))
    every = CYCLE_S if cycle else 0.7
    found += [Advert(k * every, OTHER, -85) for k in range(int(way.end / every))]
    return sorted(found, key=lambda advert: advert.t)


def judged(rng: random.Random, seconds: float, interval: float, *, cycle: bool
           ) -> dict[str, float | None]:  # fmt: skip
    p1m, n = rng.uniform(-64, -55), rng.uniform(1.1, 2.5)
    way = stay(rng, seconds)
    rule = BeaconRule(address=BEACON, enter_rssi=p1m - 10 * n * math.log10(ZONE_M))
    policy = Arrivals(Places([Place(id="shop", beacon=[rule])]))
    said = list(statements(policy, adverts(rng, way, interval, p1m, n, cycle=cycle)))
    enters = [s for s in said if s.word == "enter"]
    exits = [s for s in said if s.word == "exit" and s.said > way.left]
    return {
        "arrived": float(any(s.word == "arrived" for s in said)),
        "enter": enters[0].said - way.entered if enters else None,
        "false exits": float(sum(s.word == "exit" and s.said <= way.left for s in said)),
        "exit": exits[-1].said - way.left if exits else None,
        "dated": exits[-1].t - way.left if exits else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--stays", type=int, default=200)
    parser.add_argument("--shifts", type=int, default=12)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    rows = []
    for name, interval, cycle, count, seconds in (
        ("10 Hz, 3 min", 0.1, False, arguments.stays, 180.0),
        ("1 Hz, 3 min", 1.0, False, arguments.stays, 180.0),
        ("10 Hz, once a cycle, 3 min", 0.1, True, arguments.stays, 180.0),
        ("1 Hz, 8 h", 1.0, False, arguments.shifts, 8 * 3600.0),
    ):
        stays = [judged(rng, seconds, interval, cycle=cycle) for _ in range(count)]
        found = {key: sorted(v for s in stays if (v := s[key]) is not None) for key in stays[0]}
        late = [
            f"{found[key][int(share * (len(found[key]) - 1))]:.1f}" if found[key] else "-"
            for key, share in (("enter", 0.5), ("enter", 0.95), ("exit", 0.5), ("dated", 0.5))
        ]
        false_exits = statistics.fmean(found["false exits"])
        arrived = f"{sum(found['arrived']):.0f} / {count}"
        rows.append([name, arrived, *late[:2], f"{false_exits:.2f}", *late[2:]])
    head = ["", "arrived", "enter after the edge p50 s", "p95 s", "false exits a stay",
            "exit decided after p50 s", "dated p50 s"]  # fmt: skip
    common.table(f"Simulated stays, seed {arguments.seed}", head, rows)


if __name__ == "__main__":
    main()
