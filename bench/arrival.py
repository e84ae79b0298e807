"""Who says best whether the rider is in a zone? Ours and the filters in use elsewhere, on walks.

    bench/arrival.py RECORDINGS [--radius 4 --radius 6]
    bench/arrival.py RECORDINGS --air

RECORDINGS holds the Position-Annotated BLE RSSI Dataset of Danis et al.: `sensors.dev` and
`*.mbd.gz` (16 columns: unix s, sensor, beacon, RSSI, x, y, z in m, ...). Its sensors stand for
beacons, the carried beacon for the rider's kit. Every walk is judged with thresholds fitted on the
other walks, each peer's on its own filter (greatest F1 of ticks of 0.25 s); ours gets the ones of
"p75 of 3 s", 2.5 dB higher, which is what a survey gives. The peers' filters are written from their
published sources; their own decision layers are not.

`--air` measures what a simulation of the radio needs: how far each packet is from the best line of
level over log distance (one a walk and sensor), and how much of that is alike for two packets of a
sensor that were heard so many metres apart.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import dist, hypot, log10
from pathlib import Path

import common

sys.path.insert(0, str(common.HOUSE))

from agent.arrival.fusion import Arrivals
from agent.arrival.places import BeaconRule, Place, Places
from agent.arrival.replay import statements
from drivers.base import Advert

TICK_S = 0.25
SILENT = -120.0
SILENCE_S = 10.0
THRESHOLDS = range(-85, -50)
FALLBACK = -60
MIN_INSIDE = 8  # ticks; fewer are no survey
HYSTERESIS_DB = 5.0

Packets = list[tuple[float, int]]
Levels = list[float]
Flags = list[bool]


@dataclass
class Walk:
    name: str
    ticks: list[float]
    heard: dict[str, Packets]
    distance: dict[str, list[float]]
    route: list[tuple[float, float]]  # m, at every tick


def read(folder: Path) -> list[Walk]:
    line = next(s for s in (folder / "sensors.dev").read_text().splitlines() if "Dongles:" in s)
    places = {a: p[0][:2] for a, p in json.loads(line.removeprefix("Dongles:")).items()}
    walks = []
    for path in sorted(folder.glob("*.mbd.gz")):
        with gzip.open(path, "rt") as file:
            rows = sorted((float(r[0]), r[1], int(r[3]), float(r[4]), float(r[5]))
                          for r in (text.split(",") for text in file))  # fmt: skip
        heard: dict[str, Packets] = {address: [] for address in places}
        for t, address, rssi, *_ in rows:
            heard[address].append((t, rssi))
        count = int((rows[-1][0] - rows[0][0]) / TICK_S)
        ticks = [rows[0][0] + n * TICK_S for n in range(count + 1)]
        route = list(interpolated([(t, x, y) for t, _, _, x, y in rows], ticks))
        distance = {a: [hypot(x - px, y - py) for x, y in route] for a, (px, py) in places.items()}
        walks.append(Walk(path.name.split("_all")[0], ticks, heard, distance, route))
    return walks


def interpolated(
    route: Sequence[tuple[float, float, float]], ticks: Sequence[float]
) -> Iterator[tuple[float, float]]:
    times = [t for t, _, _ in route]
    for now in ticks:
        right = min(bisect_right(times, now), len(route) - 1)
        (t0, x0, y0), (t1, x1, y1) = route[right - 1], route[right]
        share = min(1.0, (now - t0) / (t1 - t0)) if t1 > t0 else 0.0
        yield x0 + share * (x1 - x0), y0 + share * (y1 - y0)


# --- the peers' filters: a level at every tick ----------------------------------------------------


def windowed(
    packets: Packets, ticks: list[float], *, seconds: float, summary: Callable[[list[int]], float]
) -> Levels:
    times = [t for t, _ in packets]
    known: dict[tuple[int, int], float] = {}
    levels = []
    for now in ticks:
        span = bisect_right(times, now - seconds), bisect_right(times, now)
        if span not in known:
            values = sorted(rssi for _, rssi in packets[slice(*span)])
            known[span] = summary(values) if values else SILENT
        levels.append(known[span])
    return levels


def held(packets: Sequence[tuple[float, float]], ticks: list[float]) -> Levels:
    """The last value, until nothing was heard for 10 s."""
    times = [t for t, _ in packets]
    levels = []
    for now in ticks:
        last = bisect_right(times, now) - 1
        fresh = last >= 0 and now - times[last] <= SILENCE_S
        levels.append(packets[last][1] if fresh else SILENT)
    return levels


def any_packet(packets: Packets, ticks: list[float]) -> Levels:
    return held([(t, 0.0) for t, _ in packets], ticks)


def ewma(packets: Packets, ticks: list[float]) -> Levels:
    smooth: list[tuple[float, float]] = []
    for t, rssi in packets:
        before = smooth[-1][1] if smooth else float(rssi)
        smooth.append((t, before + 0.3 * (rssi - before)))
    return held(smooth, ticks)


def altbeacon(values: list[int]) -> float:
    """Without the outer tenths (RunningAverageRssiFilter)."""
    cut = len(values) // 10 + 1 if len(values) > 2 else 0
    return statistics.fmean(values[cut : len(values) - cut] or values)


def percentile(values: list[int], share: float) -> float:
    whole, rest = divmod(share * (len(values) - 1), 1)
    low = int(whole)
    return values[low] + rest * (values[min(low + 1, len(values) - 1)] - values[low])


def espresense(values: list[int]) -> float:
    """Inside Tukey's fences."""
    low, high = percentile(values, 0.25), percentile(values, 0.75)
    fence = 1.5 * (high - low)
    return statistics.fmean(v for v in values if low - fence <= v <= high + fence)


Filter = Callable[[Packets, list[float]], Levels]
P75: Filter = partial(windowed, seconds=3.0, summary=lambda values: percentile(values, 0.75))
PEERS: dict[str, tuple[Filter, float]] = {
    "any packet, out after 10 s": (any_packet, 0.0),
    "AltBeacon mean 20 s": (partial(windowed, seconds=20.0, summary=altbeacon), 0.0),
    "ESPresense 15 s": (partial(windowed, seconds=15.0, summary=espresense), 0.0),
    "EWMA 0.3": (ewma, 0.0),
    "p75 3 s + 5 dB": (P75, HYSTERESIS_DB),
    "the same, dated 1.5 s back": (
        lambda packets, ticks: P75(packets, [now + 1.5 for now in ticks]),
        HYSTERESIS_DB,
    ),
}


# --- thresholds -----------------------------------------------------------------------------------


def fitted(walks: Sequence[Walk], levels: Mapping[tuple[str, str], Levels], radius: float
           ) -> dict[str, int]:  # fmt: skip
    """Per beacon, the threshold of the greatest F1 on these walks."""
    best = {}
    for address in walks[0].heard:
        inside, heard = [], []
        for walk in walks:
            both = zip(levels[walk.name, address], walk.distance[address], strict=True)
            for level, distance in both:
                heard.append(level)
                if distance < radius:
                    inside.append(level)
        inside.sort()
        heard.sort()
        best[address] = max(THRESHOLDS, key=partial(f1_above, inside, heard))
        if len(inside) < MIN_INSIDE:
            best[address] = FALLBACK
    return best


def f1_above(inside: list[float], heard: list[float], threshold: float) -> float:
    right = len(inside) - bisect_right(inside, threshold - 1e-9)
    reported = len(heard) - bisect_right(heard, threshold - 1e-9)
    return 2 * right / max(1, reported + len(inside))


def with_hysteresis(levels: Levels, enter: float, leave: float) -> Flags:
    flags, inside = [], False
    for level in levels:
        inside = level >= (leave if inside else enter)
        flags.append(inside)
    return flags


# --- answers --------------------------------------------------------------------------------------

Answers = dict[tuple[str, str], Flags]  # by walk and beacon: inside at every tick


def of_peer(walks: list[Walk], name: str, radius: float) -> Answers:
    level, hysteresis = PEERS[name]
    levels = {(w.name, a): level(p, w.ticks) for w in walks for a, p in w.heard.items()}
    answers = {}
    for walk in walks:
        others = [other for other in walks if other is not walk]
        middles: Mapping[str, float] = fitted(others, levels, radius)
        for address in walk.heard:
            middle = SILENT / 2 if level is any_packet else middles[address]
            enter, leave = middle + hysteresis / 2, middle - hysteresis / 2
            answers[walk.name, address] = with_hysteresis(levels[walk.name, address], enter, leave)
    return answers


def of_ours(walks: list[Walk], radius: float) -> tuple[Answers, Answers]:
    """By the date of the events, and by the moment when they were said."""
    levels = {(w.name, a): P75(p, w.ticks) for w in walks for a, p in w.heard.items()}
    dated, decided = {}, {}
    for walk in walks:
        middles = fitted([other for other in walks if other is not walk], levels, radius)
        places = [
            Place(id=a, beacon=[BeaconRule(address=a, enter_rssi=m + HYSTERESIS_DB / 2)])
            for a, m in middles.items()
        ]
        adverts = sorted((t, a, rssi) for a, packets in walk.heard.items() for t, rssi in packets)
        heard = (Advert(t, a, rssi) for t, a, rssi in adverts if rssi not in {0, 127})
        said = [s for s in statements(Arrivals(Places(places)), heard) if s.word != "arrived"]
        for address in walk.heard:
            own = [s for s in said if s.place == address]
            inside = [s.word == "enter" for s in own]
            dated[walk.name, address] = at_ticks([s.t for s in own], inside, walk.ticks)
            decided[walk.name, address] = at_ticks([s.said for s in own], inside, walk.ticks)
    return dated, decided


def at_ticks(times: list[float], inside: list[bool], ticks: list[float]) -> Flags:
    return [[False, *inside][bisect_right(times, now)] for now in ticks]


# --- figures --------------------------------------------------------------------------------------


def runs(flags: Sequence[bool]) -> list[tuple[int, int]]:
    edges = [n for n in range(len(flags) + 1)
             if (n > 0 and flags[n - 1]) != (n < len(flags) and flags[n])]  # fmt: skip
    return list(zip(edges[::2], edges[1::2], strict=True))


def figures(walks: list[Walk], answers: Answers, radius: float) -> list[str]:
    count: dict[str, float] = defaultdict(float)
    late = []
    for walk in walks:
        for address, distance in walk.distance.items():
            truth, said = [d < radius for d in distance], answers[walk.name, address]
            count["both"] += sum(map(min, truth, said))
            count["either"] += sum(truth) + sum(said)
            visits = runs(truth)
            first = [said[a:b].index(True) * TICK_S for a, b in visits if any(said[a:b])]
            late += first
            count["visits"] += len(visits)
            count["hits"] += len(first)
            count["spurious"] += max(0, len(runs(said)) - len(visits))
            count["hours"] += len(truth) * TICK_S / 3600
    deciles = statistics.quantiles(late, n=10, method="inclusive")
    return [
        f"{radius:g}",
        f"{2 * count['both'] / count['either']:.3f}",
        f"{count['hits']:.0f} / {count['visits']:.0f}",
        f"{count['spurious'] / count['hours']:.0f}",
        f"{statistics.median(late):.1f} / {deciles[-1]:.1f}",
    ]


# --- the air --------------------------------------------------------------------------------------

STEPS_M = (0.0, 0.03, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
LATER = 60  # packets of the same sensor that each is compared with


def air(walks: list[Walk]) -> list[list[str]]:
    slopes, squares = [], []
    alike: dict[int, list[float]] = defaultdict(list)
    for walk in walks:
        for address, packets in walk.heard.items():
            good = [(t, rssi) for t, rssi in packets if rssi not in {0, 127}]
            if len(good) < 100:
                continue
            way = [(now, *at) for now, at in zip(walk.ticks, walk.route, strict=True)]
            places = list(interpolated(way, [t for t, _ in good]))
            far = list(interpolated([(now, d, 0.0) for now, d in
                                     zip(walk.ticks, walk.distance[address], strict=True)],
                                    [t for t, _ in good]))  # fmt: skip
            logs = [-10 * log10(max(0.5, d)) for d, _ in far]
            slope, level = statistics.linear_regression(logs, [rssi for _, rssi in good])
            off = [r - level - slope * x for (_, r), x in zip(good, logs, strict=True)]
            slopes.append(slope)
            squares += [value * value for value in off]
            for n, value in enumerate(off):
                for later in range(n + 1, min(n + LATER, len(off))):
                    moved = dist(places[n], places[later])
                    alike[bisect_right(STEPS_M, moved)].append(value * off[later])
    variance = statistics.fmean(squares)
    rows = [
        ["n, quartiles", " / ".join(f"{q:.2f}" for q in statistics.quantiles(slopes, n=4))],
        ["shadow, fading and noise, 1 sigma", f"{variance**0.5:.1f} dB"],
    ]
    rows += [
        [f"alike within {low:g} to {high:g} m", f"{statistics.fmean(alike[k]) / variance:.2f}"]
        for k, (low, high) in enumerate(pairwise(STEPS_M), 1)
    ]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--radius", type=float, action="append")
    parser.add_argument("--air", action="store_true")
    arguments = parser.parse_args()
    walks = read(arguments.recordings)
    if arguments.air:
        common.table(f"The air of {len(walks)} walks", ["", "found"], air(walks))
        return
    rows = []
    for radius in arguments.radius or (4.0, 6.0):
        answers = {name: of_peer(walks, name, radius) for name in PEERS}
        answers["ours, as dated"], answers["ours, as decided"] = of_ours(walks, radius)
        rows += [[name, *figures(walks, found, radius)] for name, found in answers.items()]
    head = ["", "radius m", "tick F1", "visits hit", "spurious enters per sensor-hour",
            "latency p50 / p90 s"]  # fmt: skip
    common.table(f"Inside or not, {len(walks)} walks, each left out in turn", head, rows)


if __name__ == "__main__":
    main()
