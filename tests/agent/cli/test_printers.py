"""`printer scan` and `printer test` as a technician meets them."""

from __future__ import annotations

import asyncio
import json
import threading
import tomllib
from pathlib import Path

import pytest

from agent.cli import main, printers
from drivers.printer import discovery
from drivers.printer.discovery import Found
from drivers.printer.simulated import serve
from drivers.printer.virtual import VirtualPrinter

SHOP = str(Path(__file__).parents[3] / "config" / "shop.toml")


@pytest.fixture
def tm():
    """A virtual printer behind a port, served by a thread of its own; its URI."""
    virtual, ports, there = VirtualPrinter(), [], threading.Event()
    ended: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def attend() -> None:
        async with serve(virtual) as port:
            end = asyncio.Event()
            ports.append(port)
            ended.append((asyncio.get_running_loop(), end))
            there.set()
            await end.wait()

    thread = threading.Thread(target=lambda: asyncio.run(attend()))
    thread.start()
    assert there.wait(10)
    yield virtual, f"tcp://127.0.0.1:{ports[0]}"
    loop, end = ended[0]
    loop.call_soon_threadsafe(end.set)
    thread.join()


def test_an_address_is_tried_out_and_its_section_proposed(tm, capsys) -> None:
    virtual, uri = tm
    assert main(["printer", "test", uri, "--columns", "42", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["seen"]["counter"]
    (section,) = tomllib.loads(answer["section"])["printer"]
    assert (section["uri"], section["columns"]) == (uri, 42)
    assert (section["evidence"], section["exclusive"]) == ("counter", True)
    assert len(virtual.paper) == 2


def test_a_printer_of_the_configuration_is_tried_out_without_an_agent(tm, tmp_path, capsys) -> None:
    virtual, uri = tm
    overrides = [
        "--config", SHOP,
        "--set", f"store.path={tmp_path}/none.db",
        "--set", f'printer=[{{name = "kitchen", uri = "{uri}", width_mm = 58}}]',
    ]  # fmt: skip
    virtual.about = {66: "\x1b]0;owned\x07", 67: "x"}
    assert main(["printer", "test", "kitchen", *overrides]) == 0
    said = capsys.readouterr().out
    assert "width_mm = 58" in said
    assert "\x1b" not in said
    assert len(virtual.paper) == 2
    assert main(["printer", "test", "bar", *overrides]) == 1
    assert "there is no printer bar" in capsys.readouterr().err


def test_a_printer_without_paper_is_told(tm, capsys) -> None:
    virtual, uri = tm
    virtual.fault("paper_out")
    assert main(["printer", "test", uri]) == 1
    assert "paper_out" in capsys.readouterr().err


def test_a_scan_tells_each_printer_once_and_cleans_its_names(monkeypatch, capsys) -> None:
    usb = Found("usb://04b8:0202/AB1", "EPSON TM-T88V", "usb", "needs libusb")
    told = Found("tcp://192.0.2.9", "evil\x1b[2J", "mdns", "announced as Kitchen")
    monkeypatch.setattr(discovery, "on_usb", lambda: [usb])
    monkeypatch.setattr(discovery, "on_serial", list)
    monkeypatch.setattr(discovery, "announced", lambda: [told])
    heard = Found("tcp://192.0.2.9", "", "port", "answers ESC/POS")
    monkeypatch.setattr(discovery, "by_port", lambda subnet: [heard])
    assert main(["printer", "scan", "--subnet", "192.0.2.0/24"]) == 0
    said = capsys.readouterr().out
    assert said.count("tcp://192.0.2.9") == 1
    assert "announced as Kitchen; answers ESC/POS" in said
    assert "width_mm = 80 columns = 42" in said
    assert "\x1b" not in said
    assert main(["printer", "scan", "--subnet", "nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err
    assert printers._one_each([]) == []
