"""Printers on the network: `tcp://HOST[:9100]`, the raw port that nearly all of them have."""

from __future__ import annotations

import fcntl
import socket
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from drivers.base import Clock, Driver, DriverError, Printer
from drivers.printer.session import open_session
from drivers.printer.transport import FdTransport, Settings, Transport

PORT = 9100


def connect(settings: Settings) -> Transport:
    """Raises DriverError when nobody is there."""
    host, port = _address(settings)
    kept = _kept(settings, host, port)
    if kept is not None:
        return _over(kept, settings, inherited=True)
    try:
        sock = socket.create_connection((host, port), timeout=settings.connect_s)
    except OSError as error:
        what = "did not answer" if isinstance(error, TimeoutError) else f"refused: {error.strerror}"
        raise DriverError(
            f"printer {settings.name} {what}; is it switched on, with its network cable in, "
            f"and at {host} port {port}?"
        ) from error
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return _over(sock, settings, inherited=False)


def _over(sock: socket.socket, settings: Settings, *, inherited: bool) -> Transport:
    sock.setblocking(False)
    return FdTransport(
        *(sock.fileno(), settings, sock.close),
        ends=True,
        unsent=lambda: _unsent(sock),
        keepable=True,
        inherited=inherited,
    )


def _kept(settings: Settings, host: str, port: int) -> socket.socket | None:
    """The connection of an earlier life, where it still leads to this printer."""
    fd = settings.keeper.take(settings.name) if settings.keeper else None
    if fd is None:
        return None
    sock = socket.socket(fileno=fd)
    try:
        here = sock.getpeername()[:2]
        if any(here == info[4][:2] for info in socket.getaddrinfo(host, port)):
            return sock
    except OSError:
        pass  # it is not connected any more, or the name is unknown: a new one will tell
    sock.close()
    return None


def _unsent(sock: socket.socket) -> int:
    """Bytes that the printer's side has not acknowledged (tcp(7), SIOCOUTQ)."""
    answer = fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(answer, sys.byteorder)


def _address(settings: Settings) -> tuple[str, int]:
    parts = urlsplit(settings.uri)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:
        raise DriverError(f"printer {settings.name}: write its address as tcp://HOST:9100")
    return host, port or PORT


@asynccontextmanager
async def open_printer(settings: Settings, clock: Clock) -> AsyncIterator[Printer]:
    del clock  # deadlines are the system's, see transport.py
    async with open_session(settings, lambda: connect(settings)) as session:
        yield session


DRIVER = Driver(
    name="tcp",
    summary="A printer on the network, by its raw port: tcp://HOST[:9100].",
    settings=Settings,
    open=open_printer,
)
