"""What an agent listens on: nothing that another machine could reach."""

from __future__ import annotations

import ipaddress
import re
import struct
from pathlib import Path

from tests.security.broker import SecureBroker
from tests.security.processes import Shop
from tests.support import free_port, wait

LISTENING = "0A"  # TCP_LISTEN


def listening(pid: int) -> list[str]:
    """`ADDRESS:PORT` of every TCP socket of a process that listens, and of every open UDP one."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found = re.fullmatch(r"socket:\[(\d+)\]", str(entry.readlink()))
        except OSError:
            continue
        if found:
            inodes.add(found[1])
    addresses = []
    for name in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[9] in inodes and (name.startswith("udp") or columns[3] == LISTENING):
                host, _, port = columns[1].partition(":")
                addresses.append(f"{_address(host)}:{int(port, 16)}")
    return addresses


def _address(raw: str) -> str:
    """As the kernel prints it: 32-bit words in the machine's order."""
    words = [struct.pack("=I", int(raw[at : at + 8], 16)) for at in range(0, len(raw), 8)]
    return str(ipaddress.ip_address(b"".join(words)))


def test_an_agent_listens_on_nothing_but_its_own_screen(
    secure: SecureBroker, tmp_path: Path
) -> None:
    shop, port = Shop(tmp_path / "shop", secure, "sh-1"), free_port()
    with shop.config.open("a") as config:
        config.write(f'[page]\nlisten = "127.0.0.1:{port}"\n')
    running = shop.start()
    try:
        wait(lambda: shop.status(), running.words)
        wait(lambda: listening(running.pid), "the page listens")
        assert listening(running.pid) == [f"127.0.0.1:{port}"]
    finally:
        shop.close()
