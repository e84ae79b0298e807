"""From a printer's section in the configuration to its open port."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from agent.config import PrinterConfig
from agent.core.clock import Clock
from agent.printing.render import dots_of
from drivers.base import Driver, Keeper, Printer
from drivers.catalog import load
from drivers.printer.transport import Settings


def open_printer(
    config: PrinterConfig, clock: Clock, *, keeper: Keeper | None = None
) -> AbstractAsyncContextManager[Printer]:
    """Opened by the driver that the URI names; raises DriverError when it is not there.

    With a `keeper` the connection outlives this process while a ticket is under way.
    """
    driver: Driver[Settings, Printer] = load("printer", config.uri.partition("://")[0])
    settings = Settings(
        uri=config.uri,
        name=config.name,
        width_dots=dots_of(config),
        watch=stays_open(config),
        evidence=config.evidence,
        keeper=keeper,
    )
    return driver.open(settings, clock)


def stays_open(config: PrinterConfig) -> bool:
    """Whether the connection is held while there is nothing to print.

    Many network printers serve one connection at a time: held, it would lock out the shop's till.
    """
    return config.exclusive or not config.uri.startswith("tcp:")
