"""How fast the page is answered with a day's 5,000 orders in the store: `python -m bench.page`.

A whole agent on loopback; orders and two print jobs each are written into its store. Each question
is a connection of its own, as from a browser. Where there is a Chromium it opens the page, too:
how long until something is painted, until the first order is there, and the bytes over the wire.
"""

from __future__ import annotations

import http.client
import json
import shutil
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from agent.contract.orders import Item, Order
from agent.contract.wire import encode
from agent.printing.ticket import Ticket
from bench.common import free_port
from tests.agent.page.conftest import ARGS, CHROMIUM
from tests.system.machines import Agent, shop_config

ORDERS = 5000
ROUNDS = 60
VISITS = 10
STATIC = Path(__file__).parents[1] / "agent" / "page" / "static"


def seed(store: Path) -> None:
    now = int(time.time() * 1000)
    with closing(sqlite3.connect(store)) as db:
        for n in range(ORDERS):
            items = [Item(name=f"宫保鸡丁 {i}", sku=f"d-{i}", qty=2, note="少辣") for i in range(6)]
            order = Order(
                order_id=f"o-{n}",
                version=1,
                status="completed",
                placed_at=now,
                items=items,
                day_seq=n,
                platform="meituan",
                total=4650,
                currency="CNY",
                note="不要香菜" * 5,
            )
            stage = "received" if n > ORDERS - 20 else "closed"
            received = now - (ORDERS - n) * 10_000
            row = (order.order_id, 1, "completed", stage, received, encode(order))
            db.execute(
                "INSERT INTO orders (order_id, version, status, stage, received, document)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                row,
            )
            ticket = encode(Ticket(what="order", order_id=order.order_id, version=1))
            for copy in (1, 2):
                job = (f"j-{n}-{copy}", order.order_id, 1, "wok", copy, "order", "kitchen")
                more = ("kitchen", "printed", 1, 0, "status", 0, received, received, ticket)
                db.execute(
                    "INSERT INTO jobs (job_id, order_id, version, station, copy, kind, printer,"
                    " home, state, attempt, doubts, evidence, priority, created, changed, ticket)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (*job, *more),
                )
        db.commit()


def ask(port: int, path: str) -> tuple[float, int]:
    start = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status} {body[:300]!r}")
    return time.perf_counter() - start, len(body)


PAINTED = """() => {
  const entries = performance.getEntriesByName('first-contentful-paint');
  return entries.length ? entries[0].startTime : null;
}"""
BYTES = """() => performance.getEntriesByType('resource')
  .concat(performance.getEntriesByType('navigation')).reduce((sum, e) => sum + e.transferSize, 0)"""


def look(port: int) -> None:
    """In a browser that knows nothing yet, each time."""
    from playwright.sync_api import sync_playwright

    paints, orders, weight = [], [], 0
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        for _ in range(VISITS):
            context = chromium.new_context(viewport={"width": 800, "height": 480})
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{port}/")
            page.wait_for_selector(".order")
            orders.append(page.evaluate("performance.now()"))
            page.wait_for_function(PAINTED)
            paints.append(page.evaluate(PAINTED))
            weight = page.evaluate(BYTES)
            context.close()
        chromium.close()
    for what, times in (("first paint", sorted(paints)), ("15 orders there", sorted(orders))):
        print(
            f"{what:32} median {statistics.median(times):6.0f} ms   worst {times[-1]:6.0f} ms"
            f"   of {VISITS}"
        )
    print(f"{'over the wire':32} {weight / 1000:.0f} kB with headers and the first answers")


def main() -> None:
    folder, port = Path(tempfile.mkdtemp(prefix="page-")), free_port()
    agent = Agent(
        folder,
        free_port(),
        shop_config("simulated://") + f"\n[page]\nlisten = '127.0.0.1:{port}'",
    )
    try:
        agent.start().ready()
        agent.stop()
        seed(agent.store)
        agent.start().ready()
        for path in (
            "/api/status",
            "/api/orders.list?limit=15",
            "/api/orders.list?limit=150",
            "/",
            "/main.js",
        ):
            times = sorted(ask(port, path)[0] * 1000 for _ in range(ROUNDS))
            size = ask(port, path)[1]
            print(
                f"{path:32} median {statistics.median(times):6.1f} ms   p95"
                f" {times[int(ROUNDS * 0.95)]:6.1f} ms   {size / 1000:7.1f} kB"
            )
        if CHROMIUM.exists():
            look(port)
        print(json.dumps({"page_kb": sum(f.stat().st_size for f in STATIC.iterdir()) / 1000}))
    finally:
        if agent.process is not None:
            agent.kill()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
