"""Who is let in and for how long, and how often one may guess. Pure: times are passed in.

Only hashes of the tokens are kept, so whoever reads the memory or the store cannot log in.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, field

from agent.contract.errors import Rejected
from agent.page.pins import Role

LIFETIME_S: dict[Role, float] = {"staff": 12 * 3600.0, "technician": 1800.0}
MAX_SESSIONS = 32  # one more ends the oldest
FREE_TRIES = 5  # from one address, until one succeeds
WAIT_S, WAIT_MAX_S = 30.0, 900.0  # after them, doubling with each
HOUR_S, TRIES_AN_HOUR = 3600.0, 60  # wrong ones, from all addresses of the network together
MAX_PEERS = 256  # addresses remembered; beyond them only the hourly limit holds


@dataclass(frozen=True, slots=True)
class Session:
    role: Role
    by: str  # as audit events have it
    until: float  # monotonic s
    csrf: str  # goes with every command


def fingerprint(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(slots=True)
class Sessions:
    _open: dict[str, Session] = field(default_factory=dict)  # by fingerprint, oldest first

    def open(self, token: str, session: Session) -> None:
        while len(self._open) >= MAX_SESSIONS:
            del self._open[next(iter(self._open))]
        self._open[fingerprint(token)] = session

    def find(self, token: str, now: float) -> Session | None:
        key = fingerprint(token)
        session = self._open.get(key)
        if session is not None and now >= session.until:
            del self._open[key]
            return None
        return session

    def close(self, token: str) -> None:
        self._open.pop(fingerprint(token), None)

    def close_all(self, role: Role) -> None:
        self._open = {key: s for key, s in self._open.items() if s.role != role}


@dataclass(slots=True)
class _Peer:
    wrong: int = 0
    not_before: float = 0.0


@dataclass(slots=True)
class Guesses:
    """At most 5 wrong PINs from an address, then ever longer waits; 60 an hour from all.

    A million PINs at 60 an hour take a year on the average. Someone on the network can therefore
    keep others from logging in, but neither those who are in nor the device's own screen.
    """

    _peers: dict[str, _Peer] = field(default_factory=dict)
    _wrong: deque[float] = field(default_factory=deque)

    def require(self, peer: str, now: float, *, shared: bool) -> None:
        """Raise Rejected where `peer` must wait; `shared`: counts towards the limit of all."""
        while self._wrong and now - self._wrong[0] > HOUR_S:
            self._wrong.popleft()
        wait = self._peers.get(peer, _Peer()).not_before - now
        if shared and len(self._wrong) >= TRIES_AN_HOUR:
            wait = max(wait, self._wrong[0] + HOUR_S - now)
        if wait > 0:
            raise Rejected("too_many", f"too many wrong PINs; try again in {int(wait) + 1} s")

    def failed(self, peer: str, now: float, *, shared: bool) -> None:
        known = self._peers.pop(peer, _Peer())
        if len(self._peers) >= MAX_PEERS:
            del self._peers[next(iter(self._peers))]
        self._peers[peer] = known
        known.wrong += 1
        beyond = known.wrong - FREE_TRIES
        if beyond >= 0:
            known.not_before = now + min(WAIT_S * 2.0 ** min(beyond, 10), WAIT_MAX_S)
        if shared:
            self._wrong.append(now)

    def succeeded(self, peer: str) -> None:
        self._peers.pop(peer, None)
