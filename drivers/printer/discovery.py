"""Finding printers: announced on the network, on USB, on serial lines, and by port where asked.

Only looks: nothing is printed. Ports are knocked at only in the subnet that a person named, once
each, and the one thing said there is DLE EOT 1 (how are you?). Blocking, with deadlines.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from drivers.printer import escpos, mdns
from drivers.printer.network import PORT
from drivers.printer.status import RealTime, ReplyParser

LISTEN_S = 2.0  # for answers to the question
KNOCK_S = 1.0
ANSWER_S = 0.6
KNOCKS = 32  # at a time
HOSTS_MAX = 1024
DATAGRAM = 9000
ANSWERS_MAX = 500
PRINTER_CLASS = "07"


@dataclass(frozen=True, slots=True)
class Found:
    """A printer, or what may be one. `model` and `note` hold a stranger's text."""

    uri: str
    model: str
    how: str  # mdns, port, usb, serial
    note: str = ""  # what speaks for or against it


def announced(
    targets: list[tuple[str, int]] | None = None, listen_s: float = LISTEN_S
) -> list[Found]:
    """Who answers the question of mDNS. `targets` are for tests; else all interfaces are asked."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.1)
        _ask(sock, targets)
        heard: dict[tuple[str, str], mdns.Announced] = {}
        for message, sender in _answers(sock, listen_s):
            with contextlib.suppress(mdns.NotDns):
                for service in mdns.announced(message, sender):
                    heard.setdefault((service.host, service.service), service)
    return _of_hosts(heard)


def _ask(sock: socket.socket, targets: list[tuple[str, int]] | None) -> None:
    if targets is not None:
        for target in targets:
            sock.sendto(mdns.question(), target)
        return
    for index, _ in socket.if_nameindex():
        interface = struct.pack("=4s4si", socket.inet_aton(mdns.GROUP), bytes(4), index)
        with contextlib.suppress(OSError):  # one that is down, or has no IPv4
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
            sock.sendto(mdns.question(), (mdns.GROUP, mdns.PORT))


def _answers(sock: socket.socket, listen_s: float) -> Iterator[tuple[bytes, str]]:
    """Until nothing has come for `listen_s`, or too much."""
    silent = 0.0
    for _ in range(ANSWERS_MAX):
        try:
            message, (sender, _) = sock.recvfrom(DATAGRAM)
        except TimeoutError:
            silent += 0.1
            if silent >= listen_s:
                return
        else:
            yield message, sender


def _of_hosts(heard: dict[tuple[str, str], mdns.Announced]) -> list[Found]:
    """One line a host; its raw port where it announces one."""
    found = []
    for host in sorted({host for host, _ in heard}):
        services = [heard[host, name] for name in mdns.SERVICES if (host, name) in heard]
        best = services[0]
        port = f":{best.port}" if best.service == mdns.RAW and best.port not in (0, PORT) else ""
        note = f"announced as {best.name}"
        if best.service != mdns.RAW:
            note += ", not by its raw port"
        languages = best.texts.get("pdl", "")
        if "postscript" in languages or "pcl" in languages.lower():
            note += "; an office printer: it does not speak ESC/POS"
        found.append(Found(f"tcp://{host}{port}", best.model, "mdns", note))
    return found


def by_port(subnet: IPv4Network, port: int = PORT) -> list[Found]:
    """Who listens at the raw port in this subnet; one knock a host. ValueError: too large."""
    if subnet.num_addresses > HOSTS_MAX:
        raise ValueError(f"{subnet} has more than {HOSTS_MAX} addresses; name a smaller one")
    hosts = [str(host) for host in subnet.hosts()]
    with ThreadPoolExecutor(KNOCKS) as pool:
        return [one for one in pool.map(lambda host: _knock(host, port), hosts) if one]


def _knock(host: str, port: int) -> Found | None:
    uri = f"tcp://{host}" + ("" if port == PORT else f":{port}")
    try:
        sock = socket.create_connection((host, port), timeout=KNOCK_S)
    except OSError:
        return None
    with sock:
        sock.settimeout(ANSWER_S)
        try:
            sock.sendall(escpos.REAL_TIME + b"\x01")
            answers = ReplyParser().feed(sock.recv(16))
        except OSError:
            note = "takes connections, but does not answer: no ESC/POS, or no way back, or in use"
            return Found(uri, "", "port", note)
    speaks = any(isinstance(answer, RealTime) for answer in answers)
    return Found(uri, "", "port", "answers ESC/POS" if speaks else "answers, but not ESC/POS")


def on_usb(sys: Path = Path("/sys")) -> list[Found]:
    """USB devices with an interface of the printer class, as the kernel shows them."""
    found = []
    for interface in sorted((sys / "bus/usb/devices").glob("*:*")):
        if _line(interface / "bInterfaceClass") != PRINTER_CLASS:
            continue
        device = interface.parent / interface.name.partition(":")[0]
        device = device if device.exists() else interface.resolve().parent
        ids = f"{_line(device / 'idVendor')}:{_line(device / 'idProduct')}"
        number = _line(device / "serial")
        serial = f"/{number}" if number.isascii() and number.isalnum() else ""
        maker, model = _line(device / "manufacturer"), _line(device / "product")
        nodes = sorted(node.name for node in (interface / "usbmisc").glob("lp*"))
        note = f"also file:///dev/usb/{nodes[0]}" if nodes else "needs libusb and the udev rule"
        name = model if model.startswith(maker) else f"{maker} {model}".strip()
        found.append(Found(f"usb://{ids}{serial}", name, "usb", note))
    return found


def on_serial(by_id: Path = Path("/dev/serial/by-id")) -> list[Found]:
    """USB serial lines by their lasting names; whether a printer is behind nobody knows."""
    note = "a serial line: whether a printer is behind it, `printer test` finds out"
    names = sorted(path.name for path in by_id.glob("*")) if by_id.is_dir() else []
    return [Found(f"serial://{by_id}/{name}?baud=9600", name, "serial", note) for name in names]


def _line(path: Path) -> str:
    """The first line of a file of sysfs; empty where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
