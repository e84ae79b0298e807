"""Ticket -> the bytes of a job, for one printer."""

from __future__ import annotations

import msgspec

from agent.config import PrinterConfig
from agent.printing.layout import Stamp, layout
from agent.printing.ticket import Ticket
from drivers.printer import escpos
from drivers.printer.elements import Beep, Element
from drivers.printer.raster import Rasterizer
from drivers.printer.virtual import VirtualPrinter

COLUMNS = {58: 32, 80: 48}
DOTS = {58: 384, 80: 576}


class Rendered(msgspec.Struct, frozen=True):
    data: bytes
    missing: str  # characters that no font of this machine has, drawn as boxes


class Renderer:
    """Holds the fonts of one printer; not for two threads at a time."""

    def __init__(self, config: PrinterConfig) -> None:
        self._config = config
        self._columns = COLUMNS[config.width_mm]
        self._dots = DOTS[config.width_mm]
        self._raster = Rasterizer(self._dots, config.font)

    def render(self, ticket: Ticket, stamp: Stamp) -> Rendered:
        elements = layout(ticket, self._columns, stamp)
        if self._config.beep:
            elements.append(Beep(self._config.beep))
        self._raster.missing.clear()
        data = escpos.encode(elements, charset=self._config.charset, draw=self._raster.draw)
        return Rendered(data, "".join(sorted(self._raster.missing)))

    def preview(self, ticket: Ticket, stamp: Stamp) -> list[Element]:
        """What this printer will put on paper, read back from the bytes that it will get."""
        virtual = VirtualPrinter(charset=self._config.charset, width_dots=self._dots)
        virtual.connect()
        virtual.receive(self.render(ticket, stamp).data)
        return [element for paper in virtual.paper for element in paper.elements]
