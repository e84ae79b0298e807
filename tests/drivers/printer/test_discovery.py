"""Printers are found where they are announced, plugged in, or listen."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from drivers.printer import discovery, mdns
from drivers.printer.simulated import serve
from drivers.printer.virtual import VirtualPrinter
from tests.drivers.printer.test_mdns import KITCHEN, a_printer, answer, name, record, texts

EPSON = {
    "idVendor": "04b8",
    "idProduct": "0e28",
    "manufacturer": "EPSON",
    "product": "TM-T20III",
    "serial": "58364A37",
}


@contextlib.contextmanager
def responder(*answers: bytes):
    """Somebody who answers whatever is asked; yields its address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def attend() -> None:
            question, asker = sock.recvfrom(9000)
            assert question == mdns.question()
            for message in answers:
                sock.sendto(message, asker)

        thread = threading.Thread(target=attend)
        thread.start()
        yield sock.getsockname()
        thread.join()


def test_an_announced_printer_is_found_among_noise():
    with responder(b"\xff" * 40, a_printer(), a_printer()) as address:
        (found,) = discovery.announced([address], listen_s=0.3)
    assert (found.uri, found.model, found.how) == ("tcp://192.0.2.9", "EPSON TM-T20III", "mdns")


def test_an_office_printer_is_told_as_one():
    service = "_ipp._tcp.local"
    office = "Laser." + service
    message = answer(
        record(name(service), mdns.PTR, name(office)),
        record(name(office), mdns.TXT, texts("pdl=application/postscript")),
    )
    with responder(message) as address:
        (found,) = discovery.announced([address], listen_s=0.3)
    assert "does not speak ESC/POS" in found.note
    assert "not by its raw port" in found.note
    assert KITCHEN not in found.note


def test_who_listens_at_the_port_is_asked_how_it_is_and_prints_nothing():
    async def main():
        virtual = VirtualPrinter()
        async with serve(virtual) as port:
            subnet = IPv4Network("127.0.0.1/32")
            (found,) = await asyncio.to_thread(discovery.by_port, subnet, port)
            virtual.mute = True
            (silent,) = await asyncio.to_thread(discovery.by_port, subnet, port)
        assert (found.uri, found.note) == (f"tcp://127.0.0.1:{port}", "answers ESC/POS")
        assert "does not answer" in silent.note
        assert (virtual.paper, virtual.strip.elements) == ([], ())
        assert await asyncio.to_thread(discovery.by_port, subnet, port) == []

    asyncio.run(main())


def test_a_subnet_that_is_too_large_is_refused():
    with pytest.raises(ValueError, match="smaller"):
        discovery.by_port(IPv4Network("10.0.0.0/8"))


def plug(sys: Path, port: str, facts: dict[str, str], *, kind: str = "07", lp: str = "") -> None:
    devices = sys / "bus/usb/devices"
    interface = devices / f"{port}:1.0"
    interface.mkdir(parents=True)
    (devices / port).mkdir()
    (interface / "bInterfaceClass").write_text(kind + "\n")
    for name_, value in facts.items():
        (devices / port / name_).write_text(value + "\n")
    if lp:
        (interface / "usbmisc" / lp).mkdir(parents=True)


def test_printers_on_usb_are_found_by_their_class(tmp_path: Path):
    plug(tmp_path, "1-1", EPSON, lp="lp0")
    plug(tmp_path, "1-2", {"idVendor": "0416", "idProduct": "5011", "serial": "../../etc"})
    plug(tmp_path, "1-3", {"idVendor": "1a86", "idProduct": "7523"}, kind="ff")
    first, second = discovery.on_usb(tmp_path)
    assert first.uri == "usb://04b8:0e28/58364A37"
    assert first.model == "EPSON TM-T20III"
    assert "file:///dev/usb/lp0" in first.note
    assert second.uri == "usb://0416:5011", "a serial number that is no word is left out"
    assert discovery.on_usb(tmp_path / "nowhere") == []


def test_serial_lines_are_told_by_their_lasting_names(tmp_path: Path):
    (tmp_path / "usb-1a86_USB_Serial-if00-port0").touch()
    (found,) = discovery.on_serial(tmp_path)
    assert found.uri == f"serial://{tmp_path}/usb-1a86_USB_Serial-if00-port0?baud=9600"
    assert discovery.on_serial(tmp_path / "nowhere") == []
