r"""What MediaTek (PMTK) and Airoha (PAIR) receivers are asked and told, in sentences. No I/O.

    $PMTK605*31                  who are you?  $PMTK705,AXN_2.31_3339_13101700,5632,PA6H,1.0*6B
    $PMTK314,0,1,0,1,1,0,...     which sentences: GLL RMC VTG GGA GSA GSV and 13 others, 1 each fix
    $PMTK220,1000*1F             ms a fix
    $PMTK251,115200*1F           baud rate; nothing answers, the next byte comes at the new one
    $PMTK001,314,3*36            answer to 314: 0 invalid, 1 not supported, 2 failed, 3 done
    $PAIR020*38                  who are you?  $PAIR020,AG3335A_V2.3.0.AG3335_20210513,...
    $PAIR062,3,0*3D              sentence 3 (GSV) never
    $PAIR050,1000*12             ms a fix
    $PAIR001,062,0*3F            answer to 062: 0 done, 1 under way, 2.. not done

All of these hold until the receiver loses its power (and its back-up battery); what would keep them
in flash ($PAIR513) is never sent. A PAIR receiver's baud rate is left: firmwares differ in whether
$PAIR864 works at once, after a restart or not at all. Sources: GlobalTop PMTK command packet,
Quectel L76/L80 and LC76G GNSS protocol specifications.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LINE_MAX = 256
_ANSWER = re.compile(rb"\$(P(?:MTK|AIR)[0-9]{3}[\x20-\x29\x2b-\x7e]{0,200})\*([0-9A-Fa-f]{2})\r?")


def encode(body: str) -> bytes:
    """With `$`, checksum and line end."""
    return f"${body}*{_checksum(body.encode()):02X}\r\n".encode()


def _checksum(body: bytes) -> int:
    value = 0
    for byte in body:
        value ^= byte
    return value


class Answer(NamedTuple):
    name: str  # PMTK001, PAIR020, ...
    fields: tuple[str, ...]


class Answers:
    """Feed it bytes as they come; it gives the answers with a good checksum."""

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, data: bytes) -> list[Answer]:
        *lines, tail = (self._tail + data).split(b"\n")
        self._tail = tail[-LINE_MAX:]
        answers = []
        for line in lines:
            found = _ANSWER.search(line[-LINE_MAX:])
            if found and int(found[2], 16) == _checksum(found[1]):
                name, *fields = found[1].decode("ascii").split(",")
                answers.append(Answer(name, tuple(fields)))
        return answers


def verdict(answer: Answer, of: str) -> bool | None:
    """Whether this answer says that a command was done; None: it is about another, or under way."""
    family, number = of[:4], of[4:7]
    if answer.name != f"{family}001" or len(answer.fields) < 2 or answer.fields[0] != number:
        return None
    if family == "PAIR" and answer.fields[1] == "1":
        return None
    return answer.fields[1] == ("3" if family == "PMTK" else "0")


def model(answer: Answer) -> str:
    """What the answer to "who are you" calls itself."""
    return " ".join([answer.name[:4], *(part for part in answer.fields[:3] if part)])[:80]


WHO_PMTK, WHO_PAIR = "PMTK605", "PAIR020"
PMTK_RELEASE = "PMTK705"
PMTK_QUIET = "PMTK314,0,1,0,1,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0"  # RMC, GGA, GSA
PMTK_1_HZ = "PMTK220,1000"
PAIR_QUIET = "PAIR062,3,0"
PAIR_1_HZ = "PAIR050,1000"


def pmtk_baud(baud: int) -> str:
    return f"PMTK251,{baud}"
