"""The ticket by which a new device introduces itself: what the person at the authority types or
scans. It holds nothing secret."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode

from drivers.printer.elements import Cut, Element, Feed, Qr, Run, Text

PREFIX = "edge-enroll:1?"


def ticket(device: str, hardware: str) -> list[Element]:
    return [
        Text((Run("ENROLMENT", bold=True, width=2, height=2),), "center"),
        Feed(1),
        _line("device"),
        _line(device, bold=True),
        _line("serial number"),
        _line(hardware, bold=True),
        Feed(1),
        Qr(qr_text(device, hardware)),
        Feed(1),
        _line("Ask for a code with this, then:"),
        _line("edge-agent enroll CODE"),
        Feed(1),
        Cut(),
    ]


def qr_text(device: str, hardware: str) -> str:
    """`edge-enroll:1?device=sh-021-01&serial=10000000abcdef01`"""
    return PREFIX + urlencode({"device": device, "serial": hardware})


def scanned(text: str) -> tuple[str, str] | None:
    """Device and serial number, as a scanner types them; None for what is no such code."""
    if not text.startswith(PREFIX):
        return None
    found = parse_qs(text.removeprefix(PREFIX))
    if {name: len(values) for name, values in found.items()} != {"device": 1, "serial": 1}:
        return None
    return found["device"][0], found["serial"][0]


def _line(text: str, *, bold: bool = False) -> Text:
    return Text((Run(text, bold=bold),))
