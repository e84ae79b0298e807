"""The store is killed at every call that writes, and its power is cut at every one.

    PYTHONPATH=. .venv/bin/python bench/torture.py [--seeds 2] [--cuts 3] [--workers 2]

Each seed is another order of records, commits, acknowledgements and stops (tests/crashes/life.py).
Kills: one process for each write, fsync, truncate and unlink of that life, killed by SIGKILL at
that call, every other time in the middle of a write; a second life goes on and is killed as well.
Power cuts: from the log of two lives, at each call, the folder with any part of what was unsynced.
After each the file is opened and held against what was promised by then (tests/crashes/judge.py).
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from tests.crashes.judge import build, copy_of, judge, live, power_cuts, read_log


def kills(shim: Path, seed: int, calls: int, at: int) -> Counter[str]:
    """A life that dies at one call, and one that goes on from there and dies as well."""
    found: Counter[str] = Counter()
    dice = random.Random(at)
    with tempfile.TemporaryDirectory(dir=shim.parent) as place:
        folder = Path(place) / "store"
        folder.mkdir()
        for life, moment in ((seed, at), (seed + 1000, dice.randint(1, calls)), (seed + 2000, 0)):
            killed = live(shim, folder, life, at=moment, tear=bool(at % 2))
            found["kills" if killed else "stops"] += 1
            trouble(found, partial(judge, copy_of(folder, Path(place) / "copy")), (life, moment))
    return found


def cuts(log: Path, each: int, seed: int) -> Counter[str]:
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(dir=log.parent) as place:
        folder = Path(place) / "store"
        for number in power_cuts(read_log(log), folder, random.Random(seed), each=each):
            found["cuts"] += 1
            trouble(found, partial(judge, folder), (seed, number))
    return found


def trouble(found: Counter[str], check, where) -> None:
    try:
        check()
    except AssertionError as error:
        found["broken promises"] += 1
        print(where, error, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--cuts", type=int, default=3, help="power cuts at each call")
    parser.add_argument("--every", type=int, default=1, help="kill at each n-th call only")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    found: Counter[str] = Counter()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as place, ProcessPoolExecutor(options.workers) as pool:
        shim = build(Path(place))
        if shim is None:
            sys.exit("needs a C compiler and Linux")
        for seed in range(options.first, options.first + options.seeds):
            folder, log = Path(place) / f"whole-{seed}", Path(place) / f"log-{seed}"
            folder.mkdir()
            live(shim, folder, seed, log=log)
            calls = len(read_log(log))
            live(shim, folder, seed + 1000, log=log)  # it finds a file
            found["calls"] += calls
            running = [pool.submit(cuts, log, options.cuts, seed)]
            running += [
                pool.submit(kills, shim, seed, calls, at)
                for at in range(1, calls + 1, options.every)
            ]
            for done in running:
                found += done.result()
    print(", ".join(f"{count} {what}" for what, count in found.items()), end="; ")
    print(f"{found['broken promises']} broken promises, {time.monotonic() - begin:.0f} s")
    sys.exit(bool(found["broken promises"]))


if __name__ == "__main__":
    main()
