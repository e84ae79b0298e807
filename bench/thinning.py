"""What a full store makes of a recorded ride: rows, room and metres at each coarseness.

    .venv/bin/python bench/thinning.py TRACK...     # what `edge-agent replay gps` reads

The messages of the ride (profile seed) are stored as a device without a link would, then thinned a
level at a time. `off` is the farthest that a message given up lies from the line that is left.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec

from agent.contract.events import Position
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.positioning.geodesy import distance_m
from agent.positioning.profiles import PROFILES
from agent.positioning.replay import run_replay
from agent.positioning.thinning import thin
from agent.store.database import Database
from agent.store.outbox import Outbox
from bench.common import table


def ride(track: Path, folder: Path) -> list[Position]:
    out = folder / "messages.jsonl"
    run_replay(track, profile=PROFILES["seed"], out=out)
    decode = msgspec.json.Decoder(Position).decode
    return [decode(line) for line in out.read_bytes().splitlines()]


def off(position: Position, a: Position, b: Position) -> float:
    share = (position.fix_t - a.fix_t) / (b.fix_t - a.fix_t)
    lat, lon = a.lat + share * (b.lat - a.lat), a.lon + share * (b.lon - a.lon)
    return distance_m(lat, lon, position.lat, position.lon)


async def measure(positions: list[Position], folder: Path) -> list[list[object]]:
    clock = ManualClock()
    health = Health(clock)
    database = Database(folder / "agent.db", clock, health)
    await database.open()
    outbox = Outbox(database, clock, health, max_mb=200, thin=thin)
    await outbox.open()
    empty = (await outbox._room()).used  # noqa: SLF001 - as the agent measures it
    for position in positions:
        await outbox.record(position)
    await outbox.flush()
    full = (await outbox._room()).used - empty  # noqa: SLF001
    rows: dict[object, list[object]] = {}
    within_m: int | None = 0
    while within_m is not None:
        found = await outbox.fetch("telemetry", 0, max_bytes=1 << 40)
        kept = [row.seq for row in found if row.kind == "position"]
        far = max(
            (
                off(positions[i - 1], positions[a - 1], positions[b - 1])
                for a, b in pairwise(kept)
                for i in range(a + 1, b)
            ),
            default=0.0,
        )
        share = ((await outbox._room()).used - empty) / full  # noqa: SLF001
        counts = [len(kept), len(found) - len(kept), f"{share:.2f}", f"{far:.1f}"]
        rows[within_m] = [within_m or "all", *counts]  # the last of a level counts
        shed = await database.write(lambda tx: outbox._shedding.step(tx, 0))  # noqa: SLF001
        within_m = shed.within_m
    await database.close()
    return list(rows.values())


def main() -> None:
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            positions = ride(Path(name), Path(folder))
            rows = asyncio.run(measure(positions, Path(folder)))
        title = f"{Path(name).name}: {len(positions)} messages"
        table(title, ["within m", "positions", "gaps", "room", "off, m"], rows)


if __name__ == "__main__":
    main()
