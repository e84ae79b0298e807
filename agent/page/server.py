"""The staff page of a shop device: a few files, the agent's command table, a stream of changes.

What may ask is decided in `guard`, how bytes come and go in `exchange`; here is what there is.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.contract import wire
from agent.contract.errors import Rejected
from agent.core.changes import Changes
from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.page import exchange, guard
from drivers.base import DriverError

if TYPE_CHECKING:
    from microdot import Microdot, Request, Response

Ask = Callable[[str, dict[str, Any], str], Awaitable[Any]]

MAX_CONNECTIONS = 32  # one more is sent away; a browser opens at most six
MAX_STREAMS = 8  # pages open at once
BEAT_S = 15.0  # a stream in which nothing happens says that it lives
GATHER_S = 0.1  # what changes within it is told once

READS = frozenset({"status", "orders.list", "ticket.preview"})
WRITES = frozenset(
    {
        "alert.ack",
        "order.accept",
        "order.ready",
        "order.reject",
        "printer.reprint",
        "printer.resume",
        "shop.set",
    }
)
INTEGERS = frozenset({"limit", "before"})  # parameters of a query that are numbers
NUMBER = re.compile(r"[0-9]{1,15}")

TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
BIND_ADVICE = {
    errno.EADDRINUSE: "another program has this port; `ss -ltnp` names it, or change page.listen",
    errno.EADDRNOTAVAIL: "this device has no such address; set page.listen to 127.0.0.1:8080",
    errno.EACCES: "ports below 1024 are reserved; choose a higher one in page.listen",
}


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    type: str
    tag: str  # changes with the content


class PageService:
    """`ask(name, params, by)` is the agent's command table; it raises `Rejected` for bad requests.

    `url` is known once the page listens.
    """

    name = "page"

    def __init__(
        self, *, listen: str, clock: Clock, health: Health, ask: Ask, changes: Changes
    ) -> None:
        self.url: str | None = None
        self._listen = listen
        self._clock = clock
        self._health = health
        self._ask = ask
        self._changes = changes
        self._assets: dict[str, Asset] = {}
        self._hosts: frozenset[str] = frozenset()
        self._connections = 0
        self._streams = 0

    async def run(self, heartbeat: Heartbeat) -> None:
        """Until cancelled. Raises DriverError when the address cannot be used."""
        self._assets = load_assets()
        app = self._routes()
        group = asyncio.TaskGroup()  # of the connections, so that no exception is lost

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if server.is_serving():
                group.create_task(self._serve(app, reader, writer))
            else:
                writer.transport.abort()

        server = await self._bind(connected)
        async with group:
            with contextlib.closing(server):
                host, _ = guard.split_listen(self._listen)
                port = server.sockets[0].getsockname()[1]
                self._hosts = guard.hosts(host, port)
                self.url = f"http://{guard.bracketed(host)}:{port}/"
                await server.start_serving()
                heartbeat.well()
                await heartbeat.idle(asyncio.get_running_loop().create_future())

    async def _bind(
        self, connected: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]
    ) -> asyncio.Server:
        host, port = guard.split_listen(self._listen)
        try:
            return await asyncio.start_server(
                connected, host, port, limit=exchange.MAX_HEAD, start_serving=False
            )
        except OSError as error:
            advice = BIND_ADVICE.get(error.errno or 0, f"{error.strerror}; check page.listen")
            raise DriverError(
                f"the staff page cannot listen on {self._listen}: {advice}"
            ) from error

    async def _serve(
        self, app: Microdot, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        bug: Exception | None = None
        self._connections += 1
        try:
            if self._connections > MAX_CONNECTIONS:
                raise Rejected("full", "too many connections at once")  # noqa: TRY301 - answered below
            request = await exchange.receive(app, reader, writer)
            guard.check(
                request.method, request.path, request.headers, request.content_length, self._hosts
            )
            response = await app.dispatch_request(request)
            bug = getattr(request.g, "bug", None)
            await exchange.send(response, reader, writer)
        except Rejected as error:
            await exchange.send(exchange.problem(error.code, str(error)), reader, writer)
        except ConnectionError:
            pass  # it went away
        finally:
            self._connections -= 1
            writer.close()
        if bug is not None:
            raise bug

    # --- what there is ----------------------------------------------------------------------------

    def _routes(self) -> Microdot:
        from microdot import Microdot

        app = Microdot()
        app.get("/")(self._index)
        app.get("/<name>")(self._file)
        app.get("/api/events")(self._watch)
        app.get("/api/<name>")(self._read)
        app.post("/api/<name>")(self._write)
        app.errorhandler(404)(_no_page)
        app.errorhandler(405)(_no_method)
        app.errorhandler(Exception)(_bug)
        return app

    async def _index(self, request: Request) -> Response:
        return await self._file(request, "index.html")

    async def _file(self, request: Request, name: str) -> Response:
        from microdot import Response

        asset = self._assets.get(name)
        if asset is None:
            return await _no_page(request)
        headers = {"Content-Type": asset.type, "Cache-Control": "no-cache", "ETag": asset.tag}
        if request.headers.get("If-None-Match") == asset.tag:
            return Response("", 304, headers)
        return Response(asset.content, 200, headers)

    async def _read(self, request: Request, name: str) -> Response:
        if name not in READS:
            return await _no_page(request)
        return await self._run(name, lambda: _query(request.args))

    async def _write(self, request: Request, name: str) -> Response:
        if name not in WRITES:
            return await _no_page(request)
        body, limit = request.body or b"", guard.MAX_BODY
        return await self._run(name, lambda: wire.decode(body, dict[str, Any], max_bytes=limit))

    async def _run(self, name: str, params: Callable[[], dict[str, Any]]) -> Response:
        try:
            return exchange.answer(await self._ask(name, params(), "page"))
        except Rejected as error:
            return exchange.problem(error.code, str(error))
        except DriverError as error:
            return exchange.problem("device", str(error))

    async def _watch(self, _request: Request) -> Response:
        from microdot import Response

        if self._streams >= MAX_STREAMS:
            text = f"{MAX_STREAMS} staff pages are open on this device; close one"
            self._health.set("page.full", text)
            return exchange.problem("full", text)
        stream: Any = self._events()  # microdot's stub knows no streams
        return Response(stream, 200, {"Content-Type": "text/event-stream"})

    async def _events(self) -> AsyncGenerator[bytes, None]:
        """Server-sent events: the version of what can be asked for, and the device's time (ms)."""
        version = self._changes.version
        self._streams += 1
        try:
            while True:
                now = round(self._clock.wall() * 1000)
                yield b"data: " + wire.encode({"version": version, "now": now}) + b"\n\n"
                await self._clock.sleep(GATHER_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(BEAT_S):
                        version = await self._changes.wait(version)
        finally:
            self._streams -= 1
            self._health.clear("page.full")


async def _no_page(_request: Request) -> Response:
    return exchange.problem("not_found", "the staff page has nothing of this name")


async def _no_method(_request: Request) -> Response:
    return exchange.problem("bad_method", "this cannot be done here")


async def _bug(request: Request, error: Exception) -> Response:
    """For microdot would hide it: it is raised again once the client was told."""
    request.g.bug = error
    return exchange.problem("internal", "the agent failed and starts anew")


def _query(args: Mapping[str, str]) -> dict[str, Any]:
    params: dict[str, Any] = {name: args[name] for name in args}  # of several, the first
    for name in INTEGERS & params.keys():
        if not NUMBER.fullmatch(params[name]):
            raise Rejected("invalid", f"{name} must be a number")
        params[name] = int(params[name])
    return params


def load_assets() -> dict[str, Asset]:
    """The files of the page by name; what is not among them does not exist."""
    assets = {}
    for entry in Path(__file__).with_name("static").iterdir():
        content = entry.read_bytes()
        kind = TYPES[entry.name.rpartition(".")[2]]
        assets[entry.name] = Asset(content, kind, f'"{hashlib.sha256(content).hexdigest()[:16]}"')
    return assets
