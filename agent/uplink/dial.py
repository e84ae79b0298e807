"""Makes a connection: name, TCP, TLS; each with a deadline, none leaves anything behind.

The address at which the broker answered last is remembered. It is tried first while the name still
leads to it, and last when the resolver names others or does not answer, so a network that answers
every name with its own login page does not cut a device off. With TLS the certificate decides what
is the broker; without it only CONNACK does, so an address that was silent goes to the end.

A machine that starts without a clock finds every certificate "not valid yet", and may need the
broker before it learns the time. Where `floor` gives a time that has surely passed, such a
certificate is accepted if it ends after that; one that has expired by then, or by the clock, never.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from agent.uplink import words
from agent.uplink.values import LinkSettings, TlsFiles

RESOLVE_S = 5.0
ADDRESS_S = 10.0  # TCP and TLS, for each address
ADDRESSES_MAX = 4
DEAD_S = 15.0  # what was sent is not acknowledged by the other side's TCP: the line is dead
KNOWN_MAX = 8  # hosts whose address is remembered
VERDICT_S = 2.0  # for what TLS 1.3 says of our certificate, which comes behind the handshake
_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME (x509_vfy.h)
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

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
        return await self._dial(url, None)

    async def dial_as(self, url: str, files: TlsFiles) -> socket.socket:
        """The same with these files, and with the other side's word on our certificate."""
        made = await self._dial(url, files)
        try:
            if isinstance(made, ssl.SSLSocket):
                await _verdict(made)
        except BaseException:
            made.close()
            raise
        return made

    async def _dial(self, url: str, files: TlsFiles | None) -> socket.socket:
        parts = urlsplit(url)
        secure = parts.scheme == "mqtts"
        host, port = parts.hostname or "", parts.port or (8883 if secure else 1883)
        context = tls_context(self._settings, files) if secure else None
        fault: OSError = OSError(f"no address for {host}")
        try:
            found = await _resolve(host, port)
        except OSError as error:
            found, fault = [], OSError(f"{host} is not found ({error.strerror or 'no answer'})")
        for address in self._in_order(url, found):
            try:
                made = await self._connect(address, context, host)
            except OSError as error:
                fault = error
            else:
                self.address = address
                return made
        raise fault

    async def _connect(
        self, address: Address, context: ssl.SSLContext | None, host: str
    ) -> socket.socket:
        try:
            return await _connect(address, context, host)
        except ssl.SSLCertVerificationError as error:
            floor = self._settings.floor() if self._settings.floor else None
            if context is None or floor is None or not words.not_yet_valid(error):
                raise
        context.verify_flags |= _NO_CHECK_TIME
        made = await _connect(address, context, host)
        assert isinstance(made, ssl.SSLSocket)
        end = ssl.cert_time_to_seconds(str((made.getpeercert() or {})["notAfter"]))
        if end < floor:
            made.close()
            raise OSError("its certificate has expired, whatever the time may be: renew it there")
        return made

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


async def _verdict(sock: ssl.SSLSocket) -> None:
    """Wait until the other side took our certificate or refused it (raises OSError).

    In TLS 1.3 our handshake is over before that is known. A server that takes us sends a session
    ticket, or nothing; one that does not sends an alert.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(VERDICT_S):
            while sock.session is None or not sock.session.has_ticket:
                try:
                    if not sock.recv(1):
                        raise ConnectionResetError("it hung up when it saw our certificate")
                except ssl.SSLWantReadError:
                    if sock.session is None or not sock.session.has_ticket:
                        await _ready(sock, loop.add_reader, loop.remove_reader)
    except TimeoutError:
        return


def tls_context(settings: LinkSettings, files: TlsFiles | None = None) -> ssl.SSLContext:
    """Made anew for each connection, so that renewed files are used."""
    if files is None:
        own = TlsFiles(settings.ca, settings.cert, settings.key)
        files = settings.files() if settings.files else own
    try:
        context = ssl.create_default_context(cafile=files.ca)
        context.minimum_version = _VERSIONS[settings.tls_min]
        if files.cert is not None:
            context.load_cert_chain(files.cert, files.key)
    except OSError as error:  # which does not say the file
        names = [str(name) for name in files if name]
        raise OSError(f"{' or '.join(names)} cannot be used: {error.strerror}") from error
    return context
