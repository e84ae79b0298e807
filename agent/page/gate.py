"""The sockets at which the page listens: the device's own screen and, where wished, the network."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from drivers.base import DriverError


class Lan(NamedTuple):
    """The gate to the network; without `cert` and `key` everybody there can read along."""

    listen: str
    names: tuple[str, ...] = ()  # by which browsers may call it, besides its addresses
    cert: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """A listening socket."""

    local: bool
    names: tuple[str, ...]
    tls: ssl.SSLContext | None = None

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"


def tls_context(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Of a certificate; DriverError where it cannot be used."""
    if cert is None or key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # Android 7
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise DriverError(
            f"the staff page cannot use {cert} with {key}: {error}; check page.cert and page.key"
        ) from error
    return context
