"""One connection, one request, one answer: the deadlines and limits that microdot leaves open.

Deadlines on sockets are measured by the event loop, like those of drivers. A client that is gone
or too slow is a `ConnectionError`; one that talks nonsense is `Rejected`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ssl
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, cast

from agent.contract import wire
from agent.contract.errors import Rejected
from agent.page import guard

if TYPE_CHECKING:
    from microdot import Microdot, Request, Response

MAX_HEAD = 16 * 1024  # bytes of request line and headers
HEAD_S = 5.0  # a client has this long to say what it wants
WRITE_S = 10.0  # and this long to take each piece of the answer

# HTTP status by reason code; `unknown...` is 404 and the rest 409: understood, but not now.
STATUS = {
    "bad_host": 421,
    "bad_method": 405,
    "bad_request": 400,
    "content_type": 415,
    "cross_site": 403,
    "csrf": 403,
    "device": 503,
    "full": 503,
    "internal": 500,
    "invalid": 400,
    "login": 401,
    "not_found": 404,
    "not_json": 400,
    "proxied": 403,
    "too_large": 413,
    "too_many": 429,
    "wrong_pin": 403,
}


def answer(value: object, status: int = 200) -> Response:
    from microdot import Response

    body = wire.encode(value)
    return Response(body, status, {"Content-Type": "application/json"})


def problem(code: str, text: str) -> Response:
    status = STATUS.get(code, 404 if code.startswith("unknown") else 409)
    return answer({"code": code, "text": text}, status)


class _In:
    """A request as microdot reads it, up to `MAX_HEAD` bytes of lines."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._left = MAX_HEAD

    async def readline(self) -> bytes:
        line = await self._reader.readline()
        self._left -= len(line)
        if self._left < 0:
            raise Rejected("too_large", f"a request has at most {MAX_HEAD} bytes of headers")
        return line

    async def readexactly(self, count: int) -> bytes:
        return await self._reader.readexactly(count)


class _Out:
    """A connection as microdot writes it: who does not take the bytes is gone."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def awrite(self, data: bytes) -> None:
        self._writer.write(data)
        try:
            async with asyncio.timeout(WRITE_S):
                await self._writer.drain()
        except OSError:
            self._writer.transport.abort()
            raise BrokenPipeError(errno.EPIPE, "gone, or does not read") from None


async def encrypt(writer: asyncio.StreamWriter, tls: ssl.SSLContext) -> None:
    """Only now, so that a connection is counted before it costs a handshake."""
    try:
        await writer.start_tls(tls, ssl_handshake_timeout=HEAD_S)
    except OSError:  # also what is no TLS, and who does not trust us
        writer.transport.abort()
        raise ConnectionResetError(errno.ECONNRESET, "no handshake") from None


async def receive(
    app: Microdot, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Request:
    """Raises Rejected for what is no request, ConnectionError when none came in time."""
    from microdot import Request

    peer = writer.get_extra_info("peername")
    limited = cast("asyncio.StreamReader", _In(reader))  # the two methods that microdot calls
    try:
        async with asyncio.timeout(HEAD_S):
            request = await Request.create(app, limited, writer, peer)
    except (OSError, EOFError):
        raise ConnectionResetError(errno.ECONNRESET, "nothing was asked") from None
    except (ValueError, IndexError):  # what microdot's parser raises for malformed lines
        raise Rejected("bad_request", "this is not a request") from None
    if request is None:
        raise ConnectionResetError(errno.ECONNRESET, "nothing was asked")
    return request


async def send(
    response: Response, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """The answer, with the headers of every answer; a stream goes on until the client hangs up."""
    for name, value in guard.HEADERS.items():
        response.headers[name] = value
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    response.headers["Connection"] = "close"
    if not isinstance(response.body, AsyncGenerator):
        await _write(response, writer)
        return
    async with contextlib.aclosing(response.body), asyncio.TaskGroup() as group:
        sending = group.create_task(_write(response, writer))
        await _hung_up(reader)
        sending.cancel()


async def _write(response: Response, writer: asyncio.StreamWriter) -> None:
    out = cast("asyncio.StreamWriter", _Out(writer))  # the one method that microdot calls
    try:
        await response.write(out)
    finally:
        writer.close()  # which also ends `_hung_up`


async def _hung_up(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(1024):
            pass
