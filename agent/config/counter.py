"""What staff use: `[[printer]]`, `[tickets]`, `[sound]`, `[alert]`, `[panel]`, `[page]`."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from msgspec import Meta

from agent.alerting.quiet import SPAN
from agent.config.section import (
    Duration,
    Name,
    NotNegative,
    OfDriver,
    Positive,
    Section,
    says,
    twice,
)
from agent.shapes import hint


class PrinterConfig(Section, frozen=True, kw_only=True):
    """A ticket printer; one section each."""

    name: Annotated[Name, says("its name for people and in `print` events")]
    uri: Annotated[
        str,
        Meta(pattern=r"^(tcp|usb|serial|file|simulated)://"),
        says("how it is connected; see docs/drivers.md"),
    ]
    charset: Annotated[
        Literal["gb18030", "gbk", "big5", "shift_jis", "euc_kr", "utf8", "raster"],
        says("of its character ROM; a line it lacks is drawn, `raster` draws every line"),
    ] = "gb18030"
    width_mm: Annotated[Literal[58, 80], says("paper width")] = 80
    columns: Annotated[
        Literal[32, 42, 48] | None, says("characters a line; none: 32 on 58 mm, 48 on 80 mm")
    ] = None
    dots: Annotated[
        Annotated[int, Meta(ge=200, le=1000)] | None,
        says("dots across; none: 384 for 32 columns, 512 for 42, 576 for 48"),
    ] = None
    template: Annotated[
        Name, says("how its tickets look: `kitchen`, `expo`, `receipt` or one of your own")
    ] = "kitchen"
    lead: Annotated[
        Duration | None,
        says("a scheduled order is printed so long before it is due; none: at once"),
    ] = "60m"
    stations: Annotated[
        list[str], says("only dishes of these stations or categories; none: every dish")
    ] = []
    backup: Annotated[
        str | None, says("name of the printer that takes over while this one cannot print")
    ] = None
    stale_after: Annotated[
        Duration, says("a ticket that waited longer for the printer waits for a person's word")
    ] = "30m"
    copies: Annotated[int, Meta(ge=1, le=9), says("of each ticket")] = 1
    exclusive: Annotated[
        bool, says("tcp: nobody else prints here, so stay connected and see faults at once")
    ] = False
    evidence: Annotated[
        Literal["barrier", "job_id", "counter"],
        says("the best proof that it was seen to give; `printer test` finds out"),
    ] = "barrier"
    beep: Annotated[int, Meta(ge=0, le=9), says("times its own buzzer sounds a ticket")] = 0
    drawer: Annotated[
        bool, says("a cash drawer hangs on it: opened by a ticket on which cash is due")
    ] = False
    qr: Annotated[
        Literal["native", "raster"], says("who draws QR codes: the printer, or we where it cannot")
    ] = "native"
    font: Annotated[str | None, says("file asked first for characters that the printer lacks")] = (
        None
    )


class Tickets(Section, frozen=True, kw_only=True):
    """The shop's own ticket templates; see docs/printing.md."""

    folder: Annotated[
        str, says("where they lie: `NAME.ticket`; one named like ours is used instead of ours")
    ] = "/etc/edge-agent/tickets"


class Sound(Section, frozen=True, kw_only=True):
    """The loudspeaker; without this section the device is silent. See docs/alerts.md."""

    driver: Annotated[str, says("a driver of the kind sound")] = "alsa"
    device: Annotated[str, says("ALSA device; `aplay -L` lists them")] = "default"
    volume: Annotated[float, Meta(ge=0, le=1), says("0 to 1, until an alert escalates")] = 1.0
    prompts: Annotated[
        str | None, says("folder with the shop's own WAV files, by the names of ours")
    ] = None
    language: Annotated[Literal["zh", "en"], says("of the voice that ships")] = "zh"
    simulated: OfDriver = {}


class Alert(Section, frozen=True, kw_only=True):
    """How alerts insist."""

    repeat_s: Annotated[Positive, says("between two sounds")] = 8.0
    escalate_s: Annotated[
        tuple[Positive, ...] | Positive,
        says("without an answer for so long: louder, then siren and buzzer; each is told"),
    ] = (30.0, 90.0, 180.0)
    quiet: Annotated[
        Annotated[str, Meta(pattern=SPAN)] | None,
        says("`22:00-07:00`: only an SOS is heard then, the rest afterwards; none: never quiet"),
    ] = None
    low_stock: Annotated[
        int, Meta(ge=0, le=1000), says("fewer portions of something are an alert; 0: never")
    ] = 5


class PanelConfig(Section, frozen=True, kw_only=True):
    """Buttons, lights and a buzzer."""

    driver: Annotated[str, says("a driver of the kind panel")] = "simulated"
    sos_hold_s: Annotated[Positive, says("how long the SOS button must be held")] = 3.0
    sos_cancel_s: Annotated[
        NotNegative, says("so long after it a tap takes an SOS back, which is told too; 0: never")
    ] = 10.0
    gpio: OfDriver = {}
    simulated: OfDriver = {}


class Page(Section, frozen=True, kw_only=True):
    """The staff page; see docs/page.md."""

    listen: Annotated[
        str,
        Meta(pattern=r"^(\[[0-9a-f:]+\]|[^:\s]+):[0-9]+$"),
        says("address and port, on loopback: the device's own screen"),
    ] = "127.0.0.1:8080"
    lan: Annotated[
        Literal["off", "tls", "insecure"],
        says("also for the network, with a PIN; `insecure`: without TLS, so others can read along"),
    ] = "off"
    lan_listen: Annotated[
        str,
        Meta(pattern=r"^(\[[0-9a-f:]+\]|[^:\s]+):[0-9]+$"),
        says("address and port for the network"),
    ] = "0.0.0.0:8443"
    names: Annotated[
        list[str], says("by which browsers of the network call it, besides its addresses")
    ] = []
    cert: Annotated[str | None, says("lan = tls: PEM file of its certificate and chain")] = None
    key: Annotated[str | None, says("lan = tls: PEM file of the certificate's key")] = None


def wrong_printers(printers: Sequence[PrinterConfig]) -> Iterator[str]:
    names = [printer.name for printer in printers]
    for name in twice(names):
        yield f"printer.{name}: two printers have this name"
    for printer in printers:
        where, backup, columns = f"printer.{printer.name}", printer.backup, printer.columns
        if backup == printer.name:
            yield f"{where}.backup: a printer cannot be its own backup"
        elif backup is not None and backup not in names:
            yield f"{where}.backup: no printer {backup!r}{hint(backup, names)}"
        if columns is not None and (columns == 32) != (printer.width_mm == 58):
            yield (
                f"{where}.columns: {columns} do not belong on {printer.width_mm} mm paper; 58 mm"
                " has 32, 80 mm has 42 or 48"
            )
        shared = printer.uri.startswith("tcp:") and not printer.exclusive
        if printer.evidence == "counter" and shared:
            yield (
                f"{where}.evidence: another's ticket moves the counter too, so it proves nothing"
                " unless exclusive = true"
            )


def wrong_page(page: Page) -> Iterator[str]:
    yield from _listen(page.listen)
    if page.lan == "tls" and not (page.cert and page.key):
        yield "page.lan: tls needs page.cert and page.key; docs/page.md says how to make them"


def _listen(listen: str) -> list[str]:
    """Staff need no PIN there, so nobody but this device may reach it."""
    host, _, port = listen.rpartition(":")
    problems = []
    if not 0 <= int(port) <= 65535:
        problems.append(f"page.listen: there is no port {port}; it can be 1024 to 65535")
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        problems.append(
            f"page.listen: {host} could be reached from the network without a PIN; leave it on "
            "127.0.0.1, [::1] or localhost and set page.lan for other devices"
        )
    return problems
