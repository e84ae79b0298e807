"""An agent without a shop behind it: it answers the page and remembers what it was told."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from agent.contract.errors import Rejected
from agent.core.changes import Changes
from agent.core.clock import SystemClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.page.door import Door
from agent.page.pins import Role
from agent.page.server import Lan, PageService
from agent.page.site import WRITES
from agent.store.database import Database
from drivers.printer.elements import Align, Cut, Element, Feed, Qr, Run, Text
from tests.support import ListRecorder, wait

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NOW = 1_790_000_000_000
CHROMIUM = Path("/usr/bin/chromium")
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES = {
    "phone": (390, 844),
    "panel": (800, 480),
    "tablet": (800, 1280),
    "desktop": (1280, 800),
    "zoomed": (640, 400),
}
STRANGE = "<img src=x onerror=\"document.title='owned'\">"


def order(n: int, **fields: Any) -> dict[str, Any]:
    document = {
        "order_id": f"o-{n}",
        "version": 1,
        "status": "pending",
        "placed_at": NOW,
        "items": [{"name": "宫保鸡丁", "qty": 2}],
        "platform": "meituan",
        "day_seq": n,
        "kind": "delivery",
        "total": 4650,
        "currency": "CNY",
        "paid": True,
        **fields,
    }
    job = {
        "job_id": f"j-{n}",
        "station": "wok",
        "printer": "kitchen",
        "state": "printed",
        "attempt": 1,
        "duplicate": False,
    }
    return {"order": document, "stage": "received", "received": NOW + n, "jobs": [job]}


def _line(*runs: Run, align: Align = "left") -> Text:
    return Text(runs, align)


TICKET: list[Element] = [
    _line(Run("#12", bold=True, width=2, height=2), align="center"),
    _line(Run("美团外卖  MEITUAN"), align="center"),
    _line(Run("-" * 48)),
    _line(Run("宫保鸡丁 Kung Pao chicken", bold=True), Run(" x2" + " " * 14 + "46.50")),
    _line(Run("  少辣 / no peanuts <b>really</b>")),
    _line(Run(" POSSIBLE DUPLICATE ", inverse=True, height=2), align="center"),
    Feed(1),
    Qr("https://example.com/o/12"),
    Cut(),
]


class FakeAgent:
    """`orders` and `status` may be changed from the test; `tell()` makes the page look."""

    def __init__(self) -> None:
        self.changes = Changes()
        self.asked: list[tuple[str, dict[str, Any], str]] = []
        self.orders: list[dict[str, Any]] = []
        self.failure: Exception | None = None
        self.status: dict[str, Any] = {
            "role": "shop",
            "device": "sh-021-01",
            "site": "shop-021",
            "agent": "0.1.0",
            "clock": "ntp",
            "rider": None,
            "link": {
                "up": True,
                "since": NOW,
                "backlog": {"critical": 0, "state": 0, "telemetry": 0},
            },
            "health": [],
            "printers": [{"name": "kitchen", "state": "ready", "fault": None, "waiting": 0}],
            "alerts": [],
            "shop_status": "open",
        }

    async def ask(self, name: str, params: dict[str, Any], by: str) -> Any:
        self.asked.append((name, params, by))
        if self.failure is not None:
            raise self.failure
        answer = getattr(self, "_" + name.replace(".", "_"))(**params)
        if name in WRITES:
            self.changes.notify()
        return answer

    def told(self, name: str) -> list[dict[str, Any]]:
        return [params for asked, params, _ in self.asked if asked == name]

    def _status(self) -> dict[str, Any]:
        return copy.deepcopy(self.status)

    def _orders_list(self, limit: int = 15, before: int | None = None) -> dict[str, Any]:
        newest = sorted(self.orders, key=lambda entry: -entry["received"])
        found = [e for e in newest if before is None or e["received"] < before]
        return {"orders": copy.deepcopy(found[:limit]), "more": len(found) > limit}

    def _find(self, order_id: str) -> dict[str, Any]:
        for entry in self.orders:
            if entry["order"]["order_id"] == order_id:
                return entry
        raise Rejected("unknown_order", f"there is no order {order_id}")

    def _order_accept(self, order_id: str) -> None:
        self._find(order_id)["stage"] = "accepted"
        self._alert_ack()

    def _order_reject(self, order_id: str, reason: str) -> None:
        del reason
        self._find(order_id)["stage"] = "rejected"

    def _order_picked_up(self, order_id: str) -> None:
        self._find(order_id)["stage"] = "picked_up"

    def _order_ready(self, order_id: str) -> None:
        self._find(order_id)["stage"] = "ready"

    def _alert_ack(self, alert_ids: Sequence[str] = ()) -> None:
        alerts = self.status["alerts"]
        self.status["alerts"] = [a for a in alerts if alert_ids and a["alert_id"] not in alert_ids]

    def _printer_reprint(self, job_id: str) -> None:
        del job_id

    def _printer_resume(self, printer: str, choice: str) -> None:
        del choice
        for one in self.status["printers"]:
            if one["name"] == printer:
                one.update(state="ready", waiting=0)

    def _ticket_preview(self, job_id: str) -> dict[str, Any]:
        del job_id
        return {"elements": list(TICKET), "width_mm": 80}

    def _stock_set(self, sku: str, name: str | None, *, available: bool) -> None:
        goods = {"sku": sku, "name": name, "left": None, "available": available}
        self.status["stock"] = [] if available else [goods]

    def _printer_test(self, printer: str) -> str:
        return f"a page was printed on {printer}"

    def _doctor(self) -> list[dict[str, Any]]:
        return [
            {"check": "disk", "ok": True, "text": "900 MB free"},
            {
                "check": "broker",
                "ok": False,
                "text": "mqtt://192.0.2.1 does not answer",
                "since": NOW,
            },
        ]

    def _config_file(self) -> dict[str, Any]:
        return {
            "path": "/etc/edge-agent/conf.d/90-page.toml",
            "text": "[alert]\nrepeat_s = 8\n",
            "before": "",
            "writable": True,
        }

    def _config_try(self, text: str) -> dict[str, Any]:
        wrong = "repeat_s = 0" in text
        return {"problems": ["alert.repeat_s: Expected `float` > 0.0"] if wrong else []}

    def _config_write(self, text: str) -> str:
        del text
        return "kept; the agent starts anew with it"

    def _bundle_make(self) -> dict[str, str]:
        return {"name": "edge-agent-sh-021-01.tar.gz", "data": "H4sIAAAA"}

    def _log_tail(self, after: int = 0, limit: int = 100) -> dict[str, Any]:
        del limit
        said = [("INFO", "shop sh-021-01 runs"), ("WARNING", f"order: {STRANGE}")]
        lines: list[dict[str, Any]] = [
            {"n": n, "t": NOW, "level": level, "text": text}
            for n, (level, text) in enumerate(said, 1)
        ]
        return {"lines": [line for line in lines if line["n"] > after], "last": 2}

    def _printer_bytes(self, printer: str) -> dict[str, Any]:
        assert printer == "kitchen"
        data = b"\x1b@hello <b>kitchen</b>\n\x1dV\x00"
        return {"job_id": "j-1", "order_id": "o-1", "bytes": data.hex(), "missing": "\U0001f336"}

    def _beacons_view(self) -> dict[str, Any]:
        loud = {"address": "AA:BB:CC:DD:EE:01", "identity": STRANGE, "rssi": -58.0, "packets": 9}
        faint = {"address": "AA:BB:CC:DD:EE:02", "identity": None, "rssi": -91.5, "packets": 2}
        near = {"interval_s": 1.0, "age_s": 0.4, "place": "shop-021", "margin_db": 12.0}
        far = {"interval_s": None, "age_s": 12.0, "place": None, "margin_db": None}
        return {"beacons": [loud | near, faint | far]}

    def _config_show(self) -> dict[str, Any]:
        settings = {"role": "shop", "store.max_mb": 200, "position.driver": "gpsd"}
        settings |= {"beacons.driver": "bluez", "sound.driver": "alsa", "page.lan": "off"}
        return {"settings": settings, "origin": {"role": "/etc/edge-agent/config.toml"}}

    def _queue_list(self, table: str, after: int = 0) -> dict[str, Any]:
        del table, after
        row = {"key": 7, "t": NOW, "what": STRANGE}
        return {"rows": [row | {"body": "{}"}], "more": False}

    def _gps_view(self) -> dict[str, Any]:
        unknown: dict[str, Any] = dict.fromkeys(("model", "lat", "lon", "acc_m", "fix_age_s"))
        unknown["lines"] = ["$GPRMC,083559.00,A,4717.11437,N,00833.91522,E*57", STRANGE]
        unknown["sky"] = [
            {
                "name": f"GP {n}",
                "elevation": n * 7,
                "azimuth": n * 40,
                "strength": n * 5,
                "used": n > 4,
            }
            for n in range(1, 12)
        ]
        counts = {"heard": {"RMC": 3}, "rejected": {}}
        seen = {"where": "gpsd", "mode": "none", "used": 7, "in_view": 12, "why": "no fix yet"}
        return unknown | counts | seen

    def _shop_set(self, status: str) -> None:
        self.status["shop_status"] = status


class Served:
    """A page service in a loop of its own thread, so that blocking clients can be used."""

    def __init__(self, folder: Path, lan: Lan | None = None) -> None:
        self.agent = FakeAgent()
        clock = SystemClock()
        self.health = Health(clock)
        self.audits = ListRecorder()
        self.database = Database(folder / "agent.db", clock, self.health)
        self.door = Door(self.database, clock, self.audits)
        self.service = PageService(
            listen="127.0.0.1:0",
            clock=clock,
            health=self.health,
            ask=self.agent.ask,
            changes=self.agent.changes,
            door=self.door,
            lan=lan,
        )
        self.failure: BaseException | None = None
        self._heartbeat = Heartbeat("page", clock, self.health)
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        wait(lambda: self.service.url or self.failure, "the page listens")
        return self

    def __exit__(self, *exc: object) -> None:
        if self._thread.is_alive() and self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(10)

    def _run(self) -> None:
        async def main() -> None:
            await self.database.open()
            self._task = asyncio.ensure_future(self.service.run(self._heartbeat))
            try:
                await self._task
            except asyncio.CancelledError:
                pass
            except BaseException as error:  # noqa: BLE001 - kept for the test to look at
                self.failure = error
            await self.database.close()

        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(main())

    @property
    def url(self) -> str:
        assert self.service.url is not None
        return self.service.url

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    @property
    def streams(self) -> int:
        return self.service._site.streams

    def set_pin(self, role: Role, pin: str) -> None:
        asyncio.run_coroutine_threadsafe(self.door.set_pin(role, pin), self._loop).result(10)

    def tell(self, change: Callable[[FakeAgent], object] = lambda _agent: None) -> None:
        """Change the agent and notify, in its own loop."""

        def run() -> None:
            change(self.agent)
            self.agent.changes.notify()

        self._loop.call_soon_threadsafe(run)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as page:
        yield page
        assert page.failure is None


@pytest.fixture
def networked(tmp_path: Path) -> Iterator[Served]:
    """Also for the network, which is a loopback address here, without TLS."""
    with Served(tmp_path, Lan("127.0.0.2:0", names=("shop.local",))) as page:
        yield page
        assert page.failure is None


@pytest.fixture
def new_order() -> Callable[..., dict[str, Any]]:
    return order


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of a module, because tests that use asyncio cannot run beside it."""
    if not CHROMIUM.exists():
        pytest.skip("no chromium")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield chromium
        chromium.close()


class Opened:
    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.errors: list[str] = []

    def __call__(
        self, served: Any, size: str = "desktop", locale: str = "en-US", url: str | None = None
    ) -> Page:
        from playwright.sync_api import expect

        width, height = SIZES[size]
        context = self._browser.new_context(
            viewport={"width": width, "height": height}, locale=locale, reduced_motion="reduce"
        )
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        page.goto(url or served.url)
        if url is None:
            expect(page.locator("#site")).not_to_be_empty()
        return page


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    pages = Opened(browser)
    yield pages
    for context in browser.contexts:
        context.close()
    assert pages.errors == []
