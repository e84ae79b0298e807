"""USB through pyusb and python-escpos, with a device in software behind pyusb's backend port."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

usb_core = pytest.importorskip("usb.core")
import usb.backend  # noqa: E402
import usb.util  # noqa: E402

from drivers.base import DriverError, Evidence, WriteError  # noqa: E402
from drivers.printer import escpos  # noqa: E402
from drivers.printer.elements import Cut, Run, Text  # noqa: E402
from drivers.printer.session import open_session  # noqa: E402
from drivers.printer.transport import Settings  # noqa: E402
from drivers.printer.usb import _without_litter, connect  # noqa: E402
from drivers.printer.virtual import VirtualPrinter  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Descriptor:
    def __init__(self, **fields) -> None:
        self.__dict__.update(fields, extra_descriptors=b"")


class Backend(usb.backend.IBackend):
    """One printer: interface class 7, bulk out 0x03, bulk in 0x81."""

    def __init__(self, virtual: VirtualPrinter) -> None:
        self.virtual = virtual
        self.plugged = True
        self.calls: Counter[str] = Counter()

    def enumerate_devices(self):
        return ["printer"] if self.plugged else []

    def get_parent(self, dev):
        return None

    def get_device_descriptor(self, dev):
        return Descriptor(
            bLength=18, bDescriptorType=1, bcdUSB=0x200, bDeviceClass=0, bDeviceSubClass=0,
            bDeviceProtocol=0, bMaxPacketSize0=64, idVendor=0x04B8, idProduct=0x0202,
            bcdDevice=0x100, iManufacturer=0, iProduct=0, iSerialNumber=0, bNumConfigurations=1,
            address=5, bus=1, port_number=1, port_numbers=(1,), speed=3,
        )  # fmt: skip

    def get_configuration_descriptor(self, dev, config):
        if config:
            raise IndexError
        return Descriptor(
            bLength=9, bDescriptorType=2, wTotalLength=32, bNumInterfaces=1,
            bConfigurationValue=1, iConfiguration=0, bmAttributes=0xC0, bMaxPower=1,
        )  # fmt: skip

    def get_interface_descriptor(self, dev, intf, alt, config):
        if intf or alt or config:
            raise IndexError
        return Descriptor(
            bLength=9, bDescriptorType=4, bInterfaceNumber=0, bAlternateSetting=0,
            bNumEndpoints=2, bInterfaceClass=7, bInterfaceSubClass=1, bInterfaceProtocol=2,
            iInterface=0,
        )  # fmt: skip

    def get_endpoint_descriptor(self, dev, ep, intf, alt, config):
        address = (0x03, 0x81)[ep]
        return Descriptor(
            bLength=7, bDescriptorType=5, bEndpointAddress=address, bmAttributes=2,
            wMaxPacketSize=64, bInterval=0, bRefresh=0, bSynchAddress=0,
        )  # fmt: skip

    def open_device(self, dev):
        self.virtual.connect()
        self.calls["open"] += 1
        return "handle"

    def close_device(self, handle):
        self.calls["close"] += 1

    def set_configuration(self, handle, value):
        pass

    def get_configuration(self, handle):
        return 1

    def claim_interface(self, handle, intf):
        pass

    def release_interface(self, handle, intf):
        pass

    def reset_device(self, handle):
        self.calls["reset"] += 1

    def bulk_write(self, handle, ep, intf, data, timeout):
        assert ep == 0x03
        self._check()
        return self.virtual.receive(data.tobytes())

    def bulk_read(self, handle, ep, intf, buff, timeout):
        assert ep == 0x81
        self._check()
        said = self.virtual.replies()
        if not said:
            raise usb_core.USBTimeoutError("timed out", errno=110)
        for n, byte in enumerate(said):
            buff[n] = byte
        return len(said)

    def _check(self) -> None:
        if not self.plugged:
            raise usb_core.USBError("No such device", errno=19)


JOB = escpos.encode([Text((Run("宫保鸡丁"),)), Cut()], charset="gb18030", draw=lambda _: None)


@pytest.mark.parametrize("uri", ["usb://", "usb://04b8:0202", "usb://04B8:0202"])
def test_a_usb_printer_prints_with_proof(uri):
    async def main():
        backend = Backend(VirtualPrinter())
        settings = Settings(uri=uri)
        async with open_session(settings, lambda: connect(settings, backend)) as printer:
            assert printer.talks
            await printer.write(JOB)
            assert await printer.barrier() is Evidence.BARRIER
        assert backend.virtual.paper[0].plain == "宫保鸡丁"
        assert backend.calls["close"]

    asyncio.run(main())


def test_unplugged_and_plugged_in_again(monkeypatch):
    async def main():
        backend = Backend(VirtualPrinter())
        settings = Settings(uri="usb://")
        async with open_session(settings, lambda: connect(settings, backend)) as printer:
            backend.plugged = False
            with pytest.raises(WriteError) as caught:
                await printer.write(JOB)
            assert caught.value.accepted == 0
        with pytest.raises(DriverError, match="plugged in"):
            connect(settings, backend)
        backend.plugged = True
        async with open_session(settings, lambda: connect(settings, backend)) as printer:
            assert (await printer.status()).fault is None

    asyncio.run(main())


@pytest.mark.parametrize("uri", ["usb://04b8:9999", "usb://nonsense"])
def test_a_printer_that_is_not_there_says_so(uri):
    settings = Settings(uri=uri)
    with pytest.raises(DriverError, match="usb://"):
        connect(settings, Backend(VirtualPrinter()))


def test_opening_leaves_no_litter():
    code = (
        "from drivers.printer.usb import connect; from drivers.printer.transport import Settings\n"
        "from drivers.base import DriverError\n"
        "try: connect(Settings(uri='usb://dead:beef'))\n"
        "except DriverError as e: print(e)"
    )
    with tempfile.TemporaryDirectory() as folder:
        out = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={"TMPDIR": folder, "PATH": "/usr/bin"},
        )  # fmt: skip
        assert "usb" in out.stdout.lower()
        assert list(Path(folder).iterdir()) == []


def test_printers_that_are_opened_at_once_do_not_take_each_other_s_folder():
    def opening(_: int) -> None:
        for _ in range(30):
            with _without_litter():
                tempfile.mkdtemp()

    before = tempfile.tempdir
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(opening, range(8)))  # raises what a thread raised
    assert tempfile.tempdir == before
