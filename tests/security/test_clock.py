"""Certificates where nobody has set the clock: not cut off, and not talked into old ones."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_server

import pytest

from agent.fleet import ca_certs
from agent.fleet.ca_certs import PEM
from agent.uplink.dial import Dialler
from agent.uplink.values import LinkSettings

DAY = 86400.0
NOW = time.time()
LATER = NOW + 20 * DAY  # to this machine's clock it is as NOW is to one without a battery


@contextmanager
def broker(folder: Path, begin: float, days: float, host: str = "127.0.0.1") -> Iterator[int]:
    """Shows a certificate of these dates; its port."""
    root = ca_certs.root("root", NOW)
    key = ca_certs.new_key()
    cert = ca_certs.leaf(root, key.public_key(), "broker", "server", begin, days, [host])
    (folder / "ca.pem").write_bytes(root.cert.public_bytes(PEM))
    (folder / "pair.pem").write_bytes(ca_certs.key_pem(key) + cert.public_bytes(PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pair.pem")
    with create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    plain, _ = server.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(plain, server_side=True) as tls:
                        tls.recv(1)
                except OSError:
                    plain.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        server.shutdown(2)
    thread.join()


def dial(folder: Path, port: int, floor: float | None) -> str | None:
    """The version of TLS; OSError where it is refused."""

    async def once() -> str | None:
        settings = LinkSettings(
            f"mqtts://127.0.0.1:{port}", "sh-1", ca=folder / "ca.pem", floor=lambda: floor
        )
        made = await Dialler(settings).dial(settings.url)
        assert isinstance(made, ssl.SSLSocket)
        with made:
            return made.version()

    return asyncio.run(once())


def test_a_device_without_a_clock_accepts_what_is_not_valid_yet(tmp_path: Path) -> None:
    with broker(tmp_path, LATER, 30) as port:
        assert dial(tmp_path, port, NOW) == "TLSv1.3"


def test_a_device_with_a_clock_does_not(tmp_path: Path) -> None:
    with broker(tmp_path, LATER, 30) as port, pytest.raises(ssl.SSLError, match="not yet valid"):
        dial(tmp_path, port, None)


@pytest.mark.parametrize("floor", [None, NOW, NOW - 400 * DAY])
def test_what_has_expired_is_refused_with_and_without_a_clock(
    tmp_path: Path, floor: float | None
) -> None:
    with broker(tmp_path, NOW - 40 * DAY, 30) as port, pytest.raises(ssl.SSLError, match="expired"):
        dial(tmp_path, port, floor)


def test_what_ended_before_our_own_certificate_was_made_is_refused(tmp_path: Path) -> None:
    with broker(tmp_path, LATER, 1) as port, pytest.raises(OSError, match="whatever the time"):
        dial(tmp_path, port, LATER + 2 * DAY)


def test_without_a_clock_the_name_is_checked_as_ever(tmp_path: Path) -> None:
    with (
        broker(tmp_path, LATER, 30, "other.example") as port,
        pytest.raises(ssl.SSLError, match="IP address mismatch"),
    ):
        dial(tmp_path, port, NOW)


def test_without_a_clock_a_strangers_certificate_is_refused_as_ever(tmp_path: Path) -> None:
    with broker(tmp_path, LATER, 30) as port:
        stranger = ca_certs.root("root", NOW)
        (tmp_path / "ca.pem").write_bytes(stranger.cert.public_bytes(PEM))
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            dial(tmp_path, port, NOW)
