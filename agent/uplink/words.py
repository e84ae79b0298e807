"""What a broker or its certificate says, for people: what is wrong and what to do."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from agent.uplink.attempts import WINDOW_MAX_S, Told

# X509_V_ERR_* of OpenSSL (include/openssl/x509_vfy.h)
_NOT_YET_VALID, _EXPIRED = 9, 10
_UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21})
_OTHER_NAME = frozenset({62, 64})  # host name, IP address

# MQTT 5, section 2.4
TAKEN_OVER, BUSY, SHUTTING_DOWN, USE_ANOTHER, MOVED = 0x8E, 0x89, 0x8B, 0x9C, 0x9D
_UNAVAILABLE, _QUOTA, _RATE = 0x88, 0x97, 0x9F
_BUSY = frozenset({BUSY, SHUTTING_DOWN, _UNAVAILABLE, _QUOTA, _RATE})
_CAUSES = {
    0x81: "it cannot read what we sent (malformed packet)",
    0x84: "it does not speak MQTT 5: the broker must be a newer one, or has it switched off",
    0x85: "it does not take this device.id as client id",
    0x86: "user name or password is wrong: see uplink.username and uplink.password_file",
    0x87: "this device is not allowed (Not authorized): see the broker's access list",
    0x8A: "this device is banned there",
    _UNAVAILABLE: "it is not available now",
    BUSY: "it is busy",
    SHUTTING_DOWN: "it is shutting down",
    0x8D: "it heard nothing of us for too long",
    TAKEN_OVER: "another device uses this id (session taken over)",
    0x95: "a message was too large for it",
    _QUOTA: "a quota of it is exceeded",
    0x98: "somebody ended the connection there (administrative action)",
    USE_ANOTHER: "it sends us to another server",
    MOVED: "it has moved to another server",
    _RATE: "too many devices connect at once",
}
WINDOW_PROPERTY = "reconnect_window_s"  # user property by which a broker spreads its devices
_SERVER = re.compile(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9][A-Za-z0-9._-]{0,252})(:[0-9]{1,5})?")

NO_MQTT = (
    "something answers that does not speak MQTT: a captive portal (a login page of this network),"
    " or another port than the broker's"
)
SILENT = (
    "something takes the connection and says nothing of MQTT within {seconds:.0f} s: a captive"
    " portal (a login page of this network), or a broker that hangs"
)
DEAD = "the line was dead: nothing came back in time"


def cause(code: int, name: str, said: str | None = None) -> str:
    """A reason code as a sentence; `name` is the standard's, `said` the broker's own words."""
    text = _CAUSES.get(code, name)
    return f"{text} ({said[:200]})" if said else text


def told(code: int, url: str, reference: str | None, properties: Iterable[tuple[str, str]]) -> Told:
    """What to do about it. A reference is followed with the scheme of the URL that gave it."""
    server = None
    if code in (USE_ANOTHER, MOVED) and reference:
        first = reference.split()[0] if reference.split() else ""
        if _SERVER.fullmatch(first):
            server = f"{urlsplit(url).scheme}://{first}"
    return Told(server, code == MOVED, code in _BUSY, _window(properties))


def _window(properties: Iterable[tuple[str, str]]) -> float | None:
    for name, value in properties:
        if name == WINDOW_PROPERTY and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", value):
            return min(float(value), WINDOW_MAX_S)
    return None


def waits_for_clock(error: OSError) -> bool:
    """Whether the certificate may be good as soon as this device knows the time."""
    return getattr(error, "verify_code", None) in (_NOT_YET_VALID, _EXPIRED)


def not_yet_valid(error: ssl.SSLCertVerificationError) -> bool:
    return error.verify_code == _NOT_YET_VALID


def network_fault(error: OSError, now: float, *, clock_set: bool) -> str:
    """Why no connection could be made; `now` is this device's unix time."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_fault(error, now, clock_set=clock_set)
    if isinstance(error, ssl.SSLError):
        return _tls_fault(error)
    if isinstance(error, TimeoutError):
        return "nothing answers"
    if error.errno is not None and error.errno > 0:  # asyncio's own text hides it
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__


def _certificate_fault(error: ssl.SSLCertVerificationError, now: float, *, clock_set: bool) -> str:
    code, clock = error.verify_code, datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if code in (_NOT_YET_VALID, _EXPIRED) and not clock_set:
        return (
            f"its certificate cannot be checked before this device knows the time (its clock says"
            f" {clock} and is not set): can it reach a time server (NTP)?"
        )
    if code == _NOT_YET_VALID:
        return f"its certificate is not valid yet; this device's clock says {clock}"
    if code == _EXPIRED:
        return f"its certificate has expired; this device's clock says {clock}. Renew it there"
    if code in _OTHER_NAME:
        return (
            f"its certificate is for another name ({error.verify_message}): a captive portal, or"
            " not the name of the broker"
        )
    if code in _UNKNOWN_ISSUER:
        return (
            f"its certificate is not from an authority that we trust ({error.verify_message}):"
            " a captive portal, or uplink.ca is not the broker's authority"
        )
    return f"its certificate is not accepted: {error.verify_message}"


def _tls_fault(error: ssl.SSLError) -> str:
    reason = error.reason or str(error)
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        return f"it does not accept this device's certificate, uplink.cert ({reason})"
    if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"):
        return f"something answers that does not speak TLS ({reason}): a captive portal, or no TLS"
    return f"TLS fails: {reason}"
