"""What the page answers: its files, the agent's command table, a stream of changes.

Which requests come this far is decided in `guard` and `server`, who asks in `door`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec

from agent.contract import wire
from agent.contract.errors import Rejected
from agent.core.changes import Changes
from agent.core.clock import Clock
from agent.core.health import Health
from agent.page import exchange, guard
from agent.page.assets import Asset, load_assets
from agent.page.door import Door, Visitor
from agent.page.gate import Gate
from agent.page.pins import Role
from agent.page.sessions import LIFETIME_S
from agent.page.spoken import spoken
from agent.words import Language, say
from drivers.base import DriverError

if TYPE_CHECKING:
    from microdot import Microdot, Request, Response

T = TypeVar("T")
Ask = Callable[[str, dict[str, Any], str], Awaitable[Any]]

MAX_STREAMS = 8  # pages open at once
BEAT_S = 15.0  # a stream in which nothing happens says that it lives
GATHER_S = 0.1  # what changes within it is told once

READS: dict[str, Role] = {
    "status": "staff",
    "orders.list": "staff",
    "ticket.preview": "staff",
    "beacons.view": "technician",
    "config.file": "technician",
    "config.show": "technician",
    "doctor": "technician",
    "gps.view": "technician",
    "log.tail": "technician",
    "printer.bytes": "technician",
    "queue.list": "technician",
    "sos.test": "technician",
}
WRITES: dict[str, Role] = {
    "alert.ack": "staff",
    "order.accept": "staff",
    "order.picked_up": "staff",
    "order.ready": "staff",
    "order.reject": "staff",
    "printer.reprint": "staff",
    "printer.resume": "staff",
    "shop.set": "staff",
    "stock.set": "staff",
    "bundle.make": "technician",
    "config.try": "technician",
    "config.write": "technician",
    "printer.test": "technician",
    "queue.retry": "technician",
    "sound.test": "technician",
}
COOKIE = "edge_session"
INTEGERS = frozenset({"limit", "before", "after"})  # parameters of a query that are numbers
NUMBER = re.compile(r"[0-9]{1,15}")


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Role
    pin: Annotated[str, msgspec.Meta(max_length=64)]


class Site:
    """`ask(name, params, by)` is the agent's command table; it raises `Rejected` for bad ones."""

    def __init__(
        self, clock: Clock, health: Health, ask: Ask, changes: Changes, door: Door
    ) -> None:
        self.streams = 0
        self._clock = clock
        self._health = health
        self._ask = ask
        self._changes = changes
        self._door = door
        self._assets: dict[str, Asset] = {}

    # --- what there is ----------------------------------------------------------------------------

    def routes(self) -> Microdot:
        from microdot import Microdot

        self._assets = load_assets()
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
            found = await self._ask(name, params(), visitor.by)
            return exchange.answer(spoken(name, found, _language(request)))
        except Rejected as error:
            return _refusal(request, error.code, error)
        except DriverError as error:
            return _refusal(request, "device", error)

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
            return _refusal(request, error.code, error)
        self._door.logout(request.cookies.get(COOKIE, ""))  # who they were before
        return _with_cookie(token, LIFETIME_S[given.role], gate)

    async def _logout(self, request: Request) -> Response:
        try:
            self._require_csrf(request)
        except Rejected as error:
            return _refusal(request, error.code, error)
        self._door.logout(request.cookies.get(COOKIE, ""))
        return _with_cookie("", 0, request.g.gate)

    # --- what changes -----------------------------------------------------------------------------

    async def _watch(self, request: Request) -> Response:
        from microdot import Response

        try:
            self._admit(request, "staff")
        except Rejected as error:
            return _refusal(request, error.code, error)
        if self.streams >= MAX_STREAMS:
            text = f"{MAX_STREAMS} staff pages are open on this device; close one"
            self._health.set("page.full", text)
            return exchange.problem("full", text)
        stream: Any = self._events(lambda: self._visitor(request).role is not None)
        return Response(stream, 200, {"Content-Type": "text/event-stream"})

    async def _events(self, welcome: Callable[[], bool]) -> AsyncGenerator[bytes, None]:
        """Server-sent events: the version of what can be asked for, and the device's time (ms)."""
        version = self._changes.version
        self.streams += 1
        try:
            while welcome():  # a session may end meanwhile
                now = round(self._clock.wall() * 1000)
                yield b"data: " + wire.encode({"version": version, "now": now}) + b"\n\n"
                await self._clock.sleep(GATHER_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(BEAT_S):
                        version = await self._changes.wait(version)
        finally:
            self.streams -= 1
            self._health.clear("page.full")


def _language(request: Request) -> Language:
    return "zh" if request.headers.get("X-Language") == "zh" else "en"


def _refusal(request: Request, code: str, error: Exception) -> Response:
    return exchange.problem(code, say(str(error), _language(request)))


def _with_cookie(token: str, lifetime_s: float, gate: Gate) -> Response:
    response = exchange.answer(None)
    parts = [f"{COOKIE}={token}", "Path=/", "HttpOnly", "SameSite=Strict"]
    parts += [f"Max-Age={lifetime_s:.0f}", *(["Secure"] if gate.tls else [])]
    response.headers["Set-Cookie"] = "; ".join(parts)
    return response


def _body(request: Request, type_: type[T]) -> T:
    return wire.decode(request.body or b"", type_, max_bytes=guard.longest(request.path))


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
