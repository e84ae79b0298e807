"""kill -9 while printing: how many tickets are lost, doubled silently, or printed again needlessly.

    PYTHONPATH=. nice .venv/bin/python bench/kills.py [--kills 500] [--evidence counter]
        [--cuts 0.1]
    PYTHONPATH=. nice .venv/bin/python bench/kills.py --kills 200 --emupos .cache/emupos/bin/emupos

Each life of the agent is a fork of a warm process, so that kills hit the printing and not the start
of Python. It is told of a few orders, of which some were told before, and prints. Half of the lives
end at a random moment, the others at a step: before or behind a commit, before, within or behind
what is said to the printer. What systemd keeps for it (FileDescriptorStoreMax) this bench keeps;
`--alone` is a life without. The printer lives on; with `--cuts` its own power fails too, in that
share of the lives, which loses its buffer and keeps its counter. The judge is its paper: the
virtual printer's, or that of `emupos`, other people's emulator.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import multiprocessing
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from agent.config import PrinterConfig
from agent.contract.orders import Item, Order
from agent.core.clock import SystemClock
from agent.core.health import Health
from agent.core.keeping import FdStore
from agent.core.supervisor import Heartbeat
from agent.printing import spool
from agent.printing.desk import PrintingDesk
from agent.printing.devices import open_printer
from agent.printing.service import PrinterService
from agent.store.database import Database

NEW, OLD = 2, 2  # orders that each life is told of: for the first time, and again
STEPS = 30  # of a life until all of its tickets are out, about
LIFE_S = 60.0


class Virtual:
    """The virtual printer in a process of its own; every ticket is written down at once."""

    def __init__(self, folder: Path) -> None:
        self._notes = folder / "paper.jsonl"
        self._notes.touch()
        self._port = multiprocessing.Value("i", 0)
        self._cable, far = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=self._serve, args=(far,), daemon=True)
        self._process.start()
        while not self._port.value:
            time.sleep(0.01)
        self.uri = f"tcp://127.0.0.1:{self._port.value}"

    def power(self, *, on: bool) -> None:
        self._cable.send(on)

    def papers(self) -> list[str]:
        with self._notes.open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def end(self) -> None:
        self._process.terminate()

    def _serve(self, far) -> None:
        from drivers.printer.simulated import serve
        from drivers.printer.virtual import VirtualPrinter

        virtual = VirtualPrinter()

        def note() -> None:
            with self._notes.open("a", encoding="utf-8") as file:
                for paper in virtual.paper:
                    file.write(json.dumps(paper.plain) + "\n")
            virtual.paper.clear()

        async def main() -> None:
            virtual.listen(note)
            asyncio.get_running_loop().add_reader(
                far.fileno(), lambda: virtual.fault("power_off", on=not far.recv())
            )
            async with serve(virtual) as number:
                self._port.value = number
                await asyncio.Event().wait()

        asyncio.run(main())


class Emupos:
    """Another maker's emulator, as tests/drivers/printer/test_emupos.py starts it."""

    def __init__(self, folder: Path, program: str) -> None:
        from tests.drivers.printer import test_emupos as house

        port, api = house.free_port(), house.free_port()
        self._emulator = house.Emulator(folder, port, api)
        self.uri = self._emulator.uri
        self._start = lambda: house.start(program, folder, port, api)
        self._process = self._start()

    def power(self, *, on: bool) -> None:
        """Killed and started again: what it had not printed is gone."""
        if on:
            self._process = self._start()
        else:
            self._process.kill()
            self._process.wait(30)

    def papers(self) -> list[str]:
        time.sleep(2)  # it writes the last one when nothing has come for a moment
        return self._emulator.receipts()

    def end(self) -> None:
        self._process.kill()
        self._process.wait(30)


class Manager:
    """What systemd does for a service with FileDescriptorStoreMax: keeps what it is sent."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self.kept: dict[str, int] = {}
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            message, fds, _, _ = socket.recv_fds(self._socket, 4096, 8)
            told = dict(line.split("=", 1) for line in message.decode().splitlines())
            with self._lock:
                if "SYNC" in told:
                    self.heard.set()
                for fd in fds:
                    self._forget(told["FDNAME"])
                    self.kept[told["FDNAME"]] = fd
                if "FDSTOREREMOVE" in told:
                    self._forget(told["FDNAME"])

    def _forget(self, name: str) -> None:
        if name in self.kept:
            os.close(self.kept.pop(name))

    def settle(self) -> None:
        """What a life that is over had sent has been heard."""
        self.heard = threading.Event()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
            unix.sendto(b"SYNC=1", self.address)
        self.heard.wait(10)

    def store(self) -> FdStore:
        """In a new life."""
        inherited = {name: os.dup(fd) for name, fd in self.kept.items()}
        return FdStore(self.address, inherited, ["kitchen"])


class Notes:
    def put(self, tx, body, *, t=None) -> int:  # noqa: ARG002 - the port
        return 1


class Fate:
    """Counts steps and ends the process at one of them."""

    def __init__(self, strike: int) -> None:
        self._left = strike

    def step(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class MortalStore(Database):
    fate = Fate(0)

    async def write(self, run):
        self.fate.step()
        result = await super().write(run)
        self.fate.step()
        return result


def mortal(printer, fate: Fate):
    """The same printer, with a step before, within and behind everything that is said to it."""
    transport = printer._dialogue._transport  # noqa: SLF001 - where its bytes pass
    write, proof, resync = transport.write, printer.deliver, printer.resync

    def mortal_write(data: bytes) -> None:
        if len(data) < 100:  # a question
            write(data)
            return
        fate.step()
        half = len(data) // 2
        write(data[:half])
        fate.step()
        write(data[half:])
        fate.step()

    async def mortal_deliver(data: bytes, token: str):
        evidence = await proof(data, token)
        fate.step()
        return evidence

    async def mortal_resync() -> None:
        fate.step()
        await resync()
        fate.step()

    transport.write, printer.deliver, printer.resync = mortal_write, mortal_deliver, mortal_resync
    return printer


async def life(
    folder: Path, uri: str, evidence: str, told: Sequence[int], stored, fate: Fate, keeper
) -> None:
    """Be told of orders, and print until all are printed. `stored` counts those on the disk."""
    clock = SystemClock()
    health = Health(clock)
    MortalStore.fate = fate
    database = MortalStore(folder / "agent.db", clock, health)
    await database.open()
    config = PrinterConfig(
        name="kitchen", uri=uri, evidence=evidence, exclusive=evidence == "counter"
    )

    @asynccontextmanager
    async def opened(config, clock):
        async with open_printer(config, clock, keeper=keeper) as printer:
            yield mortal(printer, fate)

    notes = Notes()
    service = PrinterService(
        config, open_printer=opened, clock=clock, database=database, recorder=notes, health=health
    )
    desk = PrintingDesk([service], clock=clock, database=database, recorder=notes)
    items = [Item(name="宫保鸡丁", qty=2), Item(name="米饭", qty=2)]

    def insert(tx) -> None:
        for n in told:
            order = Order(
                order_id=f"K-{n}", version=1, status="pending", placed_at=1, items=items, day_seq=n
            )
            desk.on_order(tx, order, None, int(clock.wall() * 1000))

    await database.write(insert)
    stored.value = max(stored.value, *(n + 1 for n in told))
    running = asyncio.ensure_future(service.run(Heartbeat(service.name, clock, health)))
    deadline = clock.monotonic() + LIFE_S
    while clock.monotonic() < deadline and not running.done():
        for job in await database.read(lambda tx: spool.in_state(tx, "kitchen", "parked")):
            await desk.reprint(job.job_id, by="bench")
        counts = await database.read(spool.counts)
        if sum(counts.values()) == counts.get(("kitchen", "printed"), 0):
            break
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await database.close()


def born(folder: Path, printer, options, told, stored, fate: Fate, manager) -> int:
    """A life of the agent in a process of its own."""
    child = os.fork()
    if child == 0:
        keeper = manager.store() if manager is not None else None
        asyncio.run(life(folder, printer.uri, options.evidence, told, stored, fate, keeper))
        os._exit(0)
    return child


def kill_one(printer, options, rng: random.Random, *, told, folder: Path, stored, manager) -> bool:
    """A life that may be killed; whether it was."""
    at_a_step = rng.random() < 0.5
    fate = Fate(rng.randint(1, STEPS) if at_a_step else 0)
    child = born(folder, printer, options, told, stored, fate, manager)
    cut = rng.random() < options.cuts
    if cut:
        time.sleep(rng.uniform(0.0, 0.08))
        printer.power(on=False)
        time.sleep(rng.uniform(0.0, 0.02))
        printer.power(on=True)
    if not at_a_step:
        time.sleep(rng.uniform(0.0, 0.12))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def in_doubt(folder: Path) -> int:
    """Attempts that nobody could judge, so that they were made again with a banner."""
    import sqlite3

    with sqlite3.connect(folder / "agent.db") as database:
        return int(database.execute("SELECT total(doubts) FROM jobs").fetchone()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--evidence", choices=["barrier", "job_id", "counter"], default="barrier")
    parser.add_argument("--cuts", type=float, default=0.0, help="share of lives with a power cut")
    parser.add_argument("--emupos", help="its program, to let it judge instead")
    parser.add_argument("--alone", action="store_true", help="no manager keeps its connection")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    kills = lives = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        printer = Emupos(folder, options.emupos) if options.emupos else Virtual(folder)
        stored = multiprocessing.Value("i", 0, lock=False)  # its holder may be killed
        manager = None if options.alone else Manager(folder)
        last = False
        while not last:
            last = kills >= options.kills
            first = stored.value
            old = [rng.randrange(first) for _ in range(OLD) if first]
            told = [*range(first, first + NEW), *old]
            if last:
                child = born(folder, printer, options, told, stored, Fate(0), manager)
                os.waitpid(child, 0)
            else:
                kills += kill_one(
                    *(printer, options, rng),
                    told=told,
                    folder=folder,
                    stored=stored,
                    manager=manager,
                )
            if manager is not None:
                manager.settle()
            lives += 1
        papers = printer.papers()
        printer.end()
        doubts = in_doubt(folder)
    report(papers, stored.value, kills, doubts, options)


def report(papers: list[str], orders: int, kills: int, doubts: int, options) -> None:
    plain: collections.Counter[str] = collections.Counter()
    flagged: collections.Counter[str] = collections.Counter()
    for paper in papers:
        marked = False
        for line in map(str.strip, paper.splitlines()):
            marked = marked or "POSSIBLE DUPLICATE" in line
            if line.startswith("K-"):
                (flagged if marked else plain)[line.split()[0]] += 1
                marked = False
    names = {f"K-{n}" for n in range(orders)}
    lost = names - set(plain) - set(flagged)
    doubled = [name for name, count in plain.items() if count > 1]
    again = sum(plain[name] + flagged[name] - 1 for name in {*plain, *flagged})
    kept = "nothing kept" if options.alone else "connection kept"
    print(
        f"{kills} kills, evidence {options.evidence}, {kept}, power cuts in {options.cuts:.0%} of "
        f"the lives, {'emupos' if options.emupos else 'virtual printer'}: {orders} orders, "
        f"{len(lost)} lost, {len(doubled)} unflagged duplicates; {doubts} attempts printed again "
        f"with a banner, {again} of them needlessly",
        flush=True,
    )
    if lost or doubled:
        print(sorted(lost), doubled)
    sys.exit(bool(lost or doubled))


if __name__ == "__main__":
    main()
