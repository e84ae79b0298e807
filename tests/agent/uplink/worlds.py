"""What a device may meet where its broker should be: portals, brokers that refuse, certificates."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

PORTAL = b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/login\r\nContent-Length: 0\r\n\r\n"
SERVER_REFERENCE, USER_PROPERTY, REASON_STRING = 0x1C, 0x26, 0x1F  # MQTT 5, table 2-4
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def answering(
    talk: Talk, *, tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[int]:
    """A server on loopback that talks so to everyone who connects; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=tls)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


async def portal(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As the login page of a hotel: it answers everything with its own address."""
    await reader.read(1)
    writer.write(PORTAL)
    await writer.drain()


async def silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Takes the connection and never says a word."""
    while await reader.read(65536):
        pass


def saying(*packets: bytes, hang_up: bool = False) -> Talk:
    """Says one after each thing that it hears, then listens until the other side is gone."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for packet in packets:
            if not await reader.read(65536):
                return
            writer.write(packet)
            await writer.drain()
        while not hang_up and await reader.read(65536):
            pass

    return talk


def connack(reason: int = 0, properties: bytes = b"") -> bytes:
    """MQTT 5, section 3.2: flags, reason code, properties."""
    return _packet(0x20, bytes([0, reason, len(properties)]) + properties)


def suback(packet_id: int, reasons: bytes) -> bytes:
    return _packet(0x90, packet_id.to_bytes(2) + b"\0" + reasons)


def disconnect(reason: int, properties: bytes = b"") -> bytes:
    """Section 3.14."""
    return _packet(0xE0, bytes([reason, len(properties)]) + properties)


def text_property(identifier: int, *texts: str) -> bytes:
    return bytes([identifier]) + b"".join(len(text).to_bytes(2) + text.encode() for text in texts)


def _packet(kind: int, body: bytes) -> bytes:
    assert len(body) < 128
    return bytes([kind, len(body)]) + body


class Authority:
    """Certificates of a test's own authority, valid from and until when the test says."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed")
        self.folder = folder
        self.ca = folder / "ca.pem"
        (folder / "index").write_text("")
        (folder / "ca.conf").write_text(
            f"[ca]\ndefault_ca = d\n[d]\ndatabase = {folder}/index\nnew_certs_dir = {folder}\n"
            "rand_serial = yes\npolicy = p\ndefault_md = sha256\ncopy_extensions = copy\n"
            "unique_subject = no\n[p]\ncommonName = supplied\n"
        )
        # Python 3.13 takes no authority without a key usage.
        self._openssl("req", "-x509", "-days", "9999", *self._key("ca"), "-out", str(self.ca),
                      "-subj", "/CN=test authority",
                      "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip

    def server(
        self, name: str, *, start: str = "20200101000000Z", end: str = "20491231235959Z"
    ) -> ssl.SSLContext:
        """What a server named so shows (`DNS:...` or `IP:...`)."""
        stem = name.replace(":", "-").replace(".", "-") + start + end
        request, cert = self.folder / f"{stem}.csr", self.folder / f"{stem}.pem"
        extra = self.folder / f"{stem}.ext"
        extra.write_text(f"subjectAltName={name}\nauthorityKeyIdentifier=keyid\n")
        self._openssl("req", *self._key(stem), "-out", str(request), "-subj", "/CN=broker")
        self._openssl("ca", "-batch", "-config", str(self.folder / "ca.conf"), "-notext",
                      "-cert", str(self.ca), "-keyfile", str(self.folder / "ca.key"),
                      "-in", str(request), "-out", str(cert), "-extfile", str(extra),
                      "-startdate", start, "-enddate", end)  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, self.folder / f"{stem}.key")
        return context

    def _key(self, stem: str) -> tuple[str, ...]:
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", str(self.folder / f"{stem}.key"))  # fmt: skip

    def _openssl(self, *command: str) -> None:
        done = subprocess.run(["openssl", *command], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
