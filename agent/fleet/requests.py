"""Whether a signed request may be carried out: each rule once; pure.

A key is for scopes. A request is for one device, for a time, and for once. What a device cannot
know it does not guess: without a clock that somebody vouches for, a dangerous request must name the
very start of the agent (`boot_nonce`); where the memory of earlier requests was lost, those from
before are refused, because any of them may be a repetition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from agent.contract.errors import Rejected
from agent.fleet.signing import DAY_MS, MAX_VALID_MS, Purpose, Request

SKEW_MS = 300_000  # by which the clocks of both ends may differ
REMEMBERED = 64  # numbers of a key that are known one by one, because messages overtake each other


class Key(NamedTuple):
    public: bytes
    scopes: frozenset[str]


class Now(NamedTuple):
    """What the device knows of itself."""

    ms: int | None  # unix ms; None while nobody vouches for the clock
    device: str
    boot_nonce: str
    since_ms: int | None  # its memory of requests begins there; None: nobody knows when


@dataclass(frozen=True, slots=True)
class Seen:
    """The numbers that a key has used. What is not above `floor` counts as used."""

    floor: int = 0
    recent: tuple[int, ...] = field(default=())

    def with_(self, seq: int) -> Seen:
        """Rejected: replayed."""
        if seq <= self.floor or seq in self.recent:
            raise Rejected("replayed", f"number {seq} of this key was used before")
        kept = sorted((*self.recent, seq))
        dropped = kept[:-REMEMBERED]
        return Seen(max(self.floor, *dropped) if dropped else self.floor, tuple(kept[-REMEMBERED:]))


def find(keys: Mapping[str, Key], kid: str) -> Key:
    """Rejected: unknown_key."""
    if kid not in keys:
        raise Rejected("unknown_key", f"there is no key {kid[:64]!r} in [[fleet.keys]]")
    return keys[kid]


def addressed(request: Request, device: str, address: Sequence[str]) -> None:
    """Rejected: wrong_audience, wrong_topic."""
    if request.aud != device:
        raise Rejected("wrong_audience", f"it was signed for {request.aud[:64]!r}")
    if [request.name, request.cmd_id] != list(address):
        raise Rejected("wrong_topic", "it was signed for another command or cmd_id")


def permitted(
    request: Request, key: Key, scope: str, now: Now, *, purpose: Purpose = "cmd"
) -> None:
    """Rejected: out_of_scope, invalid, expired, not_yet_valid."""
    if scope not in key.scopes:
        raise Rejected("out_of_scope", f"this key may not sign what needs the scope {scope!r}")
    if not 0 < request.exp - request.iat <= MAX_VALID_MS[purpose]:
        days = MAX_VALID_MS[purpose] // DAY_MS
        raise Rejected("invalid", f"exp must follow iat, by {days} days at most")
    if now.ms is None:
        return
    if request.exp < now.ms:
        raise Rejected("expired", f"it expired {(now.ms - request.exp) // 1000} s ago")
    if request.iat > now.ms + SKEW_MS:
        raise Rejected("not_yet_valid", "it was signed in the future; compare the clocks")


def fresh(request: Request, now: Now, *, dangerous: bool) -> None:
    """That it is no old one, as far as can be known.

    Rejected: wrong_boot, needs_nonce, before_memory.
    """
    if request.boot_nonce is not None:
        if request.boot_nonce != now.boot_nonce:
            raise Rejected("wrong_boot", "it was meant for an earlier start of the agent")
        return  # nothing can be older than this start
    if dangerous and now.ms is None:
        raise Rejected("needs_nonce", "the clock is not set here: add boot_nonce from `state`")
    if now.since_ms is None or request.iat < now.since_ms:
        raise Rejected(
            "before_memory",
            "whether it was carried out before is not known here any more: sign it anew, or add"
            " boot_nonce from `state`",
        )
