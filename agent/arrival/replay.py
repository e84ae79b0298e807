"""`edge-agent replay beacons`: what the policies say of a recording, as fast as it can be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

import msgspec

from agent.arrival import places as places_file
from agent.arrival.fusion import Arrivals, Statement
from agent.arrival.listening import Listening
from agent.arrival.service import TICK_S, body_of
from drivers.base import Advert
from drivers.beacons.replay import read_adverts


def run_replay(adverts: Path, *, places: Path, out: TextIO) -> Counter[str]:
    """Write one JSON object a line and return what was rejected of the recording, by cause.

    Each is an `arrival` body with `t` (when it became so) and `said` (when that was decided), unix
    seconds of the recording, and `floor`: null when the floor is no longer known. Raises
    ConfigError for PLACES.toml and DriverError for the recording.
    """
    policy = Arrivals(places_file.load(places))
    rejected: Counter[str] = Counter()
    said = statements(policy, read_adverts(adverts, rejected))
    out.writelines(msgspec.json.encode(line(s)).decode() + "\n" for s in said)
    return rejected


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
        listening.heard(advert.t)
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
