"""The page of a device on the wire: who may connect, how many, and one request a connection.

What may ask is decided in `guard`, who in `door`, how bytes come and go in `exchange`; what there
is stands in `site`. Two gates lead to it: one for the device's own screen and, where wished, one
for the network.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from agent.contract.errors import Rejected
from agent.core.changes import Changes
from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.page import exchange, guard
from agent.page.door import Door
from agent.page.gate import Gate, Lan, tls_context
from agent.page.site import Ask, Site
from drivers.base import DriverError

if TYPE_CHECKING:
    from microdot import Microdot, Request

__all__ = ["Lan", "PageService"]

MAX_CONNECTIONS = 32  # one more is sent away; a browser opens at most six
MAX_FROM_NETWORK = 24  # the rest is for the device's own screen
MAX_FROM_ONE = 12  # address of the network
BIND_ADVICE = {
    errno.EADDRINUSE: "another program has this port; `ss -ltnp` names it, or change page.listen",
    errno.EADDRNOTAVAIL: "this device has no such address; set page.listen to 127.0.0.1:8080",
    errno.EACCES: "ports below 1024 are reserved; choose a higher one in page.listen",
}


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
        self._lan = lan
        self._site = Site(clock, health, ask, changes, door)
        self._peers: Counter[str] = Counter()  # open connections from the network, by address
        self._connections = 0

    async def run(self, heartbeat: Heartbeat) -> None:
        """Until cancelled. Raises DriverError when an address cannot be used."""
        app = self._site.routes()
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


def _port(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port
