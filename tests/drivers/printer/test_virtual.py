"""The virtual printer behaves as the real ones do where that is unpleasant."""

from __future__ import annotations

import asyncio
import base64
import io
import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.printer import escpos
from drivers.printer.elements import Image, Run, Text
from drivers.printer.simulated import serve
from drivers.printer.virtual import BUFFER_BYTES, VirtualPrinter


def switched_on(**settings_) -> VirtualPrinter:
    virtual = VirtualPrinter(**settings_)
    virtual.connect()
    return virtual


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_taken(data):
    virtual = switched_on()
    assert virtual.receive(data) == len(data)
    virtual.replies()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 20))
def test_how_the_bytes_are_cut_up_makes_no_difference(data, size):
    whole, pieces = switched_on(), switched_on()
    whole.receive(data)
    for start in range(0, len(data), size):
        pieces.receive(data[start : start + size])
    assert whole.paper == pieces.paper
    assert whole.strip == pieces.strip


def test_the_barrier_is_answered_behind_the_ticket_and_not_while_paper_is_out():
    virtual = switched_on()
    virtual.paper_for(1)
    virtual.receive(b"one\ntwo\n" + escpos.BARRIER)
    assert virtual.replies() == b""
    virtual.receive(escpos.REAL_TIME + b"\x04")
    assert virtual.replies() == b"\x72"
    virtual.fault("paper_out", on=False)
    assert virtual.replies() == b"\x00"
    assert virtual.strip.plain == "one\ntwo"


def test_a_faulty_printer_takes_what_its_buffer_holds():
    virtual = switched_on()
    virtual.fault("cover_open")
    assert virtual.receive(b"x" * 10000) == BUFFER_BYTES
    assert virtual.receive(b"x") == 0
    virtual.fault("cover_open", on=False)
    assert virtual.receive(b"\n") == 1
    assert len(virtual.strip.plain) == BUFFER_BYTES


def test_a_power_cut_loses_the_buffer_but_not_the_paper():
    virtual = switched_on()
    virtual.paper_for(1)
    virtual.receive(b"one\ntwo\n")
    virtual.fault("power_off")
    virtual.fault("paper_out", on=False)
    assert not virtual.connect()
    virtual.fault("power_off", on=False)
    assert virtual.connect()
    virtual.receive(b"three\n" + escpos.CUT)
    assert virtual.paper[0].plain == "one\nthree"


def test_reset_loses_the_line_under_the_head():
    virtual = switched_on()
    virtual.receive(b"half" + escpos.INIT + b"whole\n")
    assert virtual.strip.plain == "whole"


def test_automatic_status_comes_at_each_change():
    virtual = switched_on()
    virtual.receive(escpos.ASB_ON)
    assert virtual.replies() == b"\x10\x00\x00\x00"
    virtual.fault("cover_open")
    assert virtual.replies() == b"\x38\x00\x00\x00"


def test_the_epson_job_id_is_told_when_printed():
    virtual = switched_on()
    virtual.receive(b"\x1d(H\x06\x00\x30\x30AB12")
    assert virtual.replies() == b"\x37\x22AB12\x00"


def test_pictures_can_be_looked_at():
    from PIL import Image as Pillow

    virtual = switched_on()
    virtual.receive(b"\x1dv0\x00\x01\x00\x02\x00\xf0\x0f")
    (image,) = virtual.strip.elements
    assert isinstance(image, Image)
    picture = Pillow.open(io.BytesIO(base64.b64decode(image.png)))
    assert picture.size == (8, 2)
    assert [picture.getpixel((x, 0)) for x in range(8)] == [0] * 4 + [255] * 4


def test_styles_are_read():
    virtual = switched_on()
    virtual.receive(b"\x1ba\x01\x1d!\x11\x1bE\x01A\x1d!\x00\x1bE\x00\x1dB\x01b\n")
    expected = Text((Run("A", True, 2, 2), Run("b", inverse=True)), "center")
    assert virtual.strip.elements == (expected,)


def test_a_second_host_waits_for_its_turn():
    async def main():
        virtual = VirtualPrinter()
        async with serve(virtual) as port:
            _, first = await asyncio.open_connection("127.0.0.1", port)
            reader, second = await asyncio.open_connection("127.0.0.1", port)
            second.write(escpos.REAL_TIME + b"\x01")
            first.write(b"first\n" + escpos.CUT)
            await first.drain()
            first.close()
            async with asyncio.timeout(5):
                assert await reader.read(1) == b"\x12"
            assert virtual.paper[0].plain == "first"
            second.close()

    asyncio.run(main())


def test_heavy_libraries_stay_out_of_the_print_path():
    code = (
        "import sys, drivers.printer.network, drivers.printer.usb, drivers.printer.serial,"
        " drivers.printer.file, drivers.printer.simulated, agent.printing.desk;"
        "heavy = ('escpos', 'PIL', 'serial', 'usb', 'qrcode', 'yaml');"
        "print([m for m in heavy if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
