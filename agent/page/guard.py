"""Which requests the staff page answers at all. Pure: headers in, `Rejected` or nothing out.

At the device's own screen staff need no login, so a browser must not be turned against the page by
a web site:

- a name that an attacker points at 127.0.0.1 (DNS rebinding) shows in `Host`;
- a form or script of another site shows in `Origin` or `Sec-Fetch-Site`, which no script can
  forge;
- a POST must be JSON, which another site cannot send without a preflight that is never answered;
- and it bears a token that only the page itself could read (see `server`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent.contract.errors import Rejected

MAX_BODY = 4096  # bytes; the longest command of staff is a reason for a rejected order
MAX_SETTINGS = 16_384  # and of a technician, a file of settings
SETTINGS = frozenset({"/api/config.try", "/api/config.write"})

# A page needs no more than itself; pictures of tickets come as data: URIs.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def split_listen(listen: str) -> tuple[str, int]:
    """`[::1]:8080` -> ("::1", 8080)"""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def bracketed(host: str) -> str:
    """As it stands in a URL."""
    return f"[{host}]" if ":" in host else host


# Behind a proxy the whole network would look like the device's own screen.
PROXIES = ("Forwarded", "X-Forwarded-For", "Via")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def hosts(names: Iterable[str], port: int, scheme: str = "http") -> frozenset[str]:
    """The `Host` headers under which a page is known that has these names and addresses."""
    known = {bracketed(name).lower() for name in names}
    usual = port == {"http": 80, "https": 443}[scheme]
    return frozenset({f"{name}:{port}" for name in known} | (known if usual else set()))


def longest(path: str) -> int:
    """Bytes of a request's body."""
    return MAX_SETTINGS if path in SETTINGS else MAX_BODY


def check(
    method: str,
    path: str,
    headers: Mapping[str, str],
    length: int,
    known: frozenset[str],
    scheme: str = "http",
) -> None:
    """Raise `Rejected` for what the page must not answer; header names are case-insensitive."""
    host = headers.get("Host", "").lower()
    if host not in known:
        raise Rejected("bad_host", f"open this page as one of: {', '.join(sorted(known))}")
    if any(name in headers for name in PROXIES):
        raise Rejected("proxied", "this page answers no proxies; for other devices set page.lan")
    if not 0 <= length <= longest(path):
        raise Rejected("too_large", f"a request body has at most {longest(path)} bytes")
    if not path.startswith("/api/"):
        return  # the files are no secret and change nothing
    origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site")
    reads = method in {"GET", "HEAD"}
    ours = ("same-origin", "none") if reads else ("same-origin",)
    foreign = (origin is not None and origin.lower() != f"{scheme}://{host}") or (
        site is not None and site not in ours
    )
    unsigned = not reads and origin is None and site is None
    if foreign or unsigned:
        raise Rejected("cross_site", "this comes from another site than the staff page")
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not reads and kind != "application/json":
        raise Rejected("content_type", "commands are sent as application/json")
