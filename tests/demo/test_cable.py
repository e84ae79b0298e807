from __future__ import annotations

import asyncio
import contextlib

from agent.core.clock import SystemClock
from agent.demo.cable import Cable

LINE = b"x" * 3000 + b"\n"


@contextlib.asynccontextmanager
async def echo():
    async def serve(reader, writer):
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                writer.write(line)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def say(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(LINE)
        return await reader.readline()
    except OSError:
        return b""
    finally:
        writer.close()


def test_a_cable_carries_both_ways():
    async def run():
        async with echo() as port, Cable(port, SystemClock()) as cable:
            assert await say(cable.port) == LINE

    asyncio.run(run())


def test_a_cut_breaks_what_is_connected_and_refuses_what_comes():
    async def run():
        async with echo() as port, Cable(port, SystemClock()) as cable:
            reader, writer = await asyncio.open_connection("127.0.0.1", cable.port)
            writer.write(LINE)
            assert await reader.readline() == LINE
            cable.cut()
            with contextlib.suppress(OSError):
                assert await reader.read() == b""
            writer.close()
            assert await say(cable.port) == b""
            cable.restore()
            assert await say(cable.port) == LINE

    asyncio.run(run())


def test_a_slow_cable_carries_everything():
    async def run():
        async with echo() as port, Cable(port, SystemClock(), bytes_per_s=1e6) as cable:
            assert await say(cable.port) == LINE

    asyncio.run(run())


def test_a_cable_to_nowhere_hangs_up():
    async def run():
        async with Cable(1, SystemClock()) as cable:
            assert await say(cable.port) == b""

    asyncio.run(run())
