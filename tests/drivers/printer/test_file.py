from __future__ import annotations

import asyncio
import os

import pytest

from agent.core.clock import SystemClock
from drivers.base import DriverError, Evidence
from drivers.printer import file, network, serial
from drivers.printer.transport import Settings


def test_a_plain_file_collects_jobs_without_proof(tmp_path):
    async def main():
        path = tmp_path / "out.bin"
        for text in (b"one\n", b"two\n"):
            settings = Settings(uri=f"file://{path}")
            async with file.DRIVER.open(settings, SystemClock()) as printer:
                assert not printer.talks
                await printer.write(text)
                assert await printer.barrier() is Evidence.NONE
        assert path.read_bytes() == b"one\ntwo\n"

    asyncio.run(main())


def test_a_character_device_is_asked_and_answers():
    """A pseudo terminal stands in for /dev/usb/lp0."""

    async def main():
        master, slave = os.openpty()
        os.set_blocking(master, False)
        loop = asyncio.get_running_loop()
        loop.add_reader(
            master, lambda: b"\x10\x04" in os.read(master, 99) and os.write(master, b"\x12")
        )
        try:
            settings = Settings(uri=f"file://{os.ttyname(slave)}", probe_s=5.0)
            import tty

            tty.setraw(slave)
            async with file.DRIVER.open(settings, SystemClock()) as printer:
                assert printer.talks
                assert (await printer.status()).online
        finally:
            loop.remove_reader(master)
            os.close(slave)
            os.close(master)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("driver", "uri", "text"),
    [
        (file, "file:///dev/usb/lp77", "plugged in"),
        (file, "file:///nowhere/at/all", "cannot be opened"),
        (serial, "serial:///dev/ttyUSB77", "cannot be opened"),
        (serial, "serial:///dev/ttyUSB77?baud=fast", "baud=9600"),
        (serial, "serial:///dev/ttyUSB77?flow=uphill", "flow="),
        (network, "tcp://127.0.0.1:1", "refused"),
        (network, "tcp://", "tcp://HOST"),
        (network, "tcp://127.0.0.1:many", "tcp://HOST"),
    ],
)
def test_what_cannot_be_opened_says_why(driver, uri, text):
    async def main():
        async with driver.DRIVER.open(Settings(uri=uri), SystemClock()):
            raise AssertionError

    with pytest.raises(DriverError, match=text):
        asyncio.run(main())
