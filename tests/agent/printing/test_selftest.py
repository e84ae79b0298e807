"""Trying a printer out: the pages, what is proposed, and the agent that goes on meanwhile."""

from __future__ import annotations

import asyncio
import tomllib

import msgspec
import pytest
from hypothesis import given as over
from hypothesis import strategies as st

from agent.config import PrinterConfig
from agent.contract.errors import Rejected
from agent.core.clock import SystemClock
from agent.printing import selftest, trial
from drivers.base import Examination
from drivers.printer import charset
from drivers.printer.simulated import serve
from drivers.printer.virtual import VirtualPrinter

ALL = Examination(
    talks=True, maker="EPSON", model="TM-T88V", language="CHINA GB18030", reports=True, job_id=True,
    counter=True, barrier=True,
)  # fmt: skip


def config(**settings) -> PrinterConfig:
    return PrinterConfig(**{"name": "kitchen", "uri": "tcp://192.0.2.9"} | settings)


@pytest.mark.parametrize("columns", selftest.RULERS)
def test_a_ruler_is_as_wide_as_it_says(columns):
    assert len(selftest.ruler(columns)) == columns
    assert selftest.ruler(columns).endswith(f">{columns}")


@pytest.mark.parametrize(("name", "sample"), selftest.SAMPLES.items())
def test_every_sample_can_be_written_in_its_charset(name, sample):
    assert charset.encode(sample, name) is not None


@pytest.mark.parametrize(
    ("seen", "columns", "expected"),
    [
        (ALL, None, {"columns": 42, "width_mm": 80, "evidence": "counter", "exclusive": True}),
        (ALL, 48, {"width_mm": 80, "evidence": "counter", "charset": "gb18030"}),
        (
            Examination(talks=True, model="x", barrier=True, reports=True),
            32,
            {"width_mm": 58, "evidence": "barrier"},
        ),
        (
            Examination(talks=True, barrier=True, job_id=True, language="TAIWAN BIG-5"),
            None,
            {"width_mm": 58, "evidence": "job_id", "charset": "big5"},
        ),
        (Examination(talks=False), None, {"width_mm": 58, "charset": "gbk"}),
    ],
)
def test_what_is_proposed_is_what_was_shown(seen, columns, expected):
    section = selftest.proposal(config(width_mm=58, charset="gbk"), seen, columns)
    (printer,) = tomllib.loads(section)["printer"]
    assert {key: printer[key] for key in expected} == expected
    assert ("columns" in printer) == ("columns" in expected)
    assert ("exclusive" in printer) == seen.counter
    msgspec.convert(printer, PrinterConfig)


@over(st.text(max_size=40), st.text(max_size=40))
def test_a_hostile_name_stays_a_string(name, model):
    seen = Examination(talks=True, model=model, language=model)
    section = selftest.proposal(msgspec.structs.replace(config(), name=name), seen)
    assert tomllib.loads(section)["printer"][0]["name"] == name


def test_a_printer_is_tried_out_between_its_tickets(make_shop, given):
    async def main():
        async with make_shop([given.printer()]) as shop, shop.running():
            await shop.order(given.order(1))
            asking = asyncio.ensure_future(shop.desk.examine("kitchen"))
            await asyncio.sleep(0)
            with pytest.raises(Rejected, match="already"):
                await shop.desk.examine("kitchen")
            await shop.order(given.order(2))
            await shop.until(lambda: asking.done() and len(shop.notes.prints()) == 2)
            assert asking.result().counter
            tests = [n for n, paper in enumerate(shop.papers("kitchen")) if "TEST" in paper]
            assert len(tests) == 2
            assert tests[1] == tests[0] + 1, "no ticket between the two cuts"
            assert shop.notes.prints() == ["printed", "printed"]

    asyncio.run(main())


def test_a_printer_that_cannot_print_is_not_tried_out(make_shop, given):
    async def main():
        async with make_shop([given.printer()]) as shop:
            shop.virtual["kitchen"].fault("paper_out")
            async with shop.running():
                asking = asyncio.ensure_future(shop.desk.examine("kitchen"))
                await shop.until(asking.done)
                with pytest.raises(Rejected, match="paper_out"):
                    asking.result()
                shop.virtual["kitchen"].fault("paper_out", on=False)
                asking = asyncio.ensure_future(shop.desk.examine("kitchen"))
                await shop.until(asking.done)
                assert asking.result().talks

    asyncio.run(main())


def test_without_an_agent_a_printer_is_tried_out_directly():
    async def main():
        virtual = VirtualPrinter()
        async with serve(virtual) as port:
            new = config(uri=f"tcp://127.0.0.1:{port}")
            seen = await trial.directly(new, SystemClock(), beep=True)
        assert seen.counter
        first, second = (paper.plain for paper in virtual.paper)
        assert selftest.SAMPLES["gb18030"] in first
        assert "TEST 2/2" in second

    asyncio.run(main())
