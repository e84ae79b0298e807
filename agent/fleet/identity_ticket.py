"""The ticket by which a new device introduces itself: what the person at the authority types or
scans. It holds nothing secret."""

from __future__ import annotations

from urllib.parse import urlencode

from drivers.printer.elements import Cut, Element, Feed, Qr, Run, Text


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
    return "edge-enroll:1?" + urlencode({"device": device, "serial": hardware})


def _line(text: str, *, bold: bool = False) -> Text:
    return Text((Run(text, bold=bold),))
