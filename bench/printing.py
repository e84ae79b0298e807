"""The print path: size and time of a ticket, time from job to last byte, import and memory.

    PYTHONPATH=. .venv/bin/python bench/printing.py [--jobs 300] [--uri tcp://127.0.0.1:19100]
    PYTHONPATH=. .venv/bin/python bench/printing.py --jobs 200 --emupos .cache/emupos/bin/emupos
    PYTHONPATH=. .venv/bin/python bench/printing.py --mqtt 1000

Without `--uri` the printer is the virtual one, in a process of its own behind a loopback port.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from agent.config import PrinterConfig
from agent.contract.orders import Amount, Item, Option, Order
from agent.core.clock import SystemClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.printing.desk import PrintingDesk
from agent.printing.devices import open_printer
from agent.printing.render import Renderer
from agent.printing.routing import tickets
from agent.printing.service import PrinterService
from agent.printing.templates import Templates
from agent.printing.values import Stamp
from agent.store.database import Database
from drivers.printer import escpos


def an_order(n: int, dishes: int = 6) -> Order:
    """Its full ticket on 80 mm paper: 31 lines with six dishes, 20 with two."""
    names = ["宫保鸡丁 Kung Pao Chicken", "麻婆豆腐", "凉拌黄瓜", "扬州炒饭", "酸辣汤", "米饭"][
        :dishes
    ]
    items = [Item(name=name, qty=k + 1, options=[Option("微辣")]) for k, name in enumerate(names)]
    return Order(
        order_id=f"BENCH-{n}",
        version=1,
        status="pending",
        placed_at=1_795_000_000_000,
        items=items,
        platform="美团外卖",
        day_seq=n,
        kind="delivery",
        note="请放门口",
        fees=[Amount("配送费", 500)],
        total=10500,
        currency="CNY",
        paid=True,
    )


def rendering() -> None:
    stamp = Stamp(now_ms=1_795_000_060_000)
    for charset in ("gb18030", "raster"):
        config = PrinterConfig(name="bench", uri="simulated://", charset=charset)
        renderer = Renderer(config, Templates())
        (ticket,) = tickets(an_order(1), [config]).values()
        render = partial(renderer.render, ticket, stamp)
        first = _timed(render)
        times = [_timed(render) for _ in range(50)]
        data = render().data
        lines = data.count(b"\n") if charset == "gb18030" else data.count(b"\x1dv0\x00")
        print(
            f"{charset:8} {lines} lines  {len(data)} bytes  "
            f"first {first:.2f} ms  then p50 {statistics.median(times):.2f} ms"
        )


def _timed(run) -> float:
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1000


def _serve(port) -> None:
    from drivers.printer.simulated import serve
    from drivers.printer.virtual import VirtualPrinter

    async def main() -> None:
        async with serve(VirtualPrinter()) as number:
            port.value = number
            await asyncio.Event().wait()

    asyncio.run(main())


class Notes:
    """The recorder; tells when a job is proved."""

    def __init__(self) -> None:
        self.proved = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def put(self, tx, body, *, t=None) -> int:  # noqa: ARG002 - the port
        if body.state == "printed":
            self._loop.call_soon_threadsafe(self.proved.set)
        return 1


async def path(uri: str, jobs: int, *, exclusive: bool) -> None:
    """One order after the other: from its commit to the last byte taken, and to `printed`."""
    sent: list[float] = []

    @asynccontextmanager
    async def timed(config, clock):
        async with open_printer(config, clock) as printer:
            transport = printer._dialogue._transport  # noqa: SLF001 - where its bytes pass
            write = transport.write

            def timed_write(data: bytes) -> None:
                write(data)
                if len(data) > 100:  # a ticket, not a question
                    sent.append(time.perf_counter())

            transport.write = timed_write
            yield printer

    clock = SystemClock()
    health = Health(clock)
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "agent.db", clock, health)
        await database.open()
        config = PrinterConfig(name="bench", uri=uri, exclusive=exclusive)
        notes = Notes()
        service = PrinterService(
            config,
            open_printer=timed,
            clock=clock,
            database=database,
            recorder=notes,
            health=health,
        )
        desk = PrintingDesk([service], clock=clock, database=database, recorder=notes)
        running = asyncio.ensure_future(service.run(Heartbeat(service.name, clock, health)))
        await asyncio.sleep(0.5)
        ready, accepted, proved = [], [], []
        began = time.perf_counter()
        for n in range(jobs):
            now = int(clock.wall() * 1000)
            start = time.perf_counter()
            await database.write(lambda tx, n=n, now=now: desk.on_order(tx, an_order(n), None, now))
            committed = time.perf_counter()
            desk.wake()
            await notes.proved.wait()
            notes.proved.clear()
            await desk.printers()  # read behind its transaction: that is over then
            proved.append((time.perf_counter() - start) * 1000)
            ready.append((sent[-1] - committed) * 1000)
            accepted.append((sent[-1] - start) * 1000)
        rate = jobs / (time.perf_counter() - began)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await database.close()
    kind = "connection held" if exclusive else "connect per job"
    for name, times in (
        ("commit -> last byte accepted", ready),
        ("order -> last byte accepted", accepted),
        ("order -> proved and committed", proved),
    ):
        cuts = statistics.quantiles(times, n=100)
        print(f"{kind}  {name}  p50 {cuts[49]:.2f} ms  p99 {cuts[98]:.2f} ms  n={len(times)}")
    print(f"{kind}  {rate:.0f} tickets/s one after the other")


async def rush(uri: str, jobs: int, *, exclusive: bool, dishes: int = 6) -> float:
    """Tickets a second. All orders in one transaction: how soon the last is proved; in order?"""
    clock = SystemClock()
    health = Health(clock)
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "agent.db", clock, health)
        await database.open()
        config = PrinterConfig(name="bench", uri=uri, exclusive=exclusive)
        out: list[str] = []
        first: list[tuple[float, float]] = []  # from here on: connecting is no part of a rush
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        class Counting:
            def put(self, tx, body, *, t=None) -> int:  # noqa: ARG002 - the port
                out.append(body.order_id)
                if len(out) == 1:
                    first.append((time.perf_counter(), time.process_time()))
                if len(out) == jobs:
                    loop.call_soon_threadsafe(done.set)
                return 1

        service = PrinterService(
            config,
            open_printer=open_printer,
            clock=clock,
            database=database,
            recorder=Counting(),
            health=health,
        )
        desk = PrintingDesk([service], clock=clock, database=database, recorder=Counting())

        def insert(tx) -> None:
            for n in range(jobs):
                desk.on_order(tx, an_order(n, dishes), None, int(clock.wall() * 1000))

        await database.write(insert)
        running = asyncio.ensure_future(service.run(Heartbeat(service.name, clock, health)))
        await done.wait()
        (began, cpu) = first[0]
        took, spent = time.perf_counter() - began, time.process_time() - cpu
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await database.close()
    in_order = out == [f"BENCH-{n}" for n in range(jobs)]
    print(
        f"a rush of {jobs}: {(jobs - 1) / took:.0f} tickets/s,"
        f" {spent / (jobs - 1) * 1000:.2f} ms of CPU each,"
        f" {'in order' if in_order else 'OUT OF ORDER'}"
    )
    return (jobs - 1) / took


def _sink(port) -> None:
    """Takes all and never answers."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port.value = server.getsockname()[1]
        while True:
            connection, _ = server.accept()
            while connection.recv(65536):
                pass


def _child(target) -> tuple[multiprocessing.Process, str]:
    port = multiprocessing.Value("i", 0)
    process = multiprocessing.Process(target=target, args=(port,), daemon=True)
    process.start()
    while not port.value:
        time.sleep(0.01)
    return process, f"tcp://127.0.0.1:{port.value}"


IMPORT = """
import re, sys, time
from pathlib import Path
def rss():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
import agent.config, agent.store.database, agent.core.health, agent.core.supervisor
import agent.contract.events, agent.contract.orders, agent.core.recorder
start = time.process_time()
if sys.argv[1] == "prints":
    import agent.printing.desk, agent.printing.devices, drivers.printer.network
print((time.process_time() - start) * 1000, rss())
"""


def importing(rounds: int = 15) -> None:
    """The print path on top of contract, configuration, store and supervisor; with and without it
    in turn, from compiled files as a package has them."""
    found: dict[str, list[tuple[float, ...]]] = {"prints": [], "bare": []}
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        for n in range(rounds + 1):
            for kind, figures in found.items():
                command = [sys.executable, "-c", IMPORT, kind]
                said = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
                if n:  # the first round compiles
                    figures.append(tuple(map(float, said.stdout.split())))
    spent, size = (statistics.median(column) for column in zip(*found["prints"], strict=True))
    bare = statistics.median(size for _, size in found["bare"])
    print(f"import of the print path: {spent:.0f} ms of CPU, +{size - bare:.1f} MB, n={rounds}")


def bare(uri: str, jobs: int, dishes: int) -> float:
    """Tickets a second of one write and one wait each: what the printer itself can do."""
    config = PrinterConfig(name="bench", uri=uri)
    (ticket,) = tickets(an_order(1, dishes), [config]).values()
    data = Renderer(config, Templates()).render(ticket, Stamp(now_ms=1)).data + escpos.BARRIER
    host, port = uri.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port))) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.perf_counter()
        for _ in range(jobs):
            sock.sendall(data)
            sock.recv(16)
        return jobs / (time.perf_counter() - began)


def against_emupos(program: str, jobs: int, rounds: int = 5) -> None:
    """Ours and its own limit in turn; it draws a picture of each ticket, which costs it most."""
    from tests.drivers.printer import test_emupos as house

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        port, api = house.free_port(), house.free_port()
        process = house.start(program, Path(name), port, api)
        uri = f"tcp://127.0.0.1:{port}"
        try:
            for dishes in (2, 6):
                pairs = []
                for _ in range(rounds):
                    limit = bare(uri, jobs, dishes)
                    rate = asyncio.run(rush(uri, jobs, exclusive=True, dishes=dishes))
                    pairs.append((rate, limit))
                ours, limit = (statistics.median(column) for column in zip(*pairs, strict=True))
                share = statistics.median(a / b for a, b in pairs)
                print(
                    f"emupos, {dishes} dishes: {ours:.0f} tickets/s journalled, proved, committed;"
                    f" its limit {limit:.0f}; {share:.0%} of it (medians of {rounds})"
                )
        finally:
            process.terminate()
            process.wait(30)


def whole_agent(orders: int) -> None:
    """A rush through a real broker into a whole agent with two printers; in order at each?"""
    from tests.support import Mosquitto
    from tests.system.foreign import ForeignBackEnd, order
    from tests.system.machines import Agent, Printer, shop_config

    with tempfile.TemporaryDirectory() as name:
        folder, printers = Path(name), [Printer(), Printer()]
        broker = Mosquitto(folder)
        uris = [f"tcp://127.0.0.1:{printer.port}" for printer in printers]
        stations = {"kitchen": {"stations": ["wok"]}, "bar": {"stations": ["bar"]}}
        shop = Agent(folder / "shop", broker.port, shop_config(*uris, **stations)).start()
        try:
            shop.ready(online=True)
            with ForeignBackEnd(broker.port) as backend:
                began = time.perf_counter()
                for n in range(1, orders + 1):
                    items = [{"name": f"Dish {n}", "station": "wok"}]
                    items += [{"name": f"Drink {n}", "station": "bar"}] if n % 3 == 0 else []
                    backend.order(shop.device, order(n, items=items))
                told = time.perf_counter() - began
                wanted = [list(range(1, orders + 1)), list(range(3, orders + 1, 3))]
                while time.perf_counter() - began < 600 and any(
                    len(printer.virtual.paper) < len(numbers)
                    for printer, numbers in zip(printers, wanted, strict=True)
                ):
                    time.sleep(0.05)
                took = time.perf_counter() - began
        finally:
            shop.kill()
            broker.kill()
        found = [
            [int(n) for n in re.findall(r"sys-(\d{5}) v1", "\n".join(printer.text))]
            for printer in printers
        ]
        for printer in printers:
            printer.close()
    print(
        f"{orders} orders over MQTT, told in {told:.1f} s, {sum(map(len, wanted))} tickets at two"
        f" printers out after {took:.1f} s: {'in order' if found == wanted else 'OUT OF ORDER'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--uri")
    parser.add_argument("--emupos", help="its program: only how fast tickets go there")
    parser.add_argument("--mqtt", type=int, help="only so many orders into a whole agent")
    options = parser.parse_args()
    if options.mqtt:
        whole_agent(options.mqtt)
        return
    if options.emupos:
        against_emupos(str(Path(options.emupos).resolve()), options.jobs)
        return
    importing()
    rendering()
    server, uri = (None, options.uri) if options.uri else _child(_serve)
    sink, nowhere = _child(_sink)
    for exclusive in (False, True):
        asyncio.run(path(uri, options.jobs, exclusive=exclusive))
    for what, where in (("proved and committed", uri), ("raw sink, unproved", nowhere)):
        for _ in range(3):
            print(f"{what:20}  ", end="")
            asyncio.run(rush(where, options.jobs, exclusive=True))
    for process in (server, sink):
        if process is not None:
            process.terminate()


if __name__ == "__main__":
    main()
