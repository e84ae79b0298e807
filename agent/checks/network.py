"""The way to the back end: Wi-Fi, brokers, certificates."""

from __future__ import annotations

import asyncio
import importlib
import ssl
from collections.abc import Iterator
from pathlib import Path

from agent.checks import Finding
from agent.config import Config
from agent.core.clock import SystemClock
from agent.fleet.identity import looked_after, tls_files
from agent.uplink import words
from agent.uplink.dial import Dialler
from agent.uplink.values import LinkSettings

PROC = Path("/proc")
WEAK_DBM = -75  # below it packets are lost; -67 is good
SOON_DAYS = 14
LATE = 0.2  # of a life: by then the agent should have renewed its own certificate


def wifi(_config: Config, proc: Path = PROC) -> Iterator[Finding]:
    """`wlan0: 0000   54.  -56.  -256 ...`: status, link, level in dBm, noise"""
    try:
        lines = (proc / "net/wireless").read_text("ascii").splitlines()[2:]
    except OSError:
        return
    for line in lines:
        name, _, rest = line.partition(":")
        columns = rest.split()
        if len(columns) < 3:
            continue
        dbm = float(columns[2])
        if dbm >= 0:
            continue  # a driver that does not say
        text = f"{name.strip()} hears its access point with {dbm:.0f} dBm"
        weak = "" if dbm > WEAK_DBM else " → move it closer, or use a cable"
        yield Finding("wifi", dbm > WEAK_DBM, text + weak)


def broker(config: Config) -> Iterator[Finding]:
    clock = SystemClock(trusted=config.device.clock == "trusted")
    for url in (config.uplink.url, *config.uplink.fallbacks):
        started = clock.monotonic()
        try:
            asyncio.run(_reach(config, url))
        except (OSError, ValueError) as error:
            why = str(error)
            if isinstance(error, OSError):
                clock_set = clock.quality() != "none"
                why = words.network_fault(error, clock.wall(), clock_set=clock_set)
            text = f"{url} cannot be used: {why} → check cable, Wi-Fi and address"
            yield Finding("broker", False, text)
        else:
            took = (clock.monotonic() - started) * 1000
            yield Finding("broker", True, f"{url} answers within {took:.0f} ms")


async def _reach(config: Config, url: str) -> None:
    """As the agent connects, as far as TLS."""
    settings = LinkSettings(
        url, config.device.id, files=lambda: tls_files(config), tls_min=config.uplink.tls_min
    )
    (await Dialler(settings).dial(url)).close()


def certificates(config: Config) -> Iterator[Finding]:
    """How long our own and the authority's are good."""
    yield from _identity(config)
    page = config.page
    files = [config.uplink.cert, config.uplink.ca, page.cert if page else None]
    now = SystemClock().wall()
    for file in filter(None, files):
        try:
            ends = _ends(Path(file))
        except (OSError, ValueError) as error:
            text = f"{file} is no certificate that can be read: {error} → put the right file there"
            yield Finding("certificates", False, text)
            continue
        days = int((ends - now) // 86400)
        if days < 0:
            text = f"{file} expired {-days} days ago → renew it"
        elif days < SOON_DAYS:
            text = f"{file} expires in {days} days → renew it"
        else:
            text = f"{file} is good for {days} days"
        yield Finding("certificates", days >= SOON_DAYS, text)


def _identity(config: Config) -> Iterator[Finding]:
    """Of a device that looks after its own; it renews it when half of its life is over."""
    identity = looked_after(config)
    if identity is None or identity.hidden:
        return
    about = identity.about()
    if about is None:
        text = "this device has no certificate → sudo edge-agent enroll CODE, or name uplink.cert"
        yield Finding("certificates", identity.enrolled, text)
        return
    left = about.not_after - SystemClock().wall()
    text = f"{about.device} has its certificate for {left / 86400:.0f} days more"
    if left < 0:
        text = f"the certificate ended {-left / 86400:.0f} days ago → sudo edge-agent enroll"
    elif left < LATE * (about.not_after - about.not_before):
        text += " and should have a new one → does the authority run?"
    yield Finding("certificates", left >= LATE * (about.not_after - about.not_before), text)


def _ends(pem: Path) -> float:
    """Unix seconds; of the first certificate in the file."""
    # The standard library's only way to the dates of a file; getpeercert() is the same inside.
    decoded = importlib.import_module("_ssl")._test_decode_cert(str(pem))  # noqa: SLF001 - see above
    return float(ssl.cert_time_to_seconds(decoded["notAfter"]))
