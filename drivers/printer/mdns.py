"""One question to all printers of the local network and their answers: bytes, no I/O.

Multicast DNS (RFC 6762) with DNS service discovery (RFC 6763), only as far as a one-shot question
for PTR records needs it (RFC 6762, 5.1). Layout of a message (RFC 1035, 4.1):

    ID(2) FLAGS(2) QDCOUNT(2) ANCOUNT(2) NSCOUNT(2) ARCOUNT(2)
    question  NAME TYPE(2) CLASS(2)
    record    NAME TYPE(2) CLASS(2) TTL(4) RDLENGTH(2) RDATA
    NAME      labels, each with its length before it, to a 0; or C0h|offset of a name before
    SRV       PRIORITY(2) WEIGHT(2) PORT(2) NAME          TXT   strings, each with its length
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address

GROUP, PORT = "224.0.0.251", 5353
RAW = "_pdl-datastream._tcp.local"  # the raw port, mostly 9100 (Bonjour Printing Specification)
SERVICES = (RAW, "_printer._tcp.local", "_ipp._tcp.local")
A, PTR, TXT, SRV = 1, 12, 16, 33
LABELS_MAX = 64
RECORDS_MAX = 256  # of one message; a printer tells about ten


class NotDns(ValueError):
    """Bytes that are no DNS message."""


@dataclass(frozen=True, slots=True)
class Announced:
    """A service as one host announces it; names are a stranger's text."""

    name: str  # of the instance: what people see
    service: str
    host: str  # its address
    port: int
    texts: dict[str, str] = field(default_factory=dict)  # ty, product, usb_MDL, pdl, ...

    @property
    def model(self) -> str:
        for key in ("usb_mdl", "ty", "product"):
            if text := self.texts.get(key, "").strip("()"):
                return text
        return self.name


@dataclass(frozen=True, slots=True)
class _Record:
    name: str
    kind: int
    start: int  # of its data in the message
    end: int


def question(services: Iterable[str] = SERVICES) -> bytes:
    """PTR for each service, class IN."""
    wanted = list(services)
    out = bytearray(b"\0\0\0\0" + len(wanted).to_bytes(2, "big") + bytes(6))
    for service in wanted:
        for label in service.split("."):
            out += bytes([len(label)]) + label.encode("ascii")
        out += b"\0" + PTR.to_bytes(2, "big") + b"\0\1"
    return bytes(out)


def announced(message: bytes, sender: str) -> list[Announced]:
    """The printing services that one answer tells of; raises NotDns.

    What has no address of its own in the answer is at `sender`.
    """
    records = list(_records(message))
    addresses = {
        r.name: str(IPv4Address(message[r.start : r.end]))
        for r in records
        if r.kind == A and r.end - r.start == 4
    }
    texts = {r.name: _texts(message[r.start : r.end]) for r in records if r.kind == TXT}
    targets = {}
    for record in records:
        if record.kind == SRV and record.end - record.start > 6:
            port = int.from_bytes(message[record.start + 4 : record.start + 6], "big")
            targets[record.name] = (port, _name(message, record.start + 6)[0])
    found = []
    for record in records:
        if record.kind != PTR or record.name not in SERVICES:
            continue
        instance = _name(message, record.start)[0]
        port, target = targets.get(instance, (0, ""))
        label = instance.removesuffix("." + record.name)
        host = addresses.get(target, sender)
        found.append(Announced(label, record.name, host, port, texts.get(instance, {})))
    return found


def _records(message: bytes) -> Iterable[_Record]:
    if len(message) < 12:
        raise NotDns("shorter than its head")
    questions, *counts = (int.from_bytes(message[n : n + 2], "big") for n in range(4, 12, 2))
    at = 12
    for _ in range(min(questions, RECORDS_MAX)):
        at = _name(message, at)[1] + 4
    for _ in range(min(sum(counts), RECORDS_MAX)):
        name, at = _name(message, at)
        kind = int.from_bytes(message[at : at + 2], "big")
        start = at + 10
        end = start + int.from_bytes(message[at + 8 : start], "big")
        if end > len(message):
            raise NotDns("a record is cut short")
        yield _Record(name, kind, start, end)
        at = end


def _name(message: bytes, at: int) -> tuple[str, int]:
    """The name at an offset, and where what follows begins. A pointer leads only backwards."""
    labels: list[str] = []
    behind: int | None = None
    while True:
        if at >= len(message) or len(labels) > LABELS_MAX:
            raise NotDns("a name does not end")
        size = message[at]
        if size == 0:
            return ".".join(labels), behind if behind is not None else at + 1
        if size & 0xC0 == 0xC0:
            if at + 1 >= len(message):
                raise NotDns("a pointer is cut short")
            target = (size & 0x3F) << 8 | message[at + 1]
            behind = at + 2 if behind is None else behind
            if target >= at:
                raise NotDns("a pointer that does not lead back")
            at = target
            continue
        if size > 63:
            raise NotDns("a label of no known kind")
        labels.append(message[at + 1 : at + 1 + size].decode("utf-8", "replace"))
        at += 1 + size


def _texts(data: bytes) -> dict[str, str]:
    """`key=value` strings, keys in lower case; the first of a key counts (RFC 6763, 6.4)."""
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        text = data[at + 1 : at + 1 + data[at]].decode("utf-8", "replace")
        at += 1 + data[at]
        key, _, value = text.partition("=")
        found.setdefault(key.lower(), value)
    return found
