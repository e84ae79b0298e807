"""The page of a device: a few files, the agent's command table, a stream of changes.

What may ask is decided in `guard`, who in `door`, how bytes come and go in `exchange`; here is
what there is. Two gates lead to it: one for the device's own screen and, where wished, one for the
network.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import hmac
import re
import ssl
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import msgspec

from agent.contract import wire
from agent.contract.errors import Rejected
from agent.core.changes import Changes
from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.page import exchange, guard
from agent.page.door import Door, Visitor
from agent.page.pins import Role
from agent.page.sessions import LIFETIME_S
from drivers.base import DriverError

if TYPE_CHECKING:
    from microdot import Microdot, Request, Response

T = TypeVar("T")
Ask = Callable[[str, dict[str, Any], str], Awaitable[Any]]

MAX_CONNECTIONS = 32  # one more is sent away; a browser opens at most six
MAX_FROM_NETWORK = 24  # the rest is for the device's own screen
MAX_FROM_ONE = 12  # address of the network
MAX_STREAMS = 8  # pages open at once
BEAT_S = 15.0  # a stream in which nothing happens says that it lives
GATHER_S = 0.1  # what changes within it is told once

READS: dict[str, Role] = {
    "status": "staff",
    "orders.list": "staff",
    "ticket.preview": "staff",
    "config.show": "technician",
    "doctor": "technician",
    "gps.view": "technician",
    "queue.list": "technician",
    "sos.test": "technician",
}
WRITES: dict[str, Role] = {
    "alert.ack": "staff",
    "order.accept": "staff",
    "order.ready": "staff",
    "order.reject": "staff",
    "printer.reprint": "staff",
    "printer.resume": "staff",
    "shop.set": "staff",
    "stock.set": "staff",
    "printer.test": "technician",
    "queue.retry": "technician",
    "sound.test": "technician",
}
COOKIE = "edge_session"
INTEGERS = frozenset({"limit", "before", "after"})  # parameters of a query that are numbers
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


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Role
    pin: Annotated[str, msgspec.Meta(max_length=64)]


class Lan(NamedTuple):
    """The gate to the network; without `cert` and `key` everybody there can read along."""

    listen: str
    names: tuple[str, ...] = ()  # by which browsers may call it, besides its addresses
    cert: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """A listening socket."""

    local: bool
    names: tuple[str, ...]
    tls: ssl.SSLContext | None = None

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"


class PageService:
    """`ask(name, params, by)` is the agent's command table; it raises `Rejected` for bad requests.

    `url` is known once the page listens, and `lan_port` where it listens on the network.
    """

    name = "page"

    def __init__(
        self,
        *,
        listen: str,
        clock: Clock,
        health: Health,
        ask: Ask,
        changes: Changes,
        door: Door,
        lan: Lan | None = None,
    ) -> None:
        self.url: str | None = None
        self.lan_port: int | None = None
        self._listen = listen
        self._clock = clock
        self._health = health
        self._ask = ask
        self._changes = changes
        self._door = door
        self._lan = lan
        self._assets: dict[str, Asset] = {}
        self._peers: Counter[str] = Counter()  # open connections from the network, by address
        self._connections = 0
        self._streams = 0

    async def run(self, heartbeat: Heartbeat) -> None:
        """Until cancelled. Raises DriverError when an address cannot be used."""
        self._assets = load_assets()
        app = self._routes()
        group = asyncio.TaskGroup()  # of the connections, so that no exception is lost

        async def bind(listen: str, gate: Gate, setting: str) -> asyncio.Server:
            def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                if server.is_serving():
                    group.create_task(self._serve(app, gate, reader, writer))
                else:
                    writer.transport.abort()

            server = await self._bind(listen, connected, setting)
            return server

        with contextlib.ExitStack() as servers:
            host, _ = guard.split_listen(self._listen)
            gate = Gate(local=True, names=(host, *guard.LOOPBACK))
            own = await bind(self._listen, gate, "page.listen")
            servers.enter_context(contextlib.closing(own))
            outer = None
            if self._lan is not None:
                tls = tls_context(self._lan.cert, self._lan.key)
                gate = Gate(local=False, names=self._lan.names, tls=tls)
                outer = await bind(self._lan.listen, gate, "page.lan_listen")
                servers.enter_context(contextlib.closing(outer))
                self.lan_port = _port(outer)
            self.url = f"http://{guard.bracketed(host)}:{_port(own)}/"
            async with group:
                with servers.pop_all():  # before the connections are waited for
                    for server in filter(None, (own, outer)):
                        await server.start_serving()
                    heartbeat.well()
                    await heartbeat.idle(asyncio.get_running_loop().create_future())

    async def _bind(
        self,
        listen: str,
        connected: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None],
        setting: str,
    ) -> asyncio.Server:
        host, port = guard.split_listen(listen)
        try:
            return await asyncio.start_server(
                connected, host, port, limit=exchange.MAX_HEAD, start_serving=False
            )
        except OSError as error:
            advice = BIND_ADVICE.get(error.errno or 0, f"{error.strerror}; check it")
            raise DriverError(
                f"the staff page cannot listen on {listen}: {advice} ({setting})"
            ) from error

    async def _serve(
        self,
        app: Microdot,
        gate: Gate,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        bug: Exception | None = None
        peer = str((writer.get_extra_info("peername") or ["?"])[0])
        self._connections += 1
        if not gate.local:
            self._peers[peer] += 1
        try:
            crowded = self._crowded(gate, peer)
            if crowded and gate.tls:  # before the costs of a handshake
                writer.transport.abort()
                return
            if gate.tls:
                await exchange.encrypt(writer, gate.tls)
            if crowded:
                raise Rejected("full", "too many connections at once")  # noqa: TRY301 - answered below
            request = await exchange.receive(app, reader, writer)
            self._guard(gate, request, writer)
            request.g.gate, request.g.peer = gate, peer
            response = await app.dispatch_request(request)
            bug = getattr(request.g, "bug", None)
            await exchange.send(response, reader, writer)
        except Rejected as error:
            await exchange.send(exchange.problem(error.code, str(error)), reader, writer)
        except ConnectionError:
            pass  # it went away
        finally:
            self._connections -= 1
            if not gate.local:
                self._peers[peer] -= 1
                self._peers += Counter()  # forgets who has none
            writer.close()
        if bug is not None:
            raise bug

    def _crowded(self, gate: Gate, peer: str) -> bool:
        if gate.local:
            return self._connections > MAX_CONNECTIONS
        return self._peers[peer] > MAX_FROM_ONE or self._peers.total() > MAX_FROM_NETWORK

    def _guard(self, gate: Gate, request: Request, writer: asyncio.StreamWriter) -> None:
        """A page on the network is also known by the address that was dialled."""
        address, port = writer.get_extra_info("sockname")[:2]
        known = guard.hosts((*gate.names, *([] if gate.local else [address])), port, gate.scheme)
        guard.check(
            request.method,
            request.path,
            request.headers,
            request.content_length,
            known,
            gate.scheme,
        )

    # --- what there is ----------------------------------------------------------------------------

    def _routes(self) -> Microdot:
        from microdot import Microdot

        app = Microdot()
        app.get("/")(self._index)
        app.get("/<name>")(self._file)
        app.get("/api/events")(self._watch)
        app.get("/api/me")(self._me)
        app.post("/api/login")(self._login)
        app.post("/api/logout")(self._logout)
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
        return await self._run(request, name, READS[name], lambda: _query(request.args))

    async def _write(self, request: Request, name: str) -> Response:
        if name not in WRITES:
            return await _no_page(request)

        def params() -> dict[str, Any]:
            self._require_csrf(request)
            return _body(request, dict[str, Any])

        return await self._run(request, name, WRITES[name], params)

    async def _run(
        self, request: Request, name: str, role: Role, params: Callable[[], dict[str, Any]]
    ) -> Response:
        try:
            visitor = self._admit(request, role)
            return exchange.answer(await self._ask(name, params(), visitor.by))
        except Rejected as error:
            return exchange.problem(error.code, str(error))
        except DriverError as error:
            return exchange.problem("device", str(error))

    # --- who asks ---------------------------------------------------------------------------------

    def _visitor(self, request: Request) -> Visitor:
        gate: Gate = request.g.gate
        return self._door.visitor(request.cookies.get(COOKIE, ""), request.g.peer, local=gate.local)

    def _admit(self, request: Request, role: Role) -> Visitor:
        visitor = self._visitor(request)
        if visitor.role is None or (role == "technician" and visitor.role != "technician"):
            raise Rejected("login", f"this needs the PIN of {role}")
        return visitor

    def _require_csrf(self, request: Request) -> None:
        given = request.headers.get("X-CSRF", "")
        if not hmac.compare_digest(given.encode(), self._visitor(request).csrf.encode()):
            raise Rejected("csrf", "the page is older than the agent's last start; load it again")

    async def _me(self, request: Request) -> Response:
        visitor = self._visitor(request)
        gate: Gate = request.g.gate
        me = {
            "role": visitor.role,
            "local": gate.local,
            "csrf": visitor.csrf,
            "pins": await self._door.with_pin(),
        }
        return exchange.answer(me)

    async def _login(self, request: Request) -> Response:
        gate: Gate = request.g.gate
        try:
            self._require_csrf(request)
            given = _body(request, Login)
            token = await self._door.login(given.role, given.pin, request.g.peer, local=gate.local)
        except Rejected as error:
            return exchange.problem(error.code, str(error))
        return _with_cookie(token, LIFETIME_S[given.role], gate)

    async def _logout(self, request: Request) -> Response:
        try:
            self._require_csrf(request)
        except Rejected as error:
            return exchange.problem(error.code, str(error))
        self._door.logout(request.cookies.get(COOKIE, ""))
        return _with_cookie("", 0, request.g.gate)

    # --- what changes -----------------------------------------------------------------------------

    async def _watch(self, request: Request) -> Response:
        from microdot import Response

        try:
            self._admit(request, "staff")
        except Rejected as error:
            return exchange.problem(error.code, str(error))
        if self._streams >= MAX_STREAMS:
            text = f"{MAX_STREAMS} staff pages are open on this device; close one"
            self._health.set("page.full", text)
            return exchange.problem("full", text)
        stream: Any = self._events(lambda: self._visitor(request).role is not None)
        return Response(stream, 200, {"Content-Type": "text/event-stream"})

    async def _events(self, welcome: Callable[[], bool]) -> AsyncGenerator[bytes, None]:
        """Server-sent events: the version of what can be asked for, and the device's time (ms)."""
        version = self._changes.version
        self._streams += 1
        try:
            while welcome():  # a session may end meanwhile
                now = round(self._clock.wall() * 1000)
                yield b"data: " + wire.encode({"version": version, "now": now}) + b"\n\n"
                await self._clock.sleep(GATHER_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(BEAT_S):
                        version = await self._changes.wait(version)
        finally:
            self._streams -= 1
            self._health.clear("page.full")


def tls_context(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Of a certificate; DriverError where it cannot be used."""
    if cert is None or key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # Android 7
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise DriverError(
            f"the staff page cannot use {cert} with {key}: {error}; check page.cert and page.key"
        ) from error
    return context


def _with_cookie(token: str, lifetime_s: float, gate: Gate) -> Response:
    response = exchange.answer(None)
    parts = [f"{COOKIE}={token}", "Path=/", "HttpOnly", "SameSite=Strict"]
    parts += [f"Max-Age={lifetime_s:.0f}", *(["Secure"] if gate.tls else [])]
    response.headers["Set-Cookie"] = "; ".join(parts)
    return response


def _body(request: Request, type_: type[T]) -> T:
    return wire.decode(request.body or b"", type_, max_bytes=guard.MAX_BODY)


def _port(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


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
