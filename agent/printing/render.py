"""Ticket -> the bytes of a job, for one printer."""

from __future__ import annotations

import msgspec

from agent.config import PrinterConfig
from agent.printing.layout import layout
from agent.printing.templates import Templates
from agent.printing.ticket import Ticket
from agent.printing.values import Stamp
from drivers.printer import escpos
from drivers.printer.elements import Beep, Drawer, Element
from drivers.printer.raster import Rasterizer

DOTS = {32: 384, 42: 512, 48: 576}


class Rendered(msgspec.Struct, frozen=True):
    data: bytes
    missing: str  # characters that no font of this machine has, drawn as boxes


def columns_of(config: PrinterConfig) -> int:
    return config.columns or (32 if config.width_mm == 58 else 48)


def dots_of(config: PrinterConfig) -> int:
    return config.dots or DOTS[columns_of(config)]


class Renderer:
    """Holds the fonts of one printer; not for two threads at a time."""

    def __init__(self, config: PrinterConfig, templates: Templates) -> None:
        self._config = config
        self._templates = templates
        self._columns = columns_of(config)
        self._dots = dots_of(config)
        self._raster = Rasterizer(self._dots, config.font, columns=self._columns)

    def render(self, ticket: Ticket, stamp: Stamp) -> Rendered:
        template = self._templates.get(self._config.template)
        elements = layout(ticket, self._columns, stamp, template)
        if self._config.beep:
            elements.append(Beep(self._config.beep))
        if self._config.drawer and _cash(ticket, stamp):
            elements.append(Drawer())
        self._raster.missing.clear()
        data = escpos.encode(
            elements,
            charset=self._config.charset,
            draw=self._raster.draw,
            draw_qr=self._raster.qr if self._config.qr == "raster" else None,
        )
        return Rendered(data, "".join(sorted(self._raster.missing)))

    def preview(self, ticket: Ticket, stamp: Stamp) -> list[Element]:
        """What this printer will put on paper, read back from the bytes that it will get."""
        from drivers.printer.virtual import VirtualPrinter  # for people who look, not for printing

        virtual = VirtualPrinter(charset=self._config.charset, width_dots=self._dots)
        virtual.connect()
        virtual.receive(self.render(ticket, stamp).data)
        return [element for paper in virtual.paper for element in paper.elements]


def _cash(ticket: Ticket, stamp: Stamp) -> bool:
    """Whether the till is needed now; not for a ticket that comes out again."""
    due = ticket.bill is not None and bool(ticket.bill.cash_due)
    return due and ticket.what == "order" and not stamp.doubts
