"""Makes a connection: name, TCP, TLS; each with a deadline, none leaves anything behind.

The address at which the broker answered last is remembered. It is tried first while the name still
leads to it, and last when the resolver names others or does not answer, so a network that answers
every name with its own login page does not cut a device off. With TLS the certificate decides what
is the broker; without it only CONNACK does, so an address that was silent goes to the end.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from agent.uplink.values import LinkSettings

RESOLVE_S = 5.0
ADDRESS_S = 10.0  # TCP and TLS, for each address
ADDRESSES_MAX = 4
DEAD_S = 15.0  # what was sent is not acknowledged by the other side's TCP: the line is dead
KNOWN_MAX = 8  # hosts whose address is remembered

Address = tuple[socket.AddressFamily, str, int]


class Dialler:
    """`address` is where the last connection that `dial` made leads to."""

    def __init__(self, settings: LinkSettings) -> None:
        self._settings = settings
        self._good: dict[str, Address] = {}  # by URL
        self._silent: dict[str, Address] = {}
        self.address: Address | None = None

    async def dial(self, url: str) -> socket.socket:
        """A connected socket, not blocking, through TLS for mqtts://. Raises OSError."""
        parts = urlsplit(url)
        secure = parts.scheme == "mqtts"
        host, port = parts.hostname or "", parts.port or (8883 if secure else 1883)
        context = tls_context(self._settings) if secure else None
        fault: OSError = OSError(f"no address for {host}")
        try:
            found = await _resolve(host, port)
        except OSError as error:
            found, fault = [], OSError(f"{host} is not found ({error.strerror or 'no answer'})")
        for address in self._in_order(url, found):
            try:
                made = await _connect(address, context, host)
            except OSError as error:
                fault = error
            else:
                self.address = address
                return made
        raise fault

    def accepted(self, url: str) -> None:
        """The broker answered there."""
        _remember(self._good, url, self.address)
        self._silent.pop(url, None)

    def rejected(self, url: str) -> None:
        """What answered there was no broker."""
        _remember(self._silent, url, self.address)

    def _in_order(self, url: str, found: list[Address]) -> list[Address]:
        good, silent = self._good.get(url), self._silent.get(url)
        order = found[:ADDRESSES_MAX]
        if good in order:
            order.sort(key=lambda address: address != good)
        elif good is not None:
            order.append(good)
        order.sort(key=lambda address: address == silent)
        return order


def _remember(where: dict[str, Address], url: str, address: Address | None) -> None:
    if address is not None:
        where.pop(url, None)
        where[url] = address
        while len(where) > KNOWN_MAX:
            del where[next(iter(where))]


async def _resolve(host: str, port: int) -> list[Address]:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(RESOLVE_S):
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, str(where[0]), int(where[1])) for family, _, _, _, where in found]


async def _connect(address: Address, context: ssl.SSLContext | None, host: str) -> socket.socket:
    family, ip, port = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        # Else a small message waits up to 40 ms for TCP's acknowledgement of the one before.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(DEAD_S * 1000))
        async with asyncio.timeout(ADDRESS_S):
            await asyncio.get_running_loop().sock_connect(sock, (ip, port))
            if context is not None:
                sock = context.wrap_socket(
                    sock, server_hostname=host, do_handshake_on_connect=False
                )
                await _handshake(sock)
    except BaseException:
        sock.close()
        raise
    return sock


async def _handshake(sock: ssl.SSLSocket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            await _ready(sock, loop.add_reader, loop.remove_reader)
        except ssl.SSLWantWriteError:
            await _ready(sock, loop.add_writer, loop.remove_writer)
        else:
            return


async def _ready(
    sock: socket.socket, watch: Callable[..., object], unwatch: Callable[[int], object]
) -> None:
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    watch(sock.fileno(), _done, ready)
    try:
        await ready
    finally:
        unwatch(sock.fileno())


def _done(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def tls_context(settings: LinkSettings) -> ssl.SSLContext:
    """Made anew for each connection, so that renewed files are used."""
    try:
        context = ssl.create_default_context(cafile=settings.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.cert is not None:
            context.load_cert_chain(settings.cert, settings.key)
    except OSError as error:  # which does not say the file
        names = [str(name) for name in (settings.ca, settings.cert, settings.key) if name]
        raise OSError(f"{' or '.join(names)} cannot be used: {error.strerror}") from error
    return context
