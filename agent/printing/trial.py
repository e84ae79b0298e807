"""A printer is tried out: through the agent that runs, or directly where none does."""

from __future__ import annotations

import asyncio

from agent.config import PrinterConfig
from agent.core.clock import Clock
from agent.printing import selftest
from agent.printing.devices import open_printer
from agent.printing.render import dots_of
from drivers.base import DriverError, Examination, Printer
from drivers.printer import escpos
from drivers.printer.raster import Rasterizer


async def try_out(config: PrinterConfig, printer: Printer, *, beep: bool = False) -> Examination:
    """Prints two pages on an open printer; raises DriverError when it cannot print."""
    if fault := (await printer.status()).fault:
        raise DriverError(f"printer {config.name} cannot print now: {fault}")
    pages = await asyncio.to_thread(_bytes, config, beep=beep)
    return await printer.examine(pages)


async def directly(config: PrinterConfig, clock: Clock, *, beep: bool = False) -> Examination:
    async with open_printer(config, clock) as printer:
        return await try_out(config, printer, beep=beep)


def _bytes(config: PrinterConfig, *, beep: bool) -> list[bytes]:
    draw = Rasterizer(dots_of(config), config.font).draw
    return [
        escpos.encode(page, charset=config.charset, draw=draw)
        for page in selftest.pages(config, beep=beep)
    ]
