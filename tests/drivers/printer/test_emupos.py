"""emupos, a wire-level printer emulator of other people, as a judge of our bytes.

It needs Python 3.13 of its own: `python3.13 -m venv .cache/emupos` and
`.cache/emupos/bin/pip install emupos`.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from agent.core.clock import SystemClock
from drivers.base import DriverError, Evidence
from drivers.printer import escpos, network
from drivers.printer.elements import Cut, Feed, Qr, Run, Text
from drivers.printer.raster import Rasterizer, find_fonts
from drivers.printer.transport import Settings

EMUPOS = Path(__file__).parents[3] / ".cache" / "emupos" / "bin" / "emupos"
WAIT_S = 30

CONFIG = """\
schema: 1
api: {{ host: 127.0.0.1, port: {api} }}
devices:
  - id: kitchen
    type: printer
    profile: epson-tm-t20iii
    connections:
      - tcp: {{ host: 127.0.0.1, port: {port} }}
    job_idle_timeout_ms: 300
    receipts_dir: ./receipts
"""


class Emulator:
    def __init__(self, folder: Path, port: int, api: int) -> None:
        self.folder = folder
        self.uri = f"tcp://127.0.0.1:{port}"
        self._api = f"http://127.0.0.1:{api}/api/v1/devices/kitchen"

    def fault(self, name: str, *, on: bool = True) -> None:
        method = "PUT" if on else "DELETE"
        request = urllib.request.Request(f"{self._api}/faults/{name}", method=method)
        urllib.request.urlopen(request, timeout=5).close()

    def receipts(self) -> list[str]:
        """Their texts; the emulator has no Chinese glyphs but keeps every byte (code page 437)."""
        files = sorted((self.folder / "receipts").glob("*.txt"))
        return [_chinese(file.read_text(encoding="utf-8")) for file in files]


def _chinese(text: str) -> str:
    lines = []
    for line in text.splitlines():
        try:
            lines.append(line.encode("cp437").decode("gb18030").rstrip())
        except UnicodeError:  # the QR code's text, which it shows as it is
            lines.append(line.rstrip())
    return "\n".join(lines)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture
def emulator(tmp_path: Path):
    program = str(EMUPOS) if EMUPOS.exists() else shutil.which("emupos")
    if program is None:
        pytest.skip("no emupos; see the head of this file")
    port, api = free_port(), free_port()
    process = start(program, tmp_path, port, api)
    try:
        yield Emulator(tmp_path, port, api)
    finally:
        process.terminate()
        process.wait(WAIT_S)


def start(program: str, folder: Path, port: int, api: int) -> subprocess.Popen:
    (folder / "emupos.yaml").write_text(CONFIG.format(port=port, api=api))
    with (folder / "log").open("wb") as log:  # it says a line for every NUL
        process = subprocess.Popen(
            [program, "run"],
            cwd=folder,
            env=os.environ | {"TMPDIR": str(folder), "NO_COLOR": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    _await_port(port, process)
    return process


def _await_port(port: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        select.select([], [], [], 0.05)
    pytest.fail(f"emupos did not start: {json.dumps(process.args)}")


def job(*lines: str) -> bytes:
    elements = [
        *(Text((Run(line),)) for line in lines),
        Qr("https://example.com/汤"),
        Feed(1),
        Cut(),
    ]
    return escpos.encode(elements, charset="gb18030", draw=Rasterizer(576).draw)


def test_another_ones_printer_reads_what_we_mean_and_proves_it(emulator):
    async def main():
        settings = Settings(uri=emulator.uri, probe_s=10, answer_s=10)  # a busy machine
        async with network.DRIVER.open(settings, SystemClock()) as printer:
            assert printer.talks
            assert (await printer.status()).fault is None
            await printer.write(job("宫保鸡丁 x2", "Tea ￥38.00"))
            assert await printer.barrier() is Evidence.BARRIER
            emulator.fault("paper-out")
            assert (await printer.status()).fault == "paper_out"
            await printer.write(job("waits"))
            with pytest.raises(DriverError):
                await printer.barrier()
            emulator.fault("paper-out", on=False)
            assert await printer.barrier() is Evidence.BARRIER
            emulator.fault("cover-open")
            assert (await printer.status()).fault == "cover_open"
        first, second = emulator.receipts()
        assert "宫保鸡丁 x2" in first
        assert "Tea ￥38.00" in first
        assert "[qr https://example.com/汤]" in first
        assert "waits" in second

    asyncio.run(main())


def test_a_half_picture_is_finished_before_the_next_ticket(emulator):
    if not find_fonts():
        pytest.skip("no fonts")

    async def main():
        settings = Settings(uri=emulator.uri, probe_s=10, answer_s=10)  # a busy machine
        whole = escpos.encode(
            [Text((Run("辣😀" * 8, height=3),)), Cut()], charset="raster", draw=Rasterizer(576).draw
        )
        async with network.DRIVER.open(settings, SystemClock()) as printer:
            await printer.write(whole[: len(whole) // 2])
        async with network.DRIVER.open(settings, SystemClock()) as printer:
            await printer.resync()
            await printer.write(job("next ticket"))
            assert await printer.barrier() is Evidence.BARRIER
        assert any("next ticket" in receipt for receipt in emulator.receipts())

    asyncio.run(main())
