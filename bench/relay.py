"""A mobile link: every byte takes 40 ms each way, and 64 kB/s go up.

    python bench/relay.py TARGET_PORT [BYTES_PER_S] [ONE_WAY_S]

Says its port as a JSON line. What the device sends waits in the relay, as in a modem's buffer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import time
from collections import deque

CHUNK = 1400  # a packet
BUFFER = 64 * 1024  # the modem's; then the device's socket has to wait


async def carry(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, rate: float, delay: float
) -> None:
    """At `rate` bytes a second (0: unlimited), each byte `delay` seconds later."""
    flying: deque[tuple[float, bytes]] = deque()
    come, room = asyncio.Event(), asyncio.Event()
    free = 0.0

    async def deliver() -> None:
        while True:
            await come.wait()
            while flying:
                due, data = flying[0]
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                flying.popleft()
                room.set()
                if not data:
                    sink.close()
                    return
                sink.write(data)
            come.clear()

    delivering = asyncio.ensure_future(deliver())
    with contextlib.suppress(OSError):
        while True:
            data = await source.read(CHUNK)
            now = time.monotonic()
            free = max(now, free) + (len(data) / rate if rate else 0.0)
            flying.append((free + delay, data))
            come.set()
            if not data:
                break
            while sum(len(part) for _, part in flying) > BUFFER and rate:
                room.clear()
                await room.wait()
    await delivering


async def main(target: int, rate: float, delay: float) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        for end in (writer, far_writer):
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.gather(
            carry(reader, far_writer, rate, delay), carry(far_reader, writer, 0.0, delay)
        )

    server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=CHUNK)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    more = [float(word) for word in sys.argv[2:]]
    asyncio.run(main(int(sys.argv[1]), *(more + [64_000.0, 0.04][len(more) :])))
