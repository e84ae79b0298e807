"""The demo's page: its files, one stream of frames, one place for buttons.

The staff page's guard and exchange decide what may ask and how bytes come and go: loopback names
only, no foreign sites, deadlines, a strict content policy.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from importlib import resources
from typing import TYPE_CHECKING, Any

from agent.contract import wire
from agent.contract.errors import NotRunning, Rejected
from agent.core.clock import Clock
from agent.demo.stage import Stage
from agent.page import exchange, guard

if TYPE_CHECKING:
    from microdot import Microdot, Request, Response

HOST = "127.0.0.1"
MAX_CONNECTIONS = 32
MAX_STREAMS = 8
FRAME_S = 0.2
STATUS_EVERY = 2  # frames
RUSH = 1000
TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "wav": "audio/wav",
}


class Page:
    """`run()` serves until cancelled; `url` is known once it listens."""

    def __init__(self, stage: Stage, town: dict[str, Any], clock: Clock, port: int) -> None:
        self.url = ""
        self._stage = stage
        self._town = town
        self._clock = clock
        self._port = port
        self._files = _load_files()
        self._hosts: frozenset[str] = frozenset()
        self._connections = self._streams = 0

    async def run(self, listening: Callable[[str], None]) -> None:
        """Raises OSError when the port is taken; 0 takes any."""
        app = self._routes()
        async with asyncio.TaskGroup() as group:

            def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                group.create_task(self._serve(app, reader, writer))

            server = await asyncio.start_server(
                connected, HOST, self._port, limit=exchange.MAX_HEAD
            )
            with contextlib.closing(server):
                port = server.sockets[0].getsockname()[1]
                self._hosts = guard.hosts(guard.LOOPBACK, port)
                self.url = f"http://{HOST}:{port}/"
                listening(self.url)
                await asyncio.get_running_loop().create_future()

    async def _serve(
        self, app: Microdot, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._connections += 1
        try:
            if self._connections > MAX_CONNECTIONS:
                return
            request = await exchange.receive(app, reader, writer)
            guard.check(
                request.method, request.path, request.headers, request.content_length, self._hosts
            )
            response = await app.dispatch_request(request)
            await exchange.send(response, reader, writer)
        except Rejected as error:
            await exchange.send(exchange.problem(error.code, str(error)), reader, writer)
        except ConnectionError:
            pass  # it went away
        finally:
            self._connections -= 1
            writer.close()

    # --- what there is ----------------------------------------------------------------------------

    def _routes(self) -> Microdot:
        from microdot import Microdot

        app = Microdot()
        app.get("/")(self._index)
        app.get("/<name>")(self._file)
        app.get("/api/frames")(self._watch)
        app.post("/api/do")(self._do)
        return app

    async def _index(self, request: Request) -> Response:
        return await self._file(request, "index.html")

    async def _file(self, _request: Request, name: str) -> Response:
        from microdot import Response

        content = self._files.get(name)
        if content is None:
            return exchange.problem("not_found", "the demo has nothing of this name")
        kind = TYPES[name.rpartition(".")[2]]
        return Response(content, 200, {"Content-Type": kind, "Cache-Control": "no-cache"})

    async def _watch(self, _request: Request) -> Response:
        from microdot import Response

        if self._streams >= MAX_STREAMS:
            return exchange.problem("full", f"{MAX_STREAMS} pages look at this demo; close one")
        stream: Any = self._frames()  # microdot's stub knows no streams
        return Response(stream, 200, {"Content-Type": "text/event-stream"})

    async def _frames(self) -> AsyncGenerator[bytes, None]:
        """Server-sent events: first everything that is kept, then what changed."""
        cursor: dict[str, int] = {}
        count = 0
        self._streams += 1
        try:
            while True:
                frame: dict[str, Any] = dict(self._stage.witness.feed.since(cursor))
                frame["rider"] = self._stage.witness.sample
                frame["wire_total"] = self._stage.witness.feed.total("wire")
                if count == 0:
                    frame["hello"] = {"town": self._town}
                if count % STATUS_EVERY == 0:
                    frame["status"] = self._stage.status()
                yield b"data: " + wire.encode(frame) + b"\n\n"
                count += 1
                await self._clock.sleep(FRAME_S)
        finally:
            self._streams -= 1

    async def _do(self, request: Request) -> Response:
        try:
            params = wire.decode(request.body or b"", dict[str, str], max_bytes=guard.MAX_BODY)
            await self._press(params.get("do", ""), params)
        except (Rejected, NotRunning) as error:
            return exchange.answer({"ok": False, "error": str(error)})
        return exchange.answer({"ok": True})

    async def _press(self, name: str, params: dict[str, str]) -> None:
        stage = self._stage
        now: dict[str, Callable[[], object]] = {
            "start": stage.started.set,
            "cut": stage.cut,
            "restore": stage.restore,
            "paper_out": stage.paper_out,
            "refill": stage.refill,
            "order": stage.order,
            "rush": lambda: stage.rush(RUSH),
        }
        later: dict[str, Callable[[], Awaitable[None]]] = {
            "accept": lambda: stage.accept(params.get("order_id", "")),
            "accept_all": stage.accept_all,
            "heard": stage.heard,
            "sos": stage.sos,
        }
        if name in now:
            now[name]()
        elif name in later:
            await later[name]()
        elif name == "kill" and params.get("role") in stage.devices:
            stage.kill(params["role"])
        else:
            raise Rejected("unknown", "there is no such button")


def _load_files() -> dict[str, bytes]:
    """The page's files and, as `zh-new_order.wav`, the prompts of the shop's loudspeaker."""
    static = resources.files("agent.demo") / "static"
    files = {entry.name: entry.read_bytes() for entry in static.iterdir()}
    prompts = resources.files("agent.alerting") / "prompts"
    for sound in ("chime.wav", "siren.wav"):
        files[sound] = (prompts / sound).read_bytes()
    for language in ("zh", "en"):
        for entry in (prompts / language).iterdir():
            files[f"{language}-{entry.name}"] = entry.read_bytes()
    return files
