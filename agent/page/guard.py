"""Which requests the staff page answers at all. Pure: headers in, `Rejected` or nothing out.

The page has no login, so a browser in the shop must not be turned against it by a web site:

- a name that an attacker points at 127.0.0.1 (DNS rebinding) shows in `Host`;
- a form or script of another site shows in `Origin` or `Sec-Fetch-Site`, which no script can
  forge;
- a POST must be JSON, which another site cannot send without a preflight that is never answered.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.contract.errors import Rejected

MAX_BODY = 4096  # bytes; the longest command is a reason for a rejected order

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


def hosts(host: str, port: int) -> frozenset[str]:
    """The `Host` headers of a page that listens on `host`, port `port`."""
    names = {bracketed(host).lower(), "localhost", "127.0.0.1", "[::1]"}
    bare = names if port == 80 else set()
    return frozenset({f"{name}:{port}" for name in names} | bare)


def check(
    method: str, path: str, headers: Mapping[str, str], length: int, known: frozenset[str]
) -> None:
    """Raise `Rejected` for what the page must not answer; header names are case-insensitive."""
    host = headers.get("Host", "").lower()
    if host not in known:
        raise Rejected("bad_host", f"open this page as one of: {', '.join(sorted(known))}")
    if not 0 <= length <= MAX_BODY:
        raise Rejected("too_large", f"a request body has at most {MAX_BODY} bytes")
    if not path.startswith("/api/"):
        return  # the files are no secret and change nothing
    origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site")
    reads = method in {"GET", "HEAD"}
    ours = ("same-origin", "none") if reads else ("same-origin",)
    foreign = (origin is not None and origin.lower() != f"http://{host}") or (
        site is not None and site not in ours
    )
    unsigned = not reads and origin is None and site is None
    if foreign or unsigned:
        raise Rejected("cross_site", "this comes from another site than the staff page")
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not reads and kind != "application/json":
        raise Rejected("content_type", "commands are sent as application/json")
