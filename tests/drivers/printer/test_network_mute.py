"""A printer on the network that says nothing, and one that also takes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest

from agent.core.clock import SystemClock
from drivers.base import DriverError, Evidence
from drivers.printer.network import open_printer
from drivers.printer.transport import Settings


@contextlib.contextmanager
def listening(*, reads: bool) -> Iterator[str]:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0), backlog=5)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        taken: list[socket.socket] = []
        with contextlib.ExitStack() as stack:
            if reads:
                import threading

                def swallow() -> None:
                    peer, _ = server.accept()
                    taken.append(peer)
                    while peer.recv(65536):
                        pass

                thread = threading.Thread(target=swallow)
                thread.start()
                stack.callback(thread.join)
            yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        for peer in taken:
            peer.close()


def send(uri: str, size: int) -> Evidence:
    async def story() -> Evidence:
        settings = Settings(uri=uri, probe_s=0.05, stall_s=0.5)
        async with open_printer(settings, SystemClock()) as printer:
            assert not printer.talks
            await printer.write(b"x" * size)
            return await printer.barrier()

    return asyncio.run(story())


def test_what_a_mute_printer_has_taken_is_sent_without_proof() -> None:
    with listening(reads=True) as uri:
        assert send(uri, 100_000) is Evidence.NONE


def test_what_only_our_own_kernel_holds_is_not_sent() -> None:
    with listening(reads=False) as uri, pytest.raises(DriverError, match="takes no more data"):
        send(uri, 100_000)
