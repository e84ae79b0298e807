"""`edge-agent replay beacons`: what the policies say of a recording, as fast as it can be read."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from agent.arrival import places as places_file
from agent.arrival.fusion import Arrivals, Statement
from agent.arrival.listening import Listening
from agent.arrival.radio import TICK_S
from agent.arrival.service import body_of
from drivers.base import Advert, DriverError
from drivers.beacons.replay import read_adverts


def run_replay(adverts: Path, *, places: Path, out: Path) -> Counter[str]:
    """Write one JSON object a line and return what was rejected of the recording, by cause.

    Each is an `arrival` body with `t` (when it became so) and `said` (when that was decided), unix
    seconds of the recording, and `floor`: null when the floor is no longer known. Raises
    ConfigError for the places, DriverError for the recording and the file to write.
    """
    policy = Arrivals(places_file.load(places))
    rejected: Counter[str] = Counter()
    said = statements(policy, read_adverts(adverts, rejected))
    try:
        with out.open("wb") as lines:
            lines.writelines(msgspec.json.encode(line(s)) + b"\n" for s in said)
    except OSError as error:
        raise DriverError(f"{out} cannot be written: {error.strerror}") from error
    return rejected


def main(arguments: argparse.Namespace) -> int:
    """`adverts`, `places` and `out` as the command line gives them; the exit status."""
    rejected = run_replay(arguments.adverts, places=arguments.places, out=arguments.out)
    if rejected:
        causes = ", ".join(f"{count} {cause}" for cause, count in sorted(rejected.items()))
        sys.stderr.write(f"edge-agent: rows of {arguments.adverts} not read: {causes}\n")
    return 0


def statements(policy: Arrivals, adverts: Iterable[Advert]) -> Iterator[Statement]:
    """The recording's clock ticks as the daemon's does, and stops with the last advert."""
    listening: Listening | None = None
    tick = 0.0
    for advert in adverts:
        if listening is None:
            listening, tick = Listening(advert.t), advert.t + TICK_S
        while tick <= advert.t:
            yield from _tick(policy, listening, tick)
            # Nothing new can be said while nothing is heard: pass over long holes.
            tick += TICK_S if not listening.deaf(tick) else advert.t - tick + TICK_S
        listening.heard(advert.t, advert.rssi)
        policy.hear(advert)
    if listening is not None:
        yield from _tick(policy, listening, tick)


def _tick(policy: Arrivals, listening: Listening, now: float) -> Iterator[Statement]:
    yield from policy.judge(now)
    if listening.deaf(now):
        yield from policy.lose(now, "scanner_silent")


def line(statement: Statement) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(body_of(statement))
    if statement.word == "floor":
        body.setdefault("floor", None)
    return {"t": statement.t, "said": statement.said, **body}
