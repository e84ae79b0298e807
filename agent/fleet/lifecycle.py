"""The life of a command from afar; pure.

                 +--------- resumed, once -------+
                 v                               |
    accepted -> running -> succeeded | failed | rejected | timed_out | unknown
        |
        +----> rejected (it expired, or may no longer be asked, while it waited)

Each move is on the disk before what it allows: `accepted` before the broker's PUBACK, `running`
before the effect, the end together with its event. So a command that is found `running` at a start
was interrupted, and its nature says what is known of it:

- `repeatable`: doing it again changes nothing more; it is done again, once.
- `once`: nobody can tell whether it had its effect, and again could print or reject twice: it ends
  as `unknown`, and the sender decides.
- `restart`, `reboot`: to be interrupted is its effect. A new process, or a new boot of the machine,
  is its success.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Status = Literal["accepted", "running", "succeeded", "failed", "rejected", "timed_out", "unknown"]
Nature = Literal["once", "repeatable", "restart", "reboot"]

OPEN: frozenset[Status] = frozenset({"accepted", "running"})
MOVES: dict[Status, frozenset[Status]] = {
    "accepted": frozenset({"running", "rejected"}),
    "running": frozenset({"running", "succeeded", "failed", "rejected", "timed_out", "unknown"}),
}

RESUMES = 1  # a second interruption may well be its own doing
EVENT_BYTES = 4096  # of a result in an event: `critical` waits for ever and is never given up
REPLY_BYTES = 128 * 1024  # of one that goes to the topic which the request named


class Found(NamedTuple):
    """A command that a start finds open."""

    status: Status
    tries: int  # times that it was begun
    boot: str | None  # of the machine, when it was begun


class Verdict(NamedTuple):
    """What becomes of it: `accepted` waits for its turn, `running` is begun again, else the end."""

    status: Status
    reason: str | None = None


def may(old: Status, new: Status) -> bool:
    """Whether a command may move on so; what has ended never moves."""
    return new in MOVES.get(old, frozenset())


def after_restart(found: Found, nature: Nature, boot: str) -> Verdict:
    """What becomes of an open command in a new process; `boot` is the machine's present one."""
    if found.status == "accepted":
        return Verdict("accepted")
    if nature == "restart":
        return Verdict("succeeded")
    if nature == "reboot":
        if found.boot != boot:
            return Verdict("succeeded")
        return Verdict("failed", "not_rebooted")  # the agent was restarted, the machine was not
    if nature == "repeatable" and found.tries <= RESUMES:
        return Verdict("running", "resumed")
    return Verdict("unknown", "restarted")


def expired_s(exp: int | None, now_ms: int, *, clock_known: bool) -> float | None:
    """Seconds since it expired; None while it is good, or nobody knows what time it is."""
    if exp is None or not clock_known or now_ms <= exp:
        return None
    return (now_ms - exp) / 1000
