"""A writer for power cuts in a virtual machine: the agent's own outbox, saying what it promised.

    .venv/bin/python bench/powercut_writer.py [--python python3.13] > /tmp/writer.py

What it prints is one file that needs nothing but Python 3.11 and msgspec: the agent's code is
packed into it, compiled where the guest's Python is named, because an emulated one is slow. Run as
the guest's only program it records critical events, states and positions in /mnt/data/db.sqlite,
lets most of them be acknowledged and forgotten, and writes "ACK n" to the virtio-serial port once
the n-th critical event was promised. Whoever cuts the power mounts the disk afterwards: the view
t(n) must hold every promised n.
"""

from __future__ import annotations

import argparse
import base64
import io
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HOUSE = Path(__file__).parents[1]
PARTS = ("agent/__init__.py", "agent/contract/*.py", "agent/core/*.py", "agent/store/*.py",
         "agent/store/migrations/*.sql", "drivers/__init__.py", "drivers/base.py")  # fmt: skip

WRITER = '''
import asyncio, base64, glob, io, os, sys, zipfile
from pathlib import Path

BLOB = "{blob}"
zipfile.ZipFile(io.BytesIO(base64.b64decode(BLOB))).extractall("/tmp/house")
sys.path[:0] = ["/tmp/house", *glob.glob("/opt/venv/lib/python3*/site-packages")]

from agent.contract.events import Audit, Fence, Position
from agent.core.clock import SystemClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.store.database import Database
from agent.store.outbox import Outbox

# What was acknowledged is forgotten on purpose; everything else must be a row.
VIEW = """CREATE VIEW IF NOT EXISTS t AS WITH RECURSIVE
    upto(n) AS (SELECT max(acked, coalesce((SELECT min(seq) - 1 FROM critical), 0))
                FROM stream WHERE name = 'critical'),
    gone(n) AS (SELECT 1 FROM upto WHERE n > 0
                UNION ALL SELECT gone.n + 1 FROM gone, upto WHERE gone.n < upto.n)
    SELECT seq AS n FROM critical UNION SELECT n FROM gone"""


def position(n):
    return Position(lat=31.2, lon=121.4, acc=5.0, speed=6.0, course=90.0, fix_t=n,
                    reason="moved", profile="seed", datum="wgs84")


async def main():
    out = os.open(glob.glob("/dev/vport*p1")[0], os.O_WRONLY)
    clock = SystemClock()
    health = Health(clock)
    database = Database(Path("/mnt/data/db.sqlite"), clock, health)
    await database.open()
    outbox = Outbox(database, clock, health, max_mb=50)
    await outbox.open()
    await database.write(lambda tx: tx.execute(VIEW))
    keeping = asyncio.ensure_future(outbox.run(Heartbeat("outbox", clock, health)))
    os.write(out, b"SYNC 2\\n")
    n = 0
    while True:
        n += 1
        seq = await outbox.record(Audit(action="promised", by="lab", detail={{"text": "x" * 200}}))
        assert seq == n, (seq, n)
        os.write(out, b"ACK %d\\n" % n)
        await outbox.record(position(n))
        if n % 3 == 0:
            await outbox.record(Fence(fence="shop", event="enter", distance_m=1.0))
        if n % 7 == 0:
            await outbox.flush()
        if n % 5 == 0:
            for name in ("critical", "state", "telemetry"):
                rows = await outbox.fetch(name, outbox.acked(name), max_bytes=1 << 20)
                if len(rows) > 3:
                    outbox.ack(name, rows[-3].seq)


asyncio.run(main())
'''


def pack(python: str | None) -> str:
    packed = io.BytesIO()
    with (
        tempfile.TemporaryDirectory() as folder,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for pattern in PARTS:
            for path in HOUSE.glob(pattern):
                copy = Path(folder) / path.relative_to(HOUSE)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)
        if python:
            subprocess.run([python, "-m", "compileall", "-q", "-b", folder], check=True)
        for path in Path(folder).rglob("*.*"):
            if not (python and path.suffix == ".py"):
                archive.write(path, path.relative_to(folder))
    return WRITER.format(blob=base64.b64encode(packed.getvalue()).decode("ascii"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", help="an interpreter of the guest's version, to compile with")
    sys.stdout.write(pack(parser.parse_args().python))
