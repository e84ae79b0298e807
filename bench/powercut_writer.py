"""A writer for power cuts in a virtual machine: the agent's own store, saying what it promised.

    .venv/bin/python bench/powercut_writer.py [--python python3.13] > /tmp/writer.py

What it prints is one file that needs nothing but Python 3.11 and msgspec: the agent's code is
packed into it, compiled where the guest's Python is named, because an emulated one is slow. Run as
the guest's only program it records critical events, states and positions in /mnt/data/db.sqlite,
prints an order's ticket in each round with the agent's own printer service, lets most events be
acknowledged and forgotten, and writes "ACK n" to the virtio-serial port whenever it promised
something. Round k makes four promises, n = 4k - 3 to 4k:

    4k - 3  a critical event was recorded
    4k - 2  an order's print job was stored
    4k - 1  its bytes went to the printer: from now on the disk must say so
    4k      it was told as printed

Whoever cuts the power mounts the disk afterwards: the view t(n) must hold every promised n.
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
PARTS = ("agent/__init__.py", "agent/config/*.py", "agent/layers.py", "agent/shapes.py",
         "agent/alerting/__init__.py", "agent/alerting/quiet.py",
         "agent/contract/*.py", "agent/core/*.py", "agent/positioning/*.py",
         "agent/printing/*.py", "agent/store/*.py",
         "agent/store/migrations/*.sql", "config/tickets/*.ticket", "drivers/*.py",
         "drivers/printer/*.py")  # fmt: skip

WRITER = '''
import asyncio, base64, contextlib, glob, io, os, sys, zipfile
from pathlib import Path

BLOB = "{blob}"
zipfile.ZipFile(io.BytesIO(base64.b64decode(BLOB))).extractall("/tmp/house")
sys.path[:0] = ["/tmp/house", *glob.glob("/opt/venv/lib/python3*/site-packages")]

from agent.config import PrinterConfig
from agent.contract.events import Audit, Fence, Position
from agent.contract.orders import Item, Order
from agent.core.clock import SystemClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.printing import jobs, spool
from agent.printing.desk import PrintingDesk
from agent.printing.service import PrinterService
from agent.store.database import Database
from agent.store.outbox import Outbox
from drivers.base import Evidence, PrinterStatus

# What was acknowledged is forgotten on purpose; everything else must be a row. Of the critical
# events the odd ones are promised alone, the even ones tell of a printed ticket.
VIEW = """CREATE VIEW IF NOT EXISTS t AS WITH RECURSIVE
    upto(n) AS (SELECT max(acked, coalesce((SELECT min(seq) - 1 FROM critical), 0))
                FROM stream WHERE name = 'critical'),
    gone(n) AS (SELECT 1 FROM upto WHERE n > 0
                UNION ALL SELECT gone.n + 1 FROM gone, upto WHERE gone.n < upto.n),
    kept(seq) AS (SELECT seq FROM critical UNION SELECT n FROM gone),
    ticket(k, state, attempt) AS (SELECT CAST(order_id AS INTEGER), state, attempt FROM jobs)
    SELECT 2 * seq - 1 AS n FROM kept WHERE seq % 2 = 1
    UNION SELECT 4 * k - 2 FROM ticket
    UNION SELECT 4 * k - 1 FROM ticket WHERE attempt > 0 AND state IN ('sending', 'printed')
    UNION SELECT 4 * k FROM ticket WHERE state = 'printed' AND 2 * k IN (SELECT seq FROM kept)"""


class Port:
    """The printer, and the only thing outside that sees what was promised."""

    width_dots = 576
    talks = True

    def __init__(self):
        self.out = os.open(glob.glob("/dev/vport*p1")[0], os.O_WRONLY)
        self.promised = 0

    def promise(self, n):
        self.promised += 1
        assert self.promised == n, (self.promised, n)
        os.write(self.out, b"ACK %d\\n" % n)

    @contextlib.asynccontextmanager
    async def open(self, config, clock):
        yield self

    async def status(self):
        return PrinterStatus(online=True)

    async def resync(self):
        raise AssertionError("nothing broke off")

    async def write(self, data):
        self.promise(self.promised + 1)

    async def barrier(self):
        return Evidence.BARRIER

    async def news(self):
        await asyncio.Event().wait()


def position(n):
    return Position(lat=31.2, lon=121.4, acc=5.0, speed=6.0, course=90.0, fix_t=n,
                    reason="moved", profile="seed", datum="wgs84")


async def main():
    port, clock = Port(), SystemClock()
    health = Health(clock)
    database = Database(Path("/mnt/data/db.sqlite"), clock, health)
    await database.open()
    outbox = Outbox(database, clock, health, max_mb=50)
    await outbox.open()
    await database.write(lambda tx: tx.execute(VIEW))
    kitchen = PrinterService(
        PrinterConfig(name="kitchen", uri="file:///dev/null"), open_printer=port.open, clock=clock,
        database=database, recorder=outbox, health=health)
    desk = PrintingDesk([kitchen], clock=clock, database=database, recorder=outbox)
    running = [asyncio.ensure_future(service.run(Heartbeat(service.name, clock, health)))
               for service in (outbox, kitchen)]
    os.write(port.out, b"SYNC 2\\n")
    k = 0
    while True:
        k += 1
        seq = await outbox.record(Audit(action="promised", by="lab", detail={{"text": "x" * 200}}))
        assert seq == 2 * k - 1, (seq, k)
        port.promise(4 * k - 3)
        order = Order(order_id=str(k), version=1, status="pending", placed_at=1,
                      items=[Item(name="rice", qty=2)])
        await database.write(lambda tx: desk.on_order(tx, order, None, int(clock.wall() * 1000)))
        port.promise(4 * k - 2)
        desk.wake()
        job_id = jobs.job_id(str(k), 1, "kitchen", "", 1)
        while (await database.read(lambda tx: spool.get(tx, job_id))).state != "printed":
            for task in running:
                task.done() and task.result()
            await asyncio.sleep(0.01)
        port.promise(4 * k)
        await outbox.record(position(k))
        if k % 3 == 0:
            await outbox.record(Fence(fence="shop", event="enter", distance_m=1.0))
        if k % 7 == 0:
            await outbox.flush()
        if k % 5 == 0:
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
